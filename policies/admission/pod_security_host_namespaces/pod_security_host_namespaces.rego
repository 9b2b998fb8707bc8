# METADATA
# title: No namespace of the host
# custom:
#   id: MA-PSS-002
#   what: 'the pod uses {field}.'
#   why: It would see the node's network or processes, past every policy that confines the app.
#   fix: Remove the field, or set it to false.
#   docs: docs/policies.md#ma-pss-002
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_host_namespaces

import data.microapps.lib.pod

violations contains {"path": concat(".", [pod.prefix, field]), "field": field} if {
	some field in ["hostNetwork", "hostPID", "hostIPC"]
	pod.spec[field] == true
}
