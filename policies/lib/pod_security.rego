# Pod Security Standards: level and version as data (KEP-2579), and what the controls have in common.
package microapps.lib.pod_security

import data.microapps.lib.pod

# What is not said, or not said properly, is asked for in full.
restricted if not input.context.settings.podSecurity.level == "baseline"

default version := 99

version := input.context.settings.podSecurity.version if is_number(input.context.settings.podSecurity.version)

# From 1.25 on what Windows doesn't have isn't asked of Windows.
windows if {
	pod.spec.os.name == "windows"
	version >= 25
}

# From 1.35 on root inside a user namespace counts as nobody outside (KEP-127).
user_namespace if {
	pod.spec.hostUsers == false
	version >= 35
}

# Security contexts by path: the pod's own and the containers'.
contexts[path] := context if {
	some container_path, container in pod.containers
	context := container.securityContext
	path := concat("", [container_path, ".securityContext"])
}

contexts[path] := context if {
	context := pod.spec.securityContext
	path := concat("", [pod.prefix, ".securityContext"])
}
