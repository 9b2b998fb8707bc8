# METADATA
# title: No image by tag latest, or by no tag at all
# custom:
#   id: MA-IMG-003
#   what: image "{image}" means whatever is newest.
#   why: What runs would change by itself, at the next restart of any pod.
#   fix: Name a version and its digest, as name:1.4@sha256:<digest>.
#   docs: docs/policies.md#ma-img-003
#   severity: medium
#   tiers: [low, medium, high]
#   kinds: [Pod, MicroApp]
package microapps.rules.image_latest

import data.microapps.lib.images

violations contains {"path": path, "image": image} if {
	some path, image in images.refs
	floating(image)
}

floating(image) if endswith(split(image, "@")[0], ":latest")

# A colon before the last slash is a port, not a tag.
floating(image) if {
	not contains(image, "@")
	parts := split(image, "/")
	not contains(parts[count(parts) - 1], ":")
}
