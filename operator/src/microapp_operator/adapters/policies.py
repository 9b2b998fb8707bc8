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
from microapp_operator.errors import InvalidSpec, PolicyFailure
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

    async def keep_current(self) -> None:
        """Take changed files into force, until cancelled; what is no good is refused, and the old stays."""
        refused = ""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                settings = self._read_settings()
                changed = await asyncio.to_thread(self.engine.reload, self._read_bundle())
                refused = ""
            except (PolicyFailure, InvalidSpec) as error:
                if str(error) != refused:
                    log.error("policies_refused", why=error.finding.message, path=error.finding.path)
                    self.on_refused()
                refused = str(error)
                continue
            if changed or settings != self.settings:
                self.settings = settings
                log.info("policies_changed", digest=self.engine.digest)
                self.on_change()

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
