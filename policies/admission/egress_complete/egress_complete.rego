# METADATA
# title: Every endpoint says where, why and what is sent
# custom:
#   id: MA-EGR-002
#   what: endpoint {name} lacks {field}.
#   why: Reviewers decide on what is written here; what isn't said can't be approved.
#   fix: Add the field; one of host, cidr, microApp or connectorRef says where, and all but connectorRef need a port.
#   docs: docs/policies.md#ma-egr-002
#   severity: medium
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
package microapps.rules.egress_complete

import data.microapps.lib.app

violations contains {"path": path, "name": object.get(endpoint, "name", "?"), "field": field} if {
	some path, endpoint in app.endpoints
	some field in ["justification", "dataClassification"]
	object.get(endpoint, field, "") == ""
}

violations contains {"path": path, "name": object.get(endpoint, "name", "?"), "field": "exactly one target"} if {
	some path, endpoint in app.endpoints
	targets := [t | some t in ["host", "cidr", "microApp", "connectorRef"]; endpoint[t]]
	count(targets) != 1
}

violations contains {"path": path, "name": object.get(endpoint, "name", "?"), "field": "port"} if {
	some path, endpoint in app.endpoints
	not endpoint.connectorRef
	not endpoint.port
}
