# METADATA
# title: A new endpoint waits for its approval
# custom:
#   id: MA-EGR-004
#   what: endpoint {endpoint} stays closed until it is approved, as tier {tier} asks.
#   why: What an app may reach is decided by somebody who answers for the data it sends.
#   fix: Ask a reviewer for an Approval of scope egress; the app's condition Approved names the fingerprint.
#   docs: docs/policies.md#ma-egr-004
#   severity: low
#   tiers: []
#   kinds: [MicroApp]
#   effect: warn
#   standing: false
package microapps.rules.egress_unapproved

import data.microapps.lib.app

known contains endpoint if some endpoint in input.request.oldObject.spec.egress

violations contains {"path": path, "endpoint": endpoint.name, "tier": app.tier.name} if {
	app.tier.egress.approvalRequired
	some path, endpoint in app.endpoints
	not endpoint in known
}
