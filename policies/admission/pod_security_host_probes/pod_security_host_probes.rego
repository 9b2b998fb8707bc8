# METADATA
# title: Probes ask the pod, nobody else
# custom:
#   id: MA-PSS-016
#   what: '{probe} asks host {host}.'
#   why: The node makes these requests, so they reach what the app may not.
#   fix: Remove host from the probe or the lifecycle hook.
#   docs: docs/policies.md#ma-pss-016
#   severity: medium
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_host_probes

import data.microapps.lib.pod
import data.microapps.lib.pod_security

violations contains {"path": concat(".", [path, name, action, "host"]), "probe": name, "host": host} if {
	pod_security.version >= 34
	some path, container in pod.containers
	some name in ["livenessProbe", "readinessProbe", "startupProbe"]
	some action in ["httpGet", "tcpSocket"]
	host := container[name][action].host
	not host in {"", null}
}

violations contains {"path": concat(".", [path, "lifecycle", name, action, "host"]), "probe": name, "host": host} if {
	pod_security.version >= 34
	some path, container in pod.containers
	some name in ["postStart", "preStop"]
	some action in ["httpGet", "tcpSocket"]
	host := container.lifecycle[name][action].host
	not host in {"", null}
}
