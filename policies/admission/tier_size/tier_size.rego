# METADATA
# title: The app fits into its tier
# custom:
#   id: MA-TIR-002
#   what: '{asked} asked, tier {tier} allows at most {allowed}.'
#   why: The tier is a budget; an app beyond it would never get its pods.
#   fix: Lower the field, or move the app to a higher tier.
#   docs: docs/policies.md#ma-tir-002
#   severity: medium
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
package microapps.rules.tier_size

import data.microapps.lib.app
import data.microapps.lib.quantity

runtime := object.get(app.spec, "runtime", {})

replicas := object.get(runtime, "replicas", 1)

pods := max([replicas, 1])

violations contains {"path": "spec.runtime.replicas", "asked": replicas, "tier": app.tier.name, "allowed": app.tier.replicasMax} if {
	replicas > app.tier.replicasMax
}

violations contains {
	"path": concat(".", ["spec.runtime.resources", field]),
	"asked": concat("", [asked, " for each of ", format_int(pods, 10), " pods"]),
	"tier": app.tier.name,
	"allowed": concat("", [app.tier.quota[field], " in all, ", app.tier.sidecarReserve[field], " a pod of it for sidecars"]),
} if {
	some field, standard in {"cpu": "100m", "memory": "128Mi"}
	asked := object.get(object.get(runtime, "resources", {}), field, standard)
	room := (quantity.number(app.tier.quota[field]) / pods) - quantity.number(app.tier.sidecarReserve[field])
	quantity.number(asked) > room
}

violations contains {"path": concat(".", ["spec.runtime.resources", field]), "asked": asked, "tier": app.tier.name, "allowed": "no size of 0"} if {
	some field, asked in object.get(runtime, "resources", {})
	quantity.number(asked) <= 0
}

violations contains {"path": "spec.storage", "asked": "more storage", "tier": app.tier.name, "allowed": concat(" ", [app.tier.quota.storage, "in all"])} if {
	sizes := [quantity.number(volume.size) | some volume in object.get(app.spec, "storage", [])]
	sum(sizes) > quantity.number(app.tier.quota.storage)
}
