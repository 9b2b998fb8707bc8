# METADATA
# title: No port of the host
# custom:
#   id: MA-PSS-004
#   what: 'the container takes port {port} of the node.'
#   why: Whoever reaches the node would reach the app, past its network policy.
#   fix: Remove hostPort; callers come through the Service.
#   docs: docs/policies.md#ma-pss-004
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_host_ports

import data.microapps.lib.pod

violations contains {"path": concat("", [path, ".ports[", format_int(i, 10), "].hostPort"]), "port": port.hostPort} if {
	some path, container in pod.containers
	some i, port in container.ports
	port.hostPort > 0
}
