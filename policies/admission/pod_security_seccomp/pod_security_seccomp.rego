# METADATA
# title: System calls are filtered
# custom:
#   id: MA-PSS-009
#   what: 'the seccomp profile is {value}.'
#   why: Without the filter a program may ask the kernel for anything, which is how containers are broken out of.
#   fix: Set seccompProfile.type to RuntimeDefault.
#   docs: docs/policies.md#ma-pss-009
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_seccomp

import data.microapps.lib.pod
import data.microapps.lib.pod_security

fine := {"RuntimeDefault", "Localhost"}

violations contains {"path": concat("", [path, ".seccompProfile.type"]), "value": value} if {
	pod_security.version >= 19
	some path, context in pod_security.contexts
	value := object.get(context.seccompProfile, "type", "unset")
	not value in fine
	not exempt
}

exempt if {
	pod_security.restricted
	pod_security.windows
}

violations contains {"path": concat("", [path, ".securityContext.seccompProfile"]), "value": "unset"} if {
	pod_security.restricted
	pod_security.version >= 19
	not pod_security.windows
	not said_by_pod
	some path, container in pod.containers
	not said_by(container)
}

said_by(container) if is_object(container.securityContext.seccompProfile)

said_by_pod if pod.spec.securityContext.seccompProfile.type in fine

# Before 1.19 profiles were annotations.
violations contains {"path": concat("", [pod.annotations_path, "[", key, "]"]), "value": value} if {
	pod_security.version < 19
	some key, value in pod.template.metadata.annotations
	named(key)
	not value in {"runtime/default", "docker/default"}
	not startswith(value, "localhost/")
}

named("seccomp.security.alpha.kubernetes.io/pod")

named(key) if {
	some container in pod.containers
	key == concat("", ["container.seccomp.security.alpha.kubernetes.io/", container.name])
}
