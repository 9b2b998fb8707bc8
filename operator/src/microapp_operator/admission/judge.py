"""From the bytes of a review to the bytes of its answer; every way it can end is an answer, none an accidental allow.

Evaluations run on threads, one per core: WebAssembly runs outside the interpreter's lock, and one that doesn't
end must not stop the others from being answered.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog

from microapp_operator.adapters.rego import RegoEngine
from microapp_operator.admission.enquiry import Enquirer
from microapp_operator.errors import InvalidSpec, OperatorError, PolicyFailure
from microapp_operator.model import Manifest
from microapp_operator.policy.context import Knowledge, Question, build_question
from microapp_operator.policy.review import Review, build_mutation, build_refusal, build_response, parse_review
from microapp_operator.policy.stamp import build_stamp
from microapp_operator.policy.verdict import Verdict, Violation, judge

log = structlog.get_logger(__name__)
_PATIENCE: Final = 3.0
"""Seconds after which the API server has given up on an answer (timeoutSeconds of the configuration)."""
OnReview = Callable[[str, str, float], None]
"""(kind, outcome, seconds)."""
OnDenial = Callable[[str, int], None]
"""(rule id, how often it stands against the request)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """status: HTTP code, 400 where there was nothing to answer. body: an AdmissionReview, or the reason as text."""

    status: int
    body: bytes


class Judge:
    """Answers reviews by the rules in force and what is known of the cluster."""

    def __init__(self, engine: RegoEngine, known: Knowledge, enquirer: Enquirer, *, threads: int | None = None) -> None:
        self._engine, self._known, self._enquirer = engine, known, enquirer
        self._threads = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="policy")
        self.on_review: OnReview = lambda *_: None
        self.on_denial: OnDenial = lambda *_: None

    def close(self) -> None:
        """End the threads, once what runs on them has ended."""
        self._threads.shutdown(cancel_futures=True)

    async def answer(self, body: bytes) -> Answer:
        """Judge the review in ``body``."""
        started = time.perf_counter()
        try:
            review = parse_review(body)
        except InvalidSpec as error:
            self.on_review("", "malformed", time.perf_counter() - started)
            return Answer(400, _fault(error))
        outcome, answer = await self._judge(review)
        self.on_review(review.kind, outcome, time.perf_counter() - started)
        return answer

    async def stamp(self, body: bytes) -> Answer:
        """Fill in who edits or approves; allows, and leaves the judgement to ``answer``."""
        try:
            review = parse_review(body)
            return Answer(200, build_mutation(review.uid, build_stamp(review.request)))
        except InvalidSpec as error:
            return Answer(400, _fault(error))
        except (AttributeError, TypeError) as error:
            return Answer(400, f"the object in the review is malformed: {error}".encode())

    async def _judge(self, review: Review) -> tuple[str, Answer]:
        try:
            question = build_question(review, self._known, await self._enquirer.about(review))
            late = time.monotonic() + _PATIENCE
            digest, violations = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._decide, review.group, question.document, late
            )
            verdict = await self._verdict(review, question, violations)
        except OperatorError as error:
            known = isinstance(error, PolicyFailure | InvalidSpec)
            why = error.finding.text() if known else f"the cluster can't be read: {error}"
            log.error("review_not_judged", kind=review.kind, namespace=review.namespace, why=why)
            return "error", Answer(200, build_refusal(review.uid, f"microapps: {why} Nothing was changed; try again."))
        denials = Counter(v.rule.id for v in verdict.denied)
        for rule, times in denials.items():
            self.on_denial(rule, times)
        if denials:
            log.info(
                "denied",
                kind=review.kind,
                namespace=review.namespace,
                name=review.request.get("name"),
                user=review.request["userInfo"].get("username"),
                rules=sorted(denials),
            )
        return "allowed" if verdict.allowed else "denied", Answer(200, build_response(review, verdict, digest))

    def _decide(self, group: str, document: Manifest, late: float) -> tuple[str, tuple[Violation, ...]]:
        """Not what nobody waits for any more: a backlog would only keep the next ones waiting, too."""
        if time.monotonic() > late:
            raise PolicyFailure(f"the request waited for more than {_PATIENCE:g} s.")
        return self._engine.decide(group, document)

    async def _verdict(self, review: Review, question: Question, violations: Sequence[Violation]) -> Verdict:
        """Exceptions are asked for only where one would change something."""
        verdict = judge(violations, tier=question.tier, production=question.production)
        if not any(v.rule.exceptions for v in verdict.denied):
            return verdict
        suspended = await self._enquirer.suspended(review)
        if not suspended:
            return verdict
        return judge(violations, tier=question.tier, production=question.production, suspended=suspended)


def _fault(error: InvalidSpec) -> bytes:
    return f"{error.finding.path}: {error.finding.message}".lstrip(": ").encode()
