"""The app's persistent volumes. Imports model, metadata and sizes only."""

from microapp_operator.desired.metadata import build_child
from microapp_operator.desired.sizes import canonical_memory
from microapp_operator.model import Manifest, MicroApp


def build_claims(app: MicroApp) -> tuple[Manifest, ...]:
    """One PersistentVolumeClaim per entry of ``spec.storage``, of the cluster's default StorageClass."""
    return tuple(
        build_child(
            app,
            "PersistentVolumeClaim",
            name=volume.name,
            body={
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": canonical_memory(volume.size)}},
                }
            },
        )
        for volume in app.spec.storage
    )
