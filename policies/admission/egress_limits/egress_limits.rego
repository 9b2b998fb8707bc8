# METADATA
# title: The app reaches no more than its tier allows
# custom:
#   id: MA-EGR-001
#   what: '{asked} endpoints, tier {tier} allows {allowed}.'
#   why: Each endpoint is a way for data to leave; the tier's review covers only so many, and of that kind.
#   fix: Remove endpoints, use a vetted Connector (connectorRef), or move the app to another tier.
#   docs: docs/policies.md#ma-egr-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
package microapps.rules.egress_limits

import data.microapps.lib.app

violations contains {"path": "spec.egress", "asked": asked, "tier": app.tier.name, "allowed": app.tier.egress.maxEndpoints} if {
	asked := count(app.endpoints)
	asked > app.tier.egress.maxEndpoints
}

violations contains {"path": path, "asked": "direct", "tier": app.tier.name, "allowed": "Connectors only"} if {
	app.tier.egress.connectorsOnly
	some path, endpoint in app.endpoints
	not endpoint.connectorRef
	not endpoint.microApp
}
