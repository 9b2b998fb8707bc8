# METADATA
# title: Approving needs the verb approve on the tier
# custom:
#   id: MA-APR-003
#   what: '{user} may not approve in tier {tier}.'
#   why: Who may write objects in a namespace is not who may answer for the risk of its apps.
#   fix: Ask a reviewer of the tier, or have an admin grant you the verb approve on this RiskTier.
#   docs: docs/policies.md#ma-apr-003
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Approval]
#   exceptions: false
#   standing: false
package microapps.rules.approver_entitled

import data.microapps.lib.request

violations contains {"path": "spec.tier", "user": request.username, "tier": input.request.object.spec.tier} if {
	request.operation == "CREATE"
	not input.context.approval.entitled
}
