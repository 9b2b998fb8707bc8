# METADATA
# title: The kernel's files stay masked
# custom:
#   id: MA-PSS-012
#   what: 'procMount is {value}.'
#   why: Unmasked, /proc tells and changes things of the node.
#   fix: Remove procMount.
#   docs: docs/policies.md#ma-pss-012
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_proc_mount

import data.microapps.lib.pod
import data.microapps.lib.pod_security

violations contains {"path": concat("", [path, ".securityContext.procMount"]), "value": value} if {
	some path, container in pod.containers
	value := container.securityContext.procMount
	not value in {"Default", null}
	not relaxed
}

relaxed if {
	not pod_security.restricted
	pod_security.user_namespace
}
