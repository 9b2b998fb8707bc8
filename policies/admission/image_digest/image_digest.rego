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
	not pinned(image)
}

# By hand: a regular expression takes longer in WebAssembly than all other rules about a pod together.
pinned(image) if {
	parts := split(image, "@sha256:")
	count(parts) > 1
	digest := parts[count(parts) - 1]
	count(digest) == 64
	trim_left(digest, "0123456789abcdef") == ""
}
