# METADATA
# title: No files of the host
# custom:
#   id: MA-PSS-003
#   what: 'volume {volume} mounts {host_path} of the node.'
#   why: Files of the node hold other apps' data and the keys of the cluster.
#   fix: Use spec.storage of the MicroApp; the app gets a volume of its own.
#   docs: docs/policies.md#ma-pss-003
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_host_path

import data.microapps.lib.pod

violations contains {"path": path, "volume": object.get(volume, "name", ""), "host_path": host_path} if {
	some i, volume in pod.spec.volumes
	host_path := object.get(volume.hostPath, "path", "")
	path := concat("", [pod.prefix, ".volumes[", format_int(i, 10), "].hostPath"])
}
