# METADATA
# title: Nobody approves their own
# custom:
#   id: MA-APR-004
#   what: '{user} can''t approve {app}: {reason}.'
#   why: A second pair of eyes finds what the first one missed; under whatever account, the author is the first.
#   fix: Ask somebody who neither edited nor requested this content and isn't the app's contact.
#   docs: docs/policies.md#ma-apr-004
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Approval]
#   exceptions: false
#   standing: false
package microapps.rules.approval_own

import data.microapps.lib.request

approving if {
	request.operation == "CREATE"
	object.get(input.request.object.spec, "decision", "Approved") == "Approved"
	input.context.approval.app.exists
}

violation(reason) := {
	"path": "spec.approver",
	"user": request.username,
	"app": input.request.object.spec.microApp,
	"reason": reason,
}

violations contains violation(input.context.approval.app.unknown) if {
	approving
	input.context.approval.app.unknown != ""
}

violations contains violation("they edited or requested this content, or are its contact") if {
	approving
	some name in input.context.approval.app.requesters
	name in input.context.approval.comparable
}
