# METADATA
# title: Images come from allowed registries
# custom:
#   id: MA-IMG-002
#   what: image "{image}" is from none of the allowed registries ({allowed}).
#   why: Only images from these registries are scanned and kept; anything else may be changed or taken away by strangers.
#   fix: Push the image to an allowed registry and name it from there.
#   docs: docs/policies.md#ma-img-002
#   severity: high
#   tiers: [low, medium, high]
#   kinds: [Pod, MicroApp]
package microapps.rules.image_registry

import data.microapps.lib.images
import data.microapps.lib.request

allowed := object.get(request.settings, "registries", [])

violations contains {"path": path, "image": image, "allowed": allowed} if {
	some path, image in images.refs
	not from_allowed(image)
}

# A prefix without its slash at the end would let registry.example.com.evil.org through.
from_allowed(image) if {
	some prefix in allowed
	endswith(prefix, "/")
	startswith(image, prefix)
}
