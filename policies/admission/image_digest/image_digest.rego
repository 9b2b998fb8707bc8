# METADATA
# title: Images are pinned by digest
# custom:
#   id: MA-IMG-001
#   what: image "{image}" has no digest.
#   why: A tag can be moved to other bytes after the review, so nobody knows what runs.
#   fix: Write the image as name@sha256:<digest>; `docker buildx imagetools inspect <image>` shows the digest.
#   docs: docs/policies.md#ma-img-001
#   severity: high
#   tiers: [medium, high]
#   kinds: [Pod, MicroApp]
#   exceptions: false
package microapps.rules.image_digest

import data.microapps.lib.images

violations contains {"path": path, "image": image} if {
	some path, image in images.refs
	not regex.match(`@sha256:[a-f0-9]{64}$`, image)
}
