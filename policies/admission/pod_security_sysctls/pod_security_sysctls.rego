# METADATA
# title: Only harmless kernel parameters
# custom:
#   id: MA-PSS-013
#   what: 'sysctl {name} is not one of the harmless ones.'
#   why: Other parameters change the node for every app on it.
#   fix: Remove it from securityContext.sysctls.
#   docs: docs/policies.md#ma-pss-013
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_sysctls

import data.microapps.lib.pod
import data.microapps.lib.pod_security

# Since which version each is allowed.
since := {
	"kernel.shm_rmid_forced": 0,
	"net.ipv4.ip_local_port_range": 0,
	"net.ipv4.tcp_syncookies": 0,
	"net.ipv4.ping_group_range": 0,
	"net.ipv4.ip_unprivileged_port_start": 0,
	"net.ipv4.ip_local_reserved_ports": 27,
	"net.ipv4.tcp_keepalive_time": 29,
	"net.ipv4.tcp_fin_timeout": 29,
	"net.ipv4.tcp_keepalive_intvl": 29,
	"net.ipv4.tcp_keepalive_probes": 29,
	"net.ipv4.tcp_rmem": 32,
	"net.ipv4.tcp_wmem": 32,
}

violations contains {"path": path, "name": name} if {
	some i, sysctl in pod.spec.securityContext.sysctls
	name := object.get(sysctl, "name", "")
	not harmless(name)
	path := concat("", [pod.prefix, ".securityContext.sysctls[", format_int(i, 10), "]"])
}

harmless(name) if since[name] <= pod_security.version
