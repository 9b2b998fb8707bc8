# METADATA
# title: No privileged container
# custom:
#   id: MA-PSS-001
#   what: 'the container is privileged.'
#   why: A privileged container owns the node it runs on, and with it every other app there.
#   fix: Remove privileged, or set it to false.
#   docs: docs/policies.md#ma-pss-001
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_privileged

import data.microapps.lib.pod

violations contains {"path": concat("", [path, ".securityContext.privileged"])} if {
	some path, container in pod.containers
	container.securityContext.privileged == true
}
