# METADATA
# title: The tier allows data this sensitive
# custom:
#   id: MA-CLS-002
#   what: '{value} data is not allowed in tier {tier} (allowed: {allowed}).'
#   why: The tier's confinement and reviews were made for less sensitive data.
#   fix: Move the app to a tier that allows it, or don't handle that data.
#   docs: docs/policies.md#ma-cls-002
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
package microapps.rules.classification_allowed

import data.microapps.lib.app

fields["spec.dataClassification"] := app.spec.dataClassification

fields[concat("", [path, ".dataClassification"])] := endpoint.dataClassification if some path, endpoint in app.endpoints

fields[path] := secret.classification if {
	some i, secret in object.get(app.spec, "secrets", [])
	path := concat("", ["spec.secrets[", format_int(i, 10), "].classification"])
}

violations contains {"path": path, "value": value, "tier": app.tier.name, "allowed": app.tier.classifications} if {
	some path, value in fields
	not value in app.tier.classifications
}
