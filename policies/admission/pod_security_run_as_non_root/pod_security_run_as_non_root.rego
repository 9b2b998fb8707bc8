# METADATA
# title: No container runs as root
# custom:
#   id: MA-PSS-007
#   what: 'the container may run as root.'
#   why: Root in the container is root on the node as soon as anything leaks.
#   fix: Set runAsNonRoot to true, and give the image a numeric user other than 0.
#   docs: docs/policies.md#ma-pss-007
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_run_as_non_root

import data.microapps.lib.pod
import data.microapps.lib.pod_security

asked if {
	pod_security.restricted
	not pod_security.user_namespace
}

violations contains {"path": concat(".", [pod.prefix, "securityContext.runAsNonRoot"])} if {
	asked
	pod.spec.securityContext.runAsNonRoot == false
}

violations contains {"path": concat("", [path, ".securityContext.runAsNonRoot"])} if {
	asked
	some path, container in pod.containers
	not by_container(container)
}

by_container(container) if container.securityContext.runAsNonRoot == true

by_container(container) if {
	pod.spec.securityContext.runAsNonRoot == true
	not says_otherwise(container)
}

says_otherwise(container) if container.securityContext.runAsNonRoot != null
