# METADATA
# title: A Connector exists and is open to the app
# custom:
#   id: MA-CON-001
#   what: Connector {connector} {fault}.
#   why: A Connector carries what the admins vetted; it was vetted for these tiers and this data only.
#   fix: Refer to a Connector that exists, is open to the tier and takes this data (`kubectl get connectors`), or ask an admin.
#   docs: docs/policies.md#ma-con-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
package microapps.rules.connector_open

import data.microapps.lib.app

referring[path] := endpoint if {
	some path, endpoint in app.endpoints
	endpoint.connectorRef
}

violations contains {"path": concat("", [path, ".connectorRef"]), "connector": endpoint.connectorRef, "fault": "doesn't exist"} if {
	some path, endpoint in referring
	not input.context.connectors[endpoint.connectorRef]
}

violations contains {"path": concat("", [path, ".connectorRef"]), "connector": endpoint.connectorRef, "fault": fault} if {
	some path, endpoint in referring
	connector := input.context.connectors[endpoint.connectorRef]
	not app.tier.name in connector.tiers
	fault := concat(" ", ["is not open to tier", app.tier.name])
}

violations contains {"path": concat("", [path, ".dataClassification"]), "connector": endpoint.connectorRef, "fault": fault} if {
	some path, endpoint in referring
	connector := input.context.connectors[endpoint.connectorRef]
	not endpoint.dataClassification in connector.classifications
	fault := concat(" ", ["may not receive", endpoint.dataClassification, "data"])
}
