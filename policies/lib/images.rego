# Every image an object names: of the containers and volumes of a pod or pod template, or the one of a MicroApp.
package microapps.lib.images

import data.microapps.lib.pod

refs[field] := image if {
	some path, container in pod.containers
	image := object.get(container, "image", "")
	field := concat(".", [path, "image"])
}

refs[field] := image if {
	some i, volume in pod.spec.volumes
	source := object.get(volume, "image", null)
	source != null
	image := object.get(source, "reference", "")
	field := concat("", [pod.prefix, ".volumes[", format_int(i, 10), "].image.reference"])
}

refs["spec.runtime.image"] := image if {
	input.request.kind.kind == "MicroApp"
	image := object.get(input.request.object.spec.runtime, "image", "")
}
