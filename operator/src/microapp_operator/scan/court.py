"""Judges one object as it stands, by the functions admission judges requests with. No I/O but the policy engine's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from microapp_operator.adapters.rego import RegoEngine
from microapp_operator.errors import PolicyFailure
from microapp_operator.gates import GateInput, build_subject, resolve_exceptions
from microapp_operator.model import Manifest
from microapp_operator.policy.context import Knowledge, build_question, resolve_app
from microapp_operator.policy.review import Review
from microapp_operator.policy.standing import build_standing_review, standing
from microapp_operator.policy.verdict import Verdict, judge
from microapp_operator.ports import ObjectRef
from microapp_operator.reconcile.children import ref_of
from microapp_operator.reconcile.queue import Key

_CLEAN = Verdict()
_BROKEN = (AttributeError, KeyError, TypeError, ValueError)
"""What reading an object raises that isn't what its schema says."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One object, as it was in ``generation``.

    bundle: digest of the rules that answered. error: why there is no verdict, empty when there is one.
    """

    ref: ObjectRef
    uid: str
    generation: int
    verdict: Verdict = _CLEAN
    bundle: str = ""
    error: str = ""

    @property
    def clean(self) -> bool:
        """There is nothing to say about it."""
        return not self.error and self.verdict == _CLEAN


@dataclass(frozen=True, slots=True)
class Court:
    """One pass: the rules, the cluster as it was known when the pass began, and the apps that have exceptions."""

    engine: RegoEngine
    known: Knowledge
    gates: Mapping[Key, GateInput]
    now: datetime

    def judge(self, manifest: Manifest) -> Judged:
        """What admission would say of ``manifest``; never raises for an object that can't be judged."""
        metadata = manifest["metadata"]
        who = (ref_of(manifest), str(metadata.get("uid", "")), int(metadata.get("generation", 0)))
        try:
            review = build_standing_review(manifest)
            question = build_question(review, self.known)
            bundle, found = self.engine.decide(review.group, question.document)
            violations = standing(found)
            suspended = self._suspended(review, manifest) if violations else frozenset()
        except PolicyFailure as error:
            return Judged(*who, error=error.finding.message)
        except _BROKEN as error:
            return Judged(*who, error=f"the object can't be read: {type(error).__name__} {error}.")
        verdict = judge(violations, tier=question.tier, production=question.production, suspended=suspended)
        return Judged(*who, verdict, bundle)

    def judge_all(self, manifests: Sequence[Manifest]) -> list[Judged]:
        """The same of each."""
        return [self.judge(manifest) for manifest in manifests]

    def _suspended(self, review: Review, manifest: Manifest) -> frozenset[str]:
        gate = self.gates.get(resolve_app(review, self.known))
        return resolve_exceptions(gate, build_subject(manifest), self.now) if gate else frozenset()
