# METADATA
# title: Who leaves secrets behind is stamped, not claimed
# custom:
#   id: MA-SEC-002
#   what: annotation microapps.dev/skip-secret-cleanup-by says {given}; what admission stamps here is {stamp}.
#   why: The record of who let an app go is worth nothing when anybody can write it.
#   fix: Leave the annotation out of what you apply; it is filled in.
#   docs: docs/policies.md#ma-sec-002
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [MicroApp]
#   exceptions: false
#   standing: false
package microapps.rules.cleanup_stamp

import data.microapps.lib.cleanup

stamp := object.get(object.get(input.context, "cleanup", {}), "by", "")

violations contains {"path": "metadata.annotations", "given": cleanup.by, "stamp": stamp} if cleanup.by != stamp
