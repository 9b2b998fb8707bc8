# METADATA
# title: A denial is withdrawn by who gave it
# custom:
#   id: MA-APR-008
#   what: '{user} deletes the denial that {approver} gave.'
#   why: A denial that anybody can delete would hold nobody up.
#   fix: Ask the reviewer to delete it, or answer the objection with a change of the app.
#   docs: docs/policies.md#ma-apr-008
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Other]
#   exceptions: false
#   standing: false
package microapps.rules.denial_withdrawn

import data.microapps.lib.request

violations contains {"path": "spec.decision", "user": request.username, "approver": approver} if {
	request.operation == "DELETE"
	input.request.kind.kind == "Approval"
	input.request.oldObject.spec.decision == "Denied"
	approver := input.request.oldObject.spec.approver
	approver != request.username
	not request.by_cluster
	not request.by_break_glass
}
