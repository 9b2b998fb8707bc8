# The pod specification an object carries, whatever workload it is, and its containers of all three sorts.
package microapps.lib.pod

prefix := {
	"Pod": "spec",
	"PodTemplate": "template.spec",
	"CronJob": "spec.jobTemplate.spec.template.spec",
	"Job": "spec.template.spec",
	"Deployment": "spec.template.spec",
	"ReplicaSet": "spec.template.spec",
	"ReplicationController": "spec.template.spec",
	"StatefulSet": "spec.template.spec",
	"DaemonSet": "spec.template.spec",
}[input.request.kind.kind]

template := input.request.object if input.request.kind.kind == "Pod"

template := input.request.object.template if input.request.kind.kind == "PodTemplate"

template := input.request.object.spec.jobTemplate.spec.template if input.request.kind.kind == "CronJob"

template := input.request.object.spec.template if not input.request.kind.kind in {"Pod", "PodTemplate", "CronJob"}

spec := template.spec

annotations_path := concat("", [trim_suffix(prefix, "spec"), "metadata.annotations"])

containers[path] := container if {
	some i, container in spec.containers
	path := concat("", [prefix, ".containers[", format_int(i, 10), "]"])
}

containers[path] := container if {
	some i, container in spec.initContainers
	path := concat("", [prefix, ".initContainers[", format_int(i, 10), "]"])
}

containers[path] := container if {
	some i, container in spec.ephemeralContainers
	path := concat("", [prefix, ".ephemeralContainers[", format_int(i, 10), "]"])
}
