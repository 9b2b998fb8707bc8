# METADATA
# title: Only kinds of volumes that stay in the cluster
# custom:
#   id: MA-PSS-014
#   what: 'volume {volume} is of a kind that is not allowed.'
#   why: Other kinds reach storage directly, past the limits of the tier.
#   fix: Use spec.storage of the MicroApp.
#   docs: docs/policies.md#ma-pss-014
#   severity: medium
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_volumes

import data.microapps.lib.pod
import data.microapps.lib.pod_security

allowed := ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"]

violations contains {"path": path, "volume": object.get(volume, "name", "")} if {
	pod_security.restricted
	some i, volume in pod.spec.volumes
	not known(volume)
	path := concat("", [pod.prefix, ".volumes[", format_int(i, 10), "]"])
}

known(volume) if {
	some kind in allowed
	is_object(volume[kind])
}

# The API server makes it an emptyDir (core/v1, defaults).
known(volume) if count({kind | some kind, source in volume; kind != "name"; source != null}) == 0
