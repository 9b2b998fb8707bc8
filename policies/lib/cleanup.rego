# The annotation that lets an app go while its secrets can't be removed from the store.
package microapps.lib.cleanup

why := annotation(input.request.object, "microapps.dev/skip-secret-cleanup")

by := annotation(input.request.object, "microapps.dev/skip-secret-cleanup-by")

before := annotation(object.get(input.request, "oldObject", null), "microapps.dev/skip-secret-cleanup")

annotation(subject, key) := object.get(object.get(subject.metadata, "annotations", {}), key, "") if is_object(subject)

annotation(subject, _) := "" if not is_object(subject)
