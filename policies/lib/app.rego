# The MicroApp under review, with the parts the rules ask about.
package microapps.lib.app

spec := object.get(input.request.object, "spec", {})

tier := input.context.tier

endpoints[path] := endpoint if {
	some i, endpoint in object.get(spec, "egress", [])
	path := concat("", ["spec.egress[", format_int(i, 10), "]"])
}

callers[path] := caller.microApp if {
	some i, caller in object.get(object.get(spec, "ingress", {}), "from", [])
	path := concat("", ["spec.ingress.from[", format_int(i, 10), "].microApp"])
}
