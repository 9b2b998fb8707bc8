# METADATA
# title: A namespace belongs to one tenant
# custom:
#   id: MA-TEN-003
#   what: namespace {namespace} {fault}.
#   why: Two tenants in one namespace could change each other's apps.
#   fix: Remove the namespace from this Tenant, or from the other one first.
#   docs: docs/policies.md#ma-ten-003
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Tenant]
#   exceptions: false
package microapps.rules.tenant_namespaces

tenants := object.get(input.context, "tenants", {})

violations contains {"path": "spec.namespaces", "namespace": name, "fault": concat(" ", ["belongs to tenant", whose])} if {
	some name in input.request.object.spec.namespaces
	whose := tenants[name]
	whose != input.request.object.metadata.name
}

violations contains {"path": "spec.namespaces", "namespace": name, "fault": "is the platform's own"} if {
	some name in input.request.object.spec.namespaces
	startswith(name, prefix[_])
}

prefix := ["kube-", "ma-", "microapp-"]
