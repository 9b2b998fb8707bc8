"""Asks registries what images run, in a lane of its own: one that hangs holds up nothing but what waits for it.

Each image is asked about once, however many apps have it, and again with backoff while somebody waits and nobody knows.
Must not import adapters or any client library.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

import structlog

from microapp_operator.decide.entrypoint import Answer, build_unknown, judge_image
from microapp_operator.errors import Blocked, Transient
from microapp_operator.model.image import parse_image
from microapp_operator.model.status import Entrypoint
from microapp_operator.ports import ImageRegistries
from microapp_operator.reconcile.queue import Key, WorkQueue

log = structlog.get_logger(__name__)
PATIENCE: Final = 10.0
"""Seconds that apps wait for the first answer, before they are run without what has to know it."""
_AT_ONCE: Final = 4
"""Images asked about at once of one registry."""
_LOOK_AGAIN: Final = 60.0
"""Seconds before one that refuses is asked again: a person has to act first."""
_LONGEST: Final = 300.0
KEPT: Final = 1000
"""Answers kept in memory, for the next app with the same image; the apps that have asked keep theirs in status."""


@dataclass(slots=True)
class EntrypointLane:
    """``services.Entrypoints`` on the registries. on_news asks for another pass over an app.

    queue: of images, as name and digest. answers: what is known of images by name: what they run, or why nobody knows.
    """

    registries: ImageRegistries
    on_news: Callable[[Key], None]
    patience: float = PATIENCE
    queue: WorkQueue = field(default_factory=lambda: WorkQueue(base=1.0, limit=_LONGEST))
    answers: dict[str, Answer] = field(default_factory=dict)
    _wanted: dict[Key, frozenset[str]] = field(default_factory=dict)
    _askers: dict[str, set[Key]] = field(default_factory=dict)
    _patience: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    _troubles: dict[str, Answer] = field(default_factory=dict)
    _turns: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self) -> None:
        """Start asking."""
        self._spawn(self._dispatch())

    async def stop(self) -> None:
        """End it; the next process asks anew what status doesn't say."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for timer in self._patience.values():
            timer.cancel()
        await self.queue.close()

    def want(self, key: Key, images: frozenset[str]) -> None:
        """The app of ``key`` waits for what these run, and for no others; the same again costs nothing."""
        before = self._wanted.get(key, frozenset())
        if images:
            self._wanted[key] = images
        else:
            self._wanted.pop(key, None)
        for image in before - images:
            self._leave(key, image)
        for image in images - before:
            self._askers.setdefault(image, set()).add(key)
            if isinstance(self.answers.get(image), Entrypoint):  # since the app was looked at
                self.on_news(key)
            elif len(self._askers[image]) == 1:
                loop = asyncio.get_running_loop()
                self._patience[image] = loop.call_later(self.patience, self._lose_patience, image)
                self.queue.add(_split(image))

    def _leave(self, key: Key, image: str) -> None:
        """One app less waits; what nobody waits for isn't asked any more, and a trouble with it is forgotten."""
        self._askers[image].discard(key)
        if self._askers[image]:
            return
        del self._askers[image]
        self._settle(image)
        self.queue.drop(_split(image))
        if not isinstance(self.answers.get(image), Entrypoint):
            self.answers.pop(image, None)

    async def _dispatch(self) -> None:
        while (asked := await self.queue.get()) is not None:
            self._spawn(self._ask(asked))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, asked: Key) -> None:
        image = "@".join(asked)
        name = parse_image(image)
        assert name is not None  # no other is asked about
        try:
            async with self._turns.setdefault(name.host, asyncio.Semaphore(_AT_ONCE)):
                if image in self._askers:
                    self._answer(image, judge_image(image, await self.registries.read(name)))
                    self.queue.forget(asked)
        except Blocked as error:
            log.warning("registry_refuses", image=image, why=error.finding.message)
            self._answer(image, build_unknown(error.finding.message))
            self.queue.retry(asked, at_least=_LOOK_AGAIN)
        except Transient as error:
            log.warning("registry_not_read", image=image, why=error.finding.message)
            self._trouble(image, build_unknown(error.finding.message))
            self.queue.retry(asked, at_least=min(error.retry_after or 0.0, _LONGEST))
        except Exception:  # a bug met by one image must not stop the others: logged, retried
            log.exception("registry_crashed", image=image)
            self.queue.retry(asked)
        finally:
            self.queue.done(asked)

    def _trouble(self, image: str, answer: Answer) -> None:
        """It may pass soon: apps are told once their patience is at an end."""
        if image in self._patience:
            self._troubles[image] = answer
        else:
            self._answer(image, answer)

    def _lose_patience(self, image: str) -> None:
        silent = build_unknown(f"the registry of {image} has not answered within {self.patience:.0f} s")
        self._answer(image, self._troubles.get(image, silent))

    def _answer(self, image: str, answer: Answer) -> None:
        self._settle(image)
        if image not in self._askers or self.answers.get(image) == answer:
            return
        self.answers[image] = answer
        for key in tuple(self._askers[image]):
            self.on_news(key)
        unasked = [known for known in self.answers if known not in self._askers]
        for oldest in unasked[: max(len(self.answers) - KEPT, 0)]:
            del self.answers[oldest]

    def _settle(self, image: str) -> None:
        """Nobody waits for the first answer any more."""
        self._troubles.pop(image, None)
        timer = self._patience.pop(image, None)
        if timer is not None:
            timer.cancel()


def _split(image: str) -> Key:
    name, _, digest = image.rpartition("@")
    return name, digest
