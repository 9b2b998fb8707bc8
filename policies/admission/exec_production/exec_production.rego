# METADATA
# title: Nobody enters a pod in production
# custom:
#   id: MA-EXE-001
#   what: '{action} into a pod of app {app} in production.'
#   why: What is typed there is reviewed by nobody and leaves no trace in the app's manifest.
#   fix: Look at the app's logs instead, or reproduce it in staging; in an emergency use a break-glass account.
#   docs: docs/policies.md#ma-exe-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Exec, Pod]
#   standing: false
package microapps.rules.exec_production

import data.microapps.lib.request

violations contains {"path": "", "action": subresource, "app": input.context.app.name} if {
	request.production
	subresource := request.subresource
	subresource in {"exec", "attach", "portforward", "ephemeralcontainers"}
	not request.by_break_glass
}
