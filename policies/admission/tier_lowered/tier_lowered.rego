# METADATA
# title: The tier of an app in production isn't lowered
# custom:
#   id: MA-TIR-003
#   what: tier {was} is lowered to {tier} while the app is in production.
#   why: A lower tier asks for fewer reviews, so lowering it would be a way round them.
#   fix: Take the app out of production first (spec.stage), or have an Approval of scope exception for this rule.
#   docs: docs/policies.md#ma-tir-003
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
#   standing: false
package microapps.rules.tier_lowered

import data.microapps.lib.app

violations contains {"path": "spec.riskTier", "was": was, "tier": app.spec.riskTier} if {
	input.request.operation == "UPDATE"
	input.request.oldObject.spec.stage == "production"
	app.spec.stage == "production"
	was := input.request.oldObject.spec.riskTier
	was != app.spec.riskTier
	not higher(was, app.spec.riskTier)
}

higher(was, now) if input.context.ranks[now] > input.context.ranks[was]
