# METADATA
# title: Who edited a MicroApp is stamped, not claimed
# custom:
#   id: MA-APR-007
#   what: annotation microapps.dev/editors says {given}; what admission stamps here is {stamp}.
#   why: Who edited an app can't approve it; whoever could write this list could take themselves off it.
#   fix: Leave the annotation out of what you apply; it is filled in.
#   docs: docs/policies.md#ma-apr-007
#   severity: critical
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
#   exceptions: false
#   standing: false
package microapps.rules.editors_stamp

given := object.get(object.get(input.request.object.metadata, "annotations", {}), "microapps.dev/editors", "")

violations contains {"path": "metadata.annotations", "given": given, "stamp": input.context.editors} if {
	given != input.context.editors
}
