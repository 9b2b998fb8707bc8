# METADATA
# title: Only the operator makes, labels and removes the apps' namespaces
# custom:
#   id: MA-GRD-003
#   what: '{user} may not {operation} namespace "{name}" or change its label {label}.'
#   why: These labels decide which rules hold in the namespace; without them nothing would guard it.
#   fix: Change or delete the MicroApp instead.
#   docs: docs/policies.md#ma-grd-003
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Namespace, Other]
#   exceptions: false
#   standing: false
package microapps.rules.guard_namespace

import data.microapps.lib.request

labels(subject) := object.get(object.get(subject, "metadata", {}), "labels", {}) if is_object(subject)

labels(subject) := {} if not is_object(subject)

guarded(key) if startswith(key, "microapps.dev/")

guarded(key) if startswith(key, "pod-security.kubernetes.io/")

guarded("app.kubernetes.io/managed-by")

ours(all) if all["microapps.dev/app-uid"]

before := labels(object.get(input.request, "oldObject", null))

after := labels(object.get(input.request, "object", null))

concerns_us if ours(before)

concerns_us if ours(after)

changed contains key if {
	some key in object.keys(before) | object.keys(after)
	guarded(key)
	object.get(before, key, null) != object.get(after, key, null)
}

violations contains {
	"path": "metadata.labels",
	"user": request.username,
	"operation": lower(request.operation),
	"name": object.get(input.request, "name", ""),
	"label": sort([key | some key in changed]),
} if {
	input.request.kind.kind == "Namespace"
	request.subresource == ""
	concerns_us
	count(changed) > 0
	not request.by_operator
	not request.by_cluster
	not request.by_break_glass
}
