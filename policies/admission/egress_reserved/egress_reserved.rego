# METADATA
# title: No app reaches the cluster's or the cloud's own addresses
# custom:
#   id: MA-EGR-003
#   what: '{cidr} overlaps {reserved}, which is reserved.'
#   why: Behind these addresses are the cluster's own services and the cloud's credentials.
#   fix: Remove the range. For another app use egress.microApp; for anything else name the host.
#   docs: docs/policies.md#ma-egr-003
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [MicroApp, Connector]
#   exceptions: false
package microapps.rules.egress_reserved

import data.microapps.lib.app
import data.microapps.lib.request

always := {"169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128"}

reserved := always | {cidr | some cidr in object.get(request.settings, "reservedNetworks", [])}

cidrs[concat("", [path, ".cidr"])] := endpoint.cidr if some path, endpoint in app.endpoints

cidrs[path] := cidr if {
	input.request.kind.kind == "Connector"
	some i, cidr in object.get(app.spec, "cidrs", [])
	path := concat("", ["spec.cidrs[", format_int(i, 10), "]"])
}

violations contains {"path": path, "cidr": cidr, "reserved": range} if {
	some path, cidr in cidrs
	some range in reserved
	net.cidr_intersects(cidr, range)
}
