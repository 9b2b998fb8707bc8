# METADATA
# title: The risk tier exists
# custom:
#   id: MA-TIR-001
#   what: 'there is no RiskTier "{tier}" (there are: {known}).'
#   why: Quota, confinement and reviews all come from the tier.
#   fix: Set spec.riskTier to one of those.
#   docs: docs/policies.md#ma-tir-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
#   exceptions: false
package microapps.rules.tier_known

import data.microapps.lib.app

violations contains {"path": "spec.riskTier", "tier": name, "known": sort(object.keys(input.context.ranks))} if {
	name := object.get(app.spec, "riskTier", "")
	object.get(object.get(input.context, "tier", {}), "name", null) != name
}
