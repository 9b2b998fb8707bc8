# METADATA
# title: No container runs as user 0
# custom:
#   id: MA-PSS-008
#   what: 'user 0 is root.'
#   why: Root in the container is root on the node as soon as anything leaks.
#   fix: Remove runAsUser, or set a number above 0.
#   docs: docs/policies.md#ma-pss-008
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_run_as_user

import data.microapps.lib.pod_security

violations contains {"path": concat("", [path, ".runAsUser"])} if {
	pod_security.restricted
	pod_security.version >= 23
	some path, context in pod_security.contexts
	context.runAsUser == 0
	not pod_security.user_namespace
}
