# METADATA
# title: Pods run under a runtime class of their profile
# custom:
#   id: MA-RUN-001
#   what: 'runtime class "{value}" is none of profile {profile} in tier {tier} (allowed: {allowed}).'
#   why: The runtime class decides how well a pod is kept from the node; another one may keep it less well.
#   fix: Change spec.runtime.profile of the MicroApp; the operator then picks the class.
#   docs: docs/policies.md#ma-run-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
package microapps.rules.runtime_class

import data.microapps.lib.pod
import data.microapps.lib.request

value := object.get(pod.spec, "runtimeClassName", "")

profile := object.get(input.context.app, "profile", "")

allowed contains name if {
	profile == "wasm"
	some name in input.context.tier.runtime.wasmClassNames
}

allowed contains name if {
	containable
	some name in input.context.tier.runtime.hardenedClassNames
}

# The cluster's default class.
allowed contains "" if containable

containable if profile != "wasm"

# The platform's runner: the app's image is mounted as data, and runs as no container.
containable if {
	profile == "wasm"
	object.get(input.context.tier.runtime, "wasmInContainer", false)
	some volume in pod.spec.volumes
	volume.name == "module"
	is_string(volume.image.reference)
}

violations contains {
	"path": concat(".", [pod.prefix, "runtimeClassName"]),
	"value": value,
	"profile": profile,
	"tier": input.context.app.tier,
	"allowed": sort([name | some name in allowed; name != ""]),
} if {
	request.governed
	not value in allowed
}
