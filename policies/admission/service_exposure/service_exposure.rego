# METADATA
# title: No Service opens the app to the outside
# custom:
#   id: MA-SVC-001
#   what: '{field} "{value}" opens the app past its network policy.'
#   why: Node ports, load balancers and external addresses let strangers in, and an external name sends callers elsewhere.
#   fix: Leave the Service to the operator; declare callers in spec.ingress of the MicroApp.
#   docs: docs/policies.md#ma-svc-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Service]
package microapps.rules.service_exposure

import data.microapps.lib.request

spec := object.get(input.request.object, "spec", {})

violations contains {"path": "spec.type", "field": "type", "value": spec.type} if {
	request.governed
	spec.type in {"NodePort", "LoadBalancer", "ExternalName"}
}

violations contains {"path": concat(".", ["spec", field]), "field": field, "value": spec[field]} if {
	request.governed
	some field in ["externalIPs", "loadBalancerIP", "loadBalancerClass"]
	count(spec[field]) > 0
}
