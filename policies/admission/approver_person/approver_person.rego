# METADATA
# title: People approve, machines don't
# custom:
#   id: MA-APR-002
#   what: '{user} is no person.'
#   why: Whoever may use a machine's account would approve without being seen.
#   fix: Create the Approval under your own account.
#   docs: docs/policies.md#ma-apr-002
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Approval]
#   exceptions: false
#   standing: false
package microapps.rules.approver_person

import data.microapps.lib.request

machine if startswith(request.username, "system:")

machine if request.by_gitops

machine if "system:serviceaccounts" in input.request.userInfo.groups

violations contains {"path": "spec.approver", "user": request.username} if {
	request.operation == "CREATE"
	machine
}
