# METADATA
# title: SELinux stays as the node has it
# custom:
#   id: MA-PSS-010
#   what: 'SELinux {field} {value} is set.'
#   why: Another label could open what the node keeps closed.
#   fix: Remove seLinuxOptions.
#   docs: docs/policies.md#ma-pss-010
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_selinux

import data.microapps.lib.pod_security

types := {null, "", "container_t", "container_init_t", "container_kvm_t"} | later

later := {"container_engine_t"} if pod_security.version >= 31

later := set() if pod_security.version < 31

violations contains {"path": concat("", [path, ".seLinuxOptions.type"]), "field": "type", "value": value} if {
	some path, context in pod_security.contexts
	value := context.seLinuxOptions.type
	not value in types
}

violations contains {"path": concat("", [path, ".seLinuxOptions.", field]), "field": field, "value": value} if {
	some path, context in pod_security.contexts
	some field in ["user", "role"]
	value := context.seLinuxOptions[field]
	not value in {"", null}
}
