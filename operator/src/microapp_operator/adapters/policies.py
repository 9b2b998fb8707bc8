"""The rules in force in one process: bundle and settings, from files that are looked at again while it runs.

Must not import reconcile, admission or any API client.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from microapp_operator.adapters.rego import RegoEngine, packaged_bundle
from microapp_operator.errors import PolicyFailure
from microapp_operator.policy.settings import PolicySettings, read_settings

log = structlog.get_logger(__name__)
_LOOK_EVERY: Final = 2.0
"""Seconds between two looks at the files."""


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """Where bundle and settings are; None for what ships."""

    bundle: Path | None = None
    settings: Path | None = None


class Policies:
    """Engine and settings.

    reserved: networks no app may reach, besides those in the settings.
    on_change, on_refused: called when something new is in force, or was not taken.
    """

    def __init__(self, files: PolicyFiles, reserved: Iterable[str] = ()) -> None:
        """PolicyFailure or InvalidSpec when they can't be used."""
        self._files, self._reserved = files, tuple(reserved)
        self.engine = RegoEngine(self._read_bundle())
        self.settings = self._read_settings()
        self.on_change: Callable[[], None] = lambda: None
        self.on_refused: Callable[[], None] = lambda: None
        self._refused: dict[str, str] = {}
        self._spoilt: bytes | None = None

    async def keep_current(self) -> None:
        """Take changed files into force, each by itself, until cancelled; what is no good is refused, the old stays."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            taken = [await self._take("settings", self._take_settings), await self._take("bundle", self._take_bundle)]
            if any(taken):
                log.info("policies_changed", digest=self.engine.digest)
                self.on_change()

    async def _take(self, what: str, look: Callable[[], bool]) -> bool:
        try:
            taken = await asyncio.to_thread(look)
        except Exception as error:  # noqa: BLE001 - a loop that ends would keep the old rules for ever
            if str(error) != self._refused.get(what):
                log.error("policies_refused", what=what, error=type(error).__name__, why=str(error))
                self.on_refused()
            self._refused[what] = str(error)
            return False
        self._refused.pop(what, None)
        return taken

    def _take_settings(self) -> bool:
        old, self.settings = self.settings, self._read_settings()
        return old != self.settings

    def _take_bundle(self) -> bool:
        bundle = self._read_bundle()
        if bundle == self._spoilt:
            return False  # refused and told of already: compiling it again would tell nothing new
        self._refused.pop("bundle", None)  # another one, though it may be wrong in the same way
        self._spoilt = bundle
        taken = self.engine.reload(bundle)
        self._spoilt = None
        return taken

    def close(self) -> None:
        """Free the engine."""
        self.engine.close()

    def _read_bundle(self) -> bytes:
        path = self._files.bundle
        if path is None:
            return packaged_bundle()
        try:
            return path.read_bytes()
        except OSError as error:
            raise PolicyFailure(f"the policy bundle {path} can't be read: {error}.") from error

    def _read_settings(self) -> PolicySettings:
        settings = read_settings(self._files.settings) if self._files.settings else PolicySettings()
        reserved = tuple(dict.fromkeys((*settings.reserved_networks, *self._reserved)))
        return settings.model_copy(update={"reserved_networks": reserved})
