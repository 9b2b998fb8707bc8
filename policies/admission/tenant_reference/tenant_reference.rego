# METADATA
# title: No reference to another tenant's apps
# custom:
#   id: MA-TEN-002
#   what: app {namespace}/{name} belongs to {whom}.
#   why: Traffic between tenants would cross the line that keeps their data apart.
#   fix: Refer only to apps of your own tenant; for another tenant's service have an admin make a Connector.
#   docs: docs/policies.md#ma-ten-002
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
package microapps.rules.tenant_reference

import data.microapps.lib.app

tenants := object.get(input.context, "tenants", {})

own := object.get(tenants, input.request.namespace, "")

references[path] := caller if some path, caller in app.callers

references[concat("", [path, ".microApp"])] := endpoint.microApp if some path, endpoint in app.endpoints

violations contains {"path": path, "namespace": other.namespace, "name": other.name, "whom": whom} if {
	count(tenants) > 0
	some path, other in references
	whose := object.get(tenants, other.namespace, "")
	whose != own
	whom := words(whose)
}

words(whose) := "no tenant" if whose == ""

words(whose) := concat(" ", ["tenant", whose]) if whose != ""
