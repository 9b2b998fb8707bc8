# METADATA
# title: No network policy opens everything
# custom:
#   id: MA-NET-001
#   what: '{field} lets {whom} through.'
#   why: Policies add up, so one that allows everything undoes the confinement of the app.
#   fix: Delete the policy; declare the traffic in spec.ingress or spec.egress of the MicroApp.
#   docs: docs/policies.md#ma-net-001
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [NetworkPolicy]
package microapps.rules.network_policy_open

import data.microapps.lib.request

peers := {"ingress": "from", "egress": "to"}

spec := object.get(input.request.object, "spec", {})

violations contains {"path": path, "field": path, "whom": "everybody"} if {
	request.governed
	some direction, field in peers
	some i, entry in spec[direction]
	count(object.get(entry, field, [])) == 0
	path := concat("", ["spec.", direction, "[", format_int(i, 10), "]"])
}

violations contains {"path": path, "field": path, "whom": whom} if {
	request.governed
	some direction, field in peers
	some i, entry in spec[direction]
	some peer in entry[field]
	whom := too_wide(peer)
	path := concat("", ["spec.", direction, "[", format_int(i, 10), "].", field])
}

too_wide(peer) := "every namespace" if {
	peer.namespaceSelector == {}
	object.get(peer, "podSelector", {}) == {}
}

too_wide(peer) := peer.ipBlock.cidr if peer.ipBlock.cidr in {"0.0.0.0/0", "::/0"}
