# METADATA
# title: An Approval carries the name of who creates it
# custom:
#   id: MA-APR-001
#   what: '{field} says {given}, but the request comes from {user}.'
#   why: An approval counts as what one person decided; nobody can decide in the name of another.
#   fix: Leave approver, approverIdentities and approverGroups out; they are filled in.
#   docs: docs/policies.md#ma-apr-001
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Approval]
#   exceptions: false
#   standing: false
package microapps.rules.approver_proven

import data.microapps.lib.request

spec := input.request.object.spec

violations contains {"path": "spec.approver", "field": "approver", "given": spec.approver, "user": request.username} if {
	request.operation == "CREATE"
	spec.approver != request.username
}

violations contains {"path": "spec.approverIdentities", "field": "approverIdentities", "given": spec.approverIdentities, "user": request.username} if {
	request.operation == "CREATE"
	spec.approverIdentities != input.context.approval.identities
}

violations contains {"path": "spec.approverGroups", "field": "approverGroups", "given": given, "user": request.username} if {
	request.operation == "CREATE"
	given := object.get(spec, "approverGroups", [])
	given != object.get(input.request.userInfo, "groups", [])
}
