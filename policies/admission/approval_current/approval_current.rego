# METADATA
# title: An Approval is for what is there now
# custom:
#   id: MA-APR-005
#   what: '{field} is {given}; {state}.'
#   why: An approval of something else than what would run is worth nothing, and would look as if it were.
#   fix: Look at the app again (kubectl get microapp -o yaml); if it is still right, take the values from its status.
#   docs: docs/policies.md#ma-apr-005
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Approval]
#   exceptions: false
#   standing: false
package microapps.rules.approval_current

import data.microapps.lib.request

spec := input.request.object.spec

scope := spec.scope

approval := input.context.approval

violations contains {"path": "spec.microApp", "field": "microApp", "given": spec.microApp, "state": "there is no such MicroApp in this namespace"} if {
	request.operation == "CREATE"
	not approval.app.exists
	scope != "exception"
}

violations contains {"path": concat("", ["spec.", field]), "field": field, "given": spec[field], "state": state} if {
	request.operation == "CREATE"
	some field, wanted in approval.wanted
	not spec[field] in wanted
	state := wording(wanted)
}

wording(wanted) := "the app has nothing of that name" if count(wanted) == 0

wording(wanted) := concat(" ", ["now it is", concat(" or ", [text(value) | some value in wanted])]) if count(wanted) > 0

text(value) := value if is_string(value)

text(value) := format_int(value, 10) if is_number(value)
