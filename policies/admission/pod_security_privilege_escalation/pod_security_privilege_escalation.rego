# METADATA
# title: No way to gain privileges
# custom:
#   id: MA-PSS-006
#   what: 'the container may gain privileges.'
#   why: A program that is not root could become root through a file marked setuid.
#   fix: Set allowPrivilegeEscalation to false.
#   docs: docs/policies.md#ma-pss-006
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_privilege_escalation

import data.microapps.lib.pod
import data.microapps.lib.pod_security

violations contains {"path": concat("", [path, ".securityContext.allowPrivilegeEscalation"])} if {
	pod_security.restricted
	pod_security.version >= 8
	not pod_security.windows
	some path, container in pod.containers
	not forbids(container)
}

forbids(container) if container.securityContext.allowPrivilegeEscalation == false
