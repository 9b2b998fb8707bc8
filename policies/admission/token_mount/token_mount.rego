# METADATA
# title: No pod gets a token of the cluster
# custom:
#   id: MA-SAT-001
#   what: '{what}.'
#   why: A token lets whoever gets into the app talk to the cluster's API.
#   fix: Set automountServiceAccountToken to false, and give every projected token an audience other than the API server's.
#   docs: docs/policies.md#ma-sat-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod, ServiceAccount]
package microapps.rules.token_mount

import data.microapps.lib.pod
import data.microapps.lib.request

violations contains {"path": concat(".", [pod.prefix, "automountServiceAccountToken"]), "what": "the pod mounts a token of its service account"} if {
	request.governed
	pod.spec
	not object.get(pod.spec, "automountServiceAccountToken", true) == false
}

violations contains {"path": path, "what": "a projected token has no audience, so it opens the cluster's API"} if {
	request.governed
	some i, volume in pod.spec.volumes
	some source in volume.projected.sources
	source.serviceAccountToken
	object.get(source.serviceAccountToken, "audience", "") in clusters_own
	path := concat("", [pod.prefix, ".volumes[", format_int(i, 10), "]"])
}

clusters_own := {"", "https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local"}

violations contains {"path": "automountServiceAccountToken", "what": "pods of this service account get its token"} if {
	request.governed
	input.request.kind.kind == "ServiceAccount"
	not made_by_kubernetes
	not object.get(input.request.object, "automountServiceAccountToken", true) == false
}

# Kubernetes makes the account "default" by itself and nobody's pods use it.
made_by_kubernetes if input.request.object.metadata.name == "default"
