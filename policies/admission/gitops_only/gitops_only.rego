# METADATA
# title: Production is changed by GitOps only
# custom:
#   id: MA-GIT-001
#   what: '{user} changes a MicroApp in production directly.'
#   why: What isn't in Git was reviewed by nobody and is undone by the next sync.
#   fix: Commit the change and let the GitOps controller apply it ({gitops}).
#   docs: docs/policies.md#ma-git-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp, Other]
#   standing: false
package microapps.rules.gitops_only

import data.microapps.lib.request

# An admin who registers no identity has chosen to do without GitOps.
violations contains {"path": "", "user": request.username, "gitops": object.get(request.settings, "gitops", [])} if {
	count(object.get(request.settings, "gitops", [])) > 0
	input.request.kind.kind == "MicroApp"
	not request.subresource == "status"
	touches_production
	changes
	not request.by_gitops
	not request.by_operator
	not request.by_cluster
	not request.by_break_glass
}

touches_production if input.request.object.spec.stage == "production"

touches_production if input.request.oldObject.spec.stage == "production"

changes if not input.request.operation == "UPDATE"

changes if not input.request.object.spec == input.request.oldObject.spec

changes if not labels(input.request.object) == labels(input.request.oldObject)

labels(subject) := object.get(subject.metadata, "labels", {})
