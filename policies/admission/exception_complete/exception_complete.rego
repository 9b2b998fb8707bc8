# METADATA
# title: An exception is for a rule that allows one, and ends
# custom:
#   id: MA-APR-006
#   what: '{reason}.'
#   why: An exception is a risk somebody bears for a while; what can't be borne, or never ends, is none.
#   fix: Name a rule of docs/policies.md that an Approval can suspend, and an expiresAt that is not too far away.
#   docs: docs/policies.md#ma-apr-006
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Approval]
#   exceptions: false
#   standing: false
package microapps.rules.exception_complete

import data.microapps.lib.request

exception := input.request.object.spec.exception if request.operation == "CREATE"

rule := input.context.approval.exception

violations contains {"path": "spec.exception.rule", "reason": concat("", ["there is no rule ", exception.rule])} if {
	not rule.known
	exception
}

violations contains {"path": "spec.exception.rule", "reason": concat("", ["no Approval can suspend ", exception.rule])} if {
	rule.known
	not rule.suspendable
	exception
}

violations contains {"path": "spec.expiresAt", "reason": reason} if {
	exception
	days := rule.days
	longest := input.context.settings.exceptionDays
	days > longest
	reason := concat("", ["it would last ", format_int(days, 10), " days, and ", format_int(longest, 10), " is the longest"])
}
