# METADATA
# title: In an app's namespace only the operator writes
# custom:
#   id: MA-GRD-001
#   what: '{user} may not {operation} {kind} "{name}" in the namespace of app {app}.'
#   why: What the operator wrote is what was reviewed; anything else there would run or open something nobody approved.
#   fix: Change the MicroApp instead; the operator brings the rest about.
#   docs: docs/policies.md#ma-grd-001
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Pod, NetworkPolicy, RoleBinding, Service, ServiceAccount, Other]
#   standing: false
#   exceptions: false
package microapps.rules.guard_children

import data.microapps.lib.request

violations contains {
	"path": "",
	"user": request.username,
	"operation": lower(request.operation),
	"kind": input.request.kind.kind,
	"name": object.get(input.request, "name", ""),
	"app": input.context.app.name,
} if {
	request.governed
	not request.by_operator
	not request.by_cluster
	not request.by_break_glass
	not input.request.kind.kind in {"Namespace", "MicroApp", "PodExecOptions"}
	not deletes_pod
}

# A pod deleted is a pod restarted: its team may.
deletes_pod if {
	request.operation == "DELETE"
	input.request.kind.kind == "Pod"
}
