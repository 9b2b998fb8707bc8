"""``make bench-secrets``: what secrets cost: requests to Vault, time, and how long the event loop is held up.

A lab and a Vault of its own; the lane works as in the operator. Prints a table and writes bench-out/secrets.json.
Asserts nothing.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hack.kubectl import kubectl_for
from hack.lab.context import Cluster
from hack.lab.hollow import HollowLab
from hack.lab.lab import CONTEXT
from hack.lab.vault import LocalVault
from hack.samples import app_manifest
from hack.secrets import connect
from microapp_operator.adapters.vault import VaultStore
from microapp_operator.desired.context import SecretSource, SourceKind
from microapp_operator.model import MicroApp, RiskTier, parse
from microapp_operator.reconcile.queue import Key
from microapp_operator.reconcile.secrets import SecretLane
from microapp_operator.reconcile.secrets.identity import IdentityKeeper
from microapp_operator.reconcile.secrets.wish import Removal, Wish
from microapp_operator.settings import VaultSettings, read_settings
from microapp_operator.wiring.clock import SystemClock

_LOG = Path(__file__).parent.parent / "tests" / "golden" / "vaultlog" / "audit.log"
_TICK = 0.002


class Lag:
    """``async with Lag() as lag``: how much later than asked the event loop came back to a sleeper."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __aenter__(self) -> "Lag":
        self._task = asyncio.create_task(self._sample())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _sample(self) -> None:
        while True:
            begin = time.perf_counter()
            await asyncio.sleep(_TICK)
            self.seconds.append(time.perf_counter() - begin - _TICK)

    def worst(self) -> tuple[float, float]:
        """(99th percentile, maximum) in milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[int(len(ordered) * 0.99)] * 1000, ordered[-1] * 1000


class Bench:
    """One run: a lane on a real Vault, and as many apps as asked for."""

    def __init__(self, settings: VaultSettings, apps: int) -> None:
        self.settings, self.apps = settings, apps
        self.requests: Counter[str] = Counter()
        self.logins = 0
        self.store = VaultStore(settings, on_request=self._requested, on_login=self._logged_in)
        self.keeper = IdentityKeeper(self.store, settings)
        self.changed: set[Key] = set()
        self.lane = SecretLane(self.store, self.keeper, SystemClock(), 3600, self.changed.add)
        self.wishes = {("bench", f"app{i}"): _wish(settings, f"app{i}") for i in range(apps)}

    async def run(self) -> dict[str, Any]:
        """Bind all, ask again, look again, remove all."""
        self.lane.start()
        results = {
            "bind": await self._phase(self._bind, lambda key: self.lane.seen(key) is not None),
            "no-op": await self._phase(self._bind, lambda _: True),
            "resync": await self._phase(self._look_again, lambda key: key in self._looked),
            "remove": await self._phase(self._remove, self._removed),
        }
        await self.lane.stop()
        await self.store.close()
        return {**results, "logins": self.logins}

    def _requested(self, operation: str, _code: int, _seconds: float) -> None:
        self.requests[operation] += 1

    def _logged_in(self) -> None:
        self.logins += 1

    async def _phase(self, begin: Callable[[], None], done: Callable[[Key], bool]) -> dict[str, float]:
        before, started = self.requests.total(), time.monotonic()
        async with Lag() as lag:
            begin()
            while not all(map(done, self.wishes)):
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.05)
        p99, worst = lag.worst()
        seconds = time.monotonic() - started
        return {
            "seconds": round(seconds, 2),
            "apps_per_second": round(self.apps / seconds, 1),
            "requests_per_app": round((self.requests.total() - before) / self.apps, 2),
            "loop_lag_p99_ms": round(p99, 1),
            "loop_lag_max_ms": round(worst, 1),
        }

    def _bind(self) -> None:
        for key, wish in self.wishes.items():
            self.lane.want(key, wish)

    def _look_again(self) -> None:
        """What each app costs whenever it is looked at again without having changed."""
        self._looked: set[Key] = set()
        self._looking = [asyncio.create_task(self._look(key, wish)) for key, wish in self.wishes.items()]

    async def _look(self, key: Key, wish: Wish) -> None:
        await self.keeper.bring(wish)
        self._looked.add(key)

    def _remove(self) -> None:
        for key, wish in self.wishes.items():
            self.lane.remove(key, Removal(f"ma-bench-{wish.app.metadata.name}", wish.account_uid))

    def _removed(self, key: Key) -> bool:
        return self.lane.remove(key, Removal(f"ma-bench-{key[1]}", "uid"))


def _wish(settings: VaultSettings, name: str) -> Wish:
    raw = app_manifest(name, "bench")
    raw["metadata"] |= {"uid": f"uid-{name}", "generation": 1}
    app = parse(MicroApp, raw)
    source = SecretSource("api", SourceKind.KV, settings.kv_mount, f"bench/{name}/api")
    wish = Wish(app, _tier(), (source,), settings, "uid")
    return Wish(app, _tier(), (source,), settings, "uid", applied=wish.digest())


def _tier() -> RiskTier:
    spec = {
        "rank": 10,
        "quota": {"cpu": "1", "memory": "1Gi", "pods": 5},
        "replicasMax": 2,
        "classifications": ["internal"],
        "egress": {"maxEndpoints": 3},
        "credentials": {"ttl": "1h", "maxTTL": "24h"},
        "rotationDays": 90,
        "logRetentionDays": 30,
    }
    return parse(RiskTier, {"metadata": {"name": "low"}, "spec": spec})


def transform(lines: int) -> dict[str, float]:
    """A real log, over and over, through the command; its memory is read while it works."""
    sample = _LOG.read_bytes().splitlines(keepends=True)
    command = [sys.executable, "-m", "microapp_operator", "vault-audit", "--offline"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        memory: list[float] = []
        process.stdin.write(b"".join(sample))
        started = time.monotonic()
        for number, batch in enumerate(_batches(sample, lines)):
            process.stdin.write(batch)
            if number % 20 == 0:
                memory.append(_resident(process.pid))
        process.stdin.close()
        process.wait()
        seconds = time.monotonic() - started
    steady = memory[len(memory) // 4 :]
    return {
        "lines": lines,
        "lines_per_second": round(lines / seconds),
        "memory_mb_after_a_quarter": round(steady[0], 1),
        "memory_mb_at_the_end": round(steady[-1], 1),
    }


def _batches(sample: list[bytes], lines: int) -> Iterator[bytes]:
    """Ids differ from round to round, or all but the first would count as repeated."""
    rounds = itertools.count()
    left = lines
    while left > 0:
        tag = f"{next(rounds):08x}".encode()
        yield b"".join(_tagged(line, tag) for line in sample[:left])
        left -= len(sample)


def _tagged(line: bytes, tag: bytes) -> bytes:
    """The line with the first digits of its request's id replaced."""
    at = line.find(b'"id":"', line.find(b'"request":{')) + 6
    return line[:at] + tag + line[at + 8 :]


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apps", type=int, default=500)
    parser.add_argument("--lines", type=int, default=500_000)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "apps": arguments.apps}
    results["audit"] = transform(arguments.lines)
    with tempfile.TemporaryDirectory(prefix="microapp-bench-") as name:
        lab = HollowLab(Path(name) / "lab")
        lab.up()
        vault = LocalVault(lab.folder / "vault")
        try:
            kubectl = kubectl_for(Cluster(lab.kubeconfig, CONTEXT, "lab"))
            vault.up(Cluster(lab.kubeconfig, CONTEXT, "lab"), kubectl)
            settings = read_settings(VaultSettings, connect(vault, kubectl, Path(name)))
            results |= asyncio.run(Bench(settings, arguments.apps).run())
        finally:
            vault.remove()
            lab.down()
    print(json.dumps(results, indent=1))
    target = Path("bench-out")
    target.mkdir(exist_ok=True)
    (target / "secrets.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
