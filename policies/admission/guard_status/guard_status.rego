# METADATA
# title: Only the operator reports the state of an app
# custom:
#   id: MA-GRD-002
#   what: '{user} writes {field} of {kind} "{name}".'
#   why: Admins and gates trust this record; a forged one could claim an approval nobody gave.
#   fix: Leave it to the operator.
#   docs: docs/policies.md#ma-grd-002
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [MicroApp, Other]
#   exceptions: false
#   standing: false
package microapps.rules.guard_status

import data.microapps.lib.request

ours if input.request.kind.group == "microapps.dev"

violations contains {"path": "status", "user": request.username, "field": "the status", "kind": input.request.kind.kind, "name": input.request.name} if {
	ours
	request.subresource == "status"
	not request.by_operator
	not request.by_break_glass
}

# The finalizer makes sure that nothing of the app is left when it goes.
violations contains {"path": "metadata.finalizers", "user": request.username, "field": "the finalizer", "kind": input.request.kind.kind, "name": input.request.name} if {
	input.request.kind.kind == "MicroApp"
	input.request.operation == "UPDATE"
	"microapps.dev/teardown" in input.request.oldObject.metadata.finalizers
	not "microapps.dev/teardown" in object.get(input.request.object.metadata, "finalizers", [])
	not request.by_operator
	not request.by_break_glass
}
