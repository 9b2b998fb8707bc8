"""``validate`` without its process: manifests in, what is said of them out."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from microapp_operator.cli.bench import Bench
from microapp_operator.cli.findings import Judged
from microapp_operator.cli.manifests import Located, read_manifests
from microapp_operator.cli.picture import Picture
from microapp_operator.cli.sources import Source
from microapp_operator.policy.settings import PolicySettings
from microapp_operator.ports import PolicyEngine
from tests.support.samples import tier_manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = PolicySettings(registries=("registry.example.com/",))


def located(*manifests: Any) -> list[Located]:
    """The manifests, as if read from a file."""
    source = Source("file.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}).encode())
    read = list(read_manifests(source))
    assert all(isinstance(each, Located) for each in read), read
    return [each for each in read if isinstance(each, Located)]


def judge_files(
    engine: PolicyEngine,
    files: Iterable[Any],
    *,
    there: Iterable[Any] = (),
    settings: PolicySettings = SETTINGS,
    told: bool = True,
    now: datetime = NOW,
) -> list[Judged]:
    """What is said of ``files`` where the cluster holds ``there`` and the tiers low, medium and high."""
    picture = Picture(settings)
    subjects = located(*files)
    tiers = [tier_manifest(name, rank=rank) for name, rank in (("low", 10), ("medium", 20), ("high", 30))]
    assert not [*picture.learn(located(*tiers, *there), there=True), *picture.learn(subjects, there=False)]
    picture.settle()
    bench = Bench(engine, settings, picture, now, told=told)
    return [bench.judge(subject) for subject in subjects]
