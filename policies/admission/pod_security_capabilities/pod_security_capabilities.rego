# METADATA
# title: No more than the capabilities of an ordinary program
# custom:
#   id: MA-PSS-005
#   what: 'capabilities: {fault}.'
#   why: Each capability is a piece of what root may do.
#   fix: Set capabilities to drop [ALL] and add at most NET_BIND_SERVICE.
#   docs: docs/policies.md#ma-pss-005
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_capabilities

import data.microapps.lib.pod
import data.microapps.lib.pod_security

usual := {
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
	"NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

strict if {
	pod_security.restricted
	pod_security.version >= 22
}

# Unlike the addition of capabilities at level baseline, that of restricted isn't asked of Windows.
allowed := {"NET_BIND_SERVICE"} if {
	strict
	not pod_security.windows
} else := usual if not strict

violations contains {"path": concat("", [path, ".securityContext.capabilities.add"]), "fault": concat(" ", ["adds", added])} if {
	some path, container in pod.containers
	some added in container.securityContext.capabilities.add
	not added in allowed
}

violations contains {"path": concat("", [path, ".securityContext.capabilities.drop"]), "fault": "does not drop ALL"} if {
	strict
	not pod_security.windows
	some path, container in pod.containers
	not drops_all(container)
}

drops_all(container) if "ALL" in container.securityContext.capabilities.drop
