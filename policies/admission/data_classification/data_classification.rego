# METADATA
# title: Every app says how sensitive its data is
# custom:
#   id: MA-CLS-001
#   what: the data classification is "{value}".
#   why: How far an app is confined, and who has to review it, follows from the data it handles.
#   fix: Set it to public, internal, confidential or restricted, whichever is the most sensitive data the app touches.
#   docs: docs/policies.md#ma-cls-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp, Namespace]
package microapps.rules.data_classification

import data.microapps.lib.app

known := {"public", "internal", "confidential", "restricted"}

violations contains {"path": "spec.dataClassification", "value": value} if {
	input.request.kind.kind == "MicroApp"
	value := object.get(app.spec, "dataClassification", "")
	not value in known
}

violations contains {"path": concat("", [path, ".dataClassification"]), "value": value} if {
	some path, endpoint in app.endpoints
	value := object.get(endpoint, "dataClassification", "")
	not value in known
}

violations contains {"path": "metadata.labels[microapps.dev/classification]", "value": value} if {
	input.request.kind.kind == "Namespace"
	labels := object.get(input.request.object.metadata, "labels", {})
	labels["app.kubernetes.io/managed-by"] == "microapp-operator"
	value := object.get(labels, "microapps.dev/classification", "")
	not value in known
}
