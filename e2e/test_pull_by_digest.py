"""Nodes pull images from the registry by digest, and what isn't there doesn't run."""

import json
from typing import Any

from hack.lab.images import build_archive
from hack.lab.nodelab import REGISTRY, NodeLab
from tests.support.eventually import eventually
from tests.support.pods import Pods


def waiting(pods: Pods, name: str) -> str:
    statuses: list[dict[str, Any]] = pods.get(name)["status"].get("containerStatuses", [])
    return str(statuses[0]["state"].get("waiting", {}).get("reason", "")) if statuses else ""


def test_every_node_runs_the_very_image_that_was_pushed(pods: Pods, lab: NodeLab) -> None:
    for node in lab.nodes:
        pods.serve(node.name, node=node.name)
        (container,) = pods.get(node.name)["status"]["containerStatuses"]
        assert container["imageID"] == pods.image
    assert pods.image.startswith(f"{REGISTRY}/lab/agnhost@sha256:")


def test_an_archive_keeps_its_digest(lab: NodeLab, tmp_path: Any) -> None:
    pause = lab.folder / "bin" / "pause"
    digests = set()
    for name in ("one", "two"):
        archive = tmp_path / f"{name}.tar"
        build_archive(archive, {"/pause": pause}, ["/pause"])
        reference = lab.registry.push(archive, f"e2e/{name}")
        digests.add(reference.partition("@")[2])
    assert len(digests) == 1


def test_an_image_nobody_pushed_is_not_run(pods: Pods) -> None:
    stranger = Pods(pods.kubectl, pods.namespace, f"{pods.image.partition('@')[0]}@sha256:{'0' * 64}")
    stranger.apply(stranger.manifest("stranger"))
    eventually(lambda: waiting(pods, "stranger") in ("ErrImagePull", "ImagePullBackOff"))
    events = json.loads(pods.kubectl("get", "events", "-n", pods.namespace, "-o", "json"))["items"]
    assert any("not found" in event["message"] for event in events if event["reason"] == "Failed")
