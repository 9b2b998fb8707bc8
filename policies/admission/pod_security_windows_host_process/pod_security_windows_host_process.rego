# METADATA
# title: No process on a Windows host
# custom:
#   id: MA-PSS-015
#   what: 'it is a process of the host.'
#   why: It owns the node it runs on, and with it every other app there.
#   fix: Remove windowsOptions.hostProcess.
#   docs: docs/policies.md#ma-pss-015
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [Pod]
#   exceptions: false
package microapps.rules.pod_security_windows_host_process

import data.microapps.lib.pod_security

violations contains {"path": concat("", [path, ".windowsOptions.hostProcess"])} if {
	some path, context in pod_security.contexts
	context.windowsOptions.hostProcess == true
}
