"""A play in steps, each announced and timed: what the demos have in common."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hack.kubectl import Kubectl
from hack.lab.build import LabError


@dataclass
class Stage:
    """Where the demo plays, and how long each step took."""

    kubectl: Kubectl
    times: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, run it, keep its time."""
        print(f"\n\033[1m▸ {title}\033[0m", flush=True)
        begin = time.monotonic()
        yield
        self.times.append((title, time.monotonic() - begin))
        print(f"  done in {self.times[-1][1]:.2f} s", flush=True)

    def show(self, *arguments: str) -> None:
        """Run kubectl and print what it said, indented."""
        print(f"  $ kubectl {' '.join(arguments)}")
        print("".join(f"    {line}\n" for line in self.kubectl(*arguments).splitlines()), end="", flush=True)

    def wait(self, namespace: str, name: str, condition: str, value: str = "True", *, seconds: int = 60) -> None:
        """Wait for a condition of a MicroApp."""
        wanted = (f"--for=condition={condition}={value}", f"--timeout={seconds}s")
        self.kubectl("wait", *wanted, f"mapp/{name}", "-n", namespace)


def until(what: str, check: Callable[[], bool], *, timeout: float = 30.0) -> None:
    """Poll ``check``; LabError naming ``what`` when it doesn't come true."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            raise LabError(f"this did not happen within {timeout:.0f} s: {what}")
        time.sleep(0.02)
