# METADATA
# title: The app belongs to a tenant that may have it
# custom:
#   id: MA-TEN-001
#   what: '{what}.'
#   why: A tenant's namespaces, tiers and number of apps are what its admins agreed to answer for.
#   fix: Apply the MicroApp in a namespace of your tenant and in a tier it has, or ask a platform admin to change the Tenant.
#   docs: docs/policies.md#ma-ten-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
package microapps.rules.tenant_member

import data.microapps.lib.app

tenants := object.get(input.context, "tenants", {})

tenant := input.context.tenant

# Where no Tenant exists at all, tenancy isn't in use.
violations contains {"path": "metadata.namespace", "what": concat(" ", ["namespace", input.request.namespace, "belongs to no tenant"])} if {
	count(tenants) > 0
	not tenant
}

violations contains {"path": "spec.riskTier", "what": concat(" ", ["tenant", tenant.name, "may not have apps of tier", app.spec.riskTier])} if {
	not app.spec.riskTier in tenant.tiers
}

violations contains {"path": "metadata.namespace", "what": concat(" ", ["tenant", tenant.name, "has", format_int(tenant.apps, 10), "apps and may have", format_int(tenant.maxApps, 10)])} if {
	input.request.operation == "CREATE"
	tenant.apps >= tenant.maxApps
}
