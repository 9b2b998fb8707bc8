# METADATA
# title: Rights in an app's namespace go to people of its tenant only
# custom:
#   id: MA-TEN-004
#   what: '{kind} "{name}" would get rights here.'
#   why: Groups of the system hold everybody, and accounts of other namespaces belong to other apps.
#   fix: Remove the subject; the owner's team gets its rights from spec.owner.team of the MicroApp.
#   docs: docs/policies.md#ma-ten-004
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [RoleBinding]
package microapps.rules.role_binding_subjects

import data.microapps.lib.request

subjects[path] := subject if {
	some i, subject in object.get(input.request.object, "subjects", [])
	path := concat("", ["subjects[", format_int(i, 10), "]"])
}

violations contains {"path": path, "kind": subject.kind, "name": subject.name} if {
	request.governed
	some path, subject in subjects
	subject.kind in {"User", "Group"}
	startswith(subject.name, "system:")
}

violations contains {"path": path, "kind": subject.kind, "name": concat("/", [object.get(subject, "namespace", ""), subject.name])} if {
	request.governed
	some path, subject in subjects
	subject.kind == "ServiceAccount"
	object.get(subject, "namespace", "") != input.request.namespace
}
