"""What an app runs, where something of the platform's is put before it and its spec doesn't say. Pure.

What an image runs never changes, since the image is named by its digest. Imports model, reasons and desired at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from microapp_operator.model import MicroApp
from microapp_operator.model.image import parse_image
from microapp_operator.model.status import WORDS_MAX, Entrypoint
from microapp_operator.reasons import Finding, Reason

Answer = Entrypoint | Finding
"""What became of asking about an image: what it runs, or why that isn't known."""
_LENGTH_MAX: Final = 16_384
"""Characters of all words together: they are kept in status."""
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class ImageProcess:
    """What an image runs on one platform, such as linux/amd64, as its configuration says."""

    platform: str
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]

    def resolve(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Command and arguments of a container that says neither (core/v1 Container).

        An entrypoint of one empty word is none, as for containerd (internal/cri/opts, WithProcessArgs).
        """
        entrypoint = () if self.entrypoint == ("",) else self.entrypoint
        return (entrypoint, self.cmd) if entrypoint else (self.cmd, ())


@dataclass(frozen=True, slots=True)
class EntrypointDecision:
    """known: what the image runs, as status has it; only that is rendered, so that no restart forgets it.

    learned: what its registry has just said. finding: why it isn't known. asks: the image to ask about, empty for none.
    """

    known: Entrypoint | None = None
    learned: Entrypoint | None = None
    finding: Finding | None = None
    asks: str = ""

    @property
    def waits(self) -> Finding | None:
        """What the workload waits for; None when it needn't."""
        if self.learned is not None:
            return Finding(Reason.PROGRESSING, "", "What the image runs has just been learned.")
        if not self.asks or self.finding is not None:
            return None
        message = f"The registry is asked what {self.asks} runs; the app waits for its answer, but not for long."
        return Finding(Reason.PROGRESSING, "", message)

    def to_keep(self, before: Entrypoint | None) -> Entrypoint | None:
        """What status has to say from now on. before: what it says."""
        return self.learned or self.known or (before if self.asks or self.finding else None)


NOT_NEEDED: Final = EntrypointDecision()


def resolve_entrypoint(app: MicroApp, registries: Sequence[str], answers: Mapping[str, Answer]) -> EntrypointDecision:
    """What is known of what the image of ``app`` runs; nothing is needed where the spec says it.

    registries: prefixes of images that may be asked about. answers: what is known of images.
    """
    runtime, kept = app.spec.runtime, app.status.entrypoint
    image = runtime.image
    if runtime.command:
        return NOT_NEEDED
    if kept is not None and kept.image == image:
        return EntrypointDecision(known=kept)
    if parse_image(image) is None:
        message = f"{image} isn't named by digest, so what it runs may change"
        return EntrypointDecision(finding=build_unknown(message))
    if not image.startswith(tuple(registries)):
        message = f"{image} is from none of the registries in the operator's settings, and no other is asked"
        return EntrypointDecision(finding=build_unknown(message))
    answer = answers.get(image)
    if isinstance(answer, Entrypoint):
        return EntrypointDecision(learned=answer)
    return EntrypointDecision(finding=answer, asks=image)


def judge_image(image: str, processes: Sequence[ImageProcess]) -> Answer:
    """What ``image`` runs, whatever the node; or why that can't be said."""
    said = {process.resolve(): process.platform for process in processes}
    if not said:
        return build_unknown(f"{image} has nothing for Linux")
    if len(said) > 1:
        each = ", ".join(f"{_show(words)} on {platform}" for words, platform in list(said.items())[:2])
        return build_unknown(f"{image} doesn't run the same on each platform: {each}")
    ((command, args),) = said
    words = (*command, *args)
    if not command:
        return build_unknown(f"{image} says nothing to run: it has neither ENTRYPOINT nor CMD")
    if any("\0" in word for word in words):
        return build_unknown(f"{image} names a word with a NUL, which nothing can be run with")
    if max(len(command), len(args)) > WORDS_MAX or sum(map(len, words)) > _LENGTH_MAX:
        return build_unknown(f"what {image} runs is longer than {WORDS_MAX} words or {_LENGTH_MAX} characters")
    return Entrypoint(image=image, command=command, args=args)


def build_unknown(why: str) -> Finding:
    """What is said of an app when nobody knows what it runs. why: without a dot at the end."""
    return Finding(
        Reason.ENTRYPOINT_UNKNOWN, "spec.runtime.command", f"it isn't set, and what the image runs isn't known: {why}."
    )


def _show(words: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
    text = repr([*words[0], *words[1]])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
