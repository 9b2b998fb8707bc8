# METADATA
# title: Leaving secrets behind needs the verb skipcleanup
# custom:
#   id: MA-SEC-001
#   what: '{user} may not set annotation microapps.dev/skip-secret-cleanup.'
#   why: What it leaves in Vault still opens secrets to whoever recreates the app's account; that isn't the developer's to risk.
#   fix: Wait until Vault is back, or ask a platform admin with the verb skipcleanup on all MicroApps (ClusterRole microapps-skip-cleanup).
#   docs: docs/policies.md#ma-sec-001
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
#   exceptions: false
#   standing: false
package microapps.rules.cleanup_entitled

import data.microapps.lib.cleanup
import data.microapps.lib.request

violations contains {"path": "metadata.annotations", "user": request.username} if {
	cleanup.why != ""
	cleanup.why != cleanup.before
	not input.context.cleanup.entitled
}
