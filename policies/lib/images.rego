# Every image an object names: of the containers of a pod or pod template, or the one of a MicroApp.
package microapps.lib.images

import data.microapps.lib.pod

refs[field] := image if {
	some path, container in pod.containers
	image := object.get(container, "image", "")
	field := concat(".", [path, "image"])
}

refs["spec.runtime.image"] := image if {
	input.request.kind.kind == "MicroApp"
	image := object.get(input.request.object.spec.runtime, "image", "")
}
