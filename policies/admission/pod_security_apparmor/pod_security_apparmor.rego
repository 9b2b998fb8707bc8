# METADATA
# title: AppArmor stays on
# custom:
#   id: MA-PSS-011
#   what: 'the AppArmor profile is {value}.'
#   why: The profile keeps a program that was taken over from the files it must not see.
#   fix: Remove it, or set RuntimeDefault.
#   docs: docs/policies.md#ma-pss-011
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_apparmor

import data.microapps.lib.pod
import data.microapps.lib.pod_security

violations contains {"path": concat("", [path, ".appArmorProfile.type"]), "value": value} if {
	some path, context in pod_security.contexts
	value := object.get(context.appArmorProfile, "type", "unset")
	not value in {"RuntimeDefault", "Localhost"}
}

violations contains {"path": concat("", [pod.annotations_path, "[", key, "]"]), "value": value} if {
	some key, value in pod.template.metadata.annotations
	startswith(key, "container.apparmor.security.beta.kubernetes.io/")
	not value in {"", "runtime/default"}
	not startswith(value, "localhost/")
}
