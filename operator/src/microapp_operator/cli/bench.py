"""Judges manifests as admission and the operator would, with what the files say of the cluster.

Kept out: who asks and what was there before, which no file tells.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import orjson

from microapp_operator.cli.findings import SCHEMA, Finding, Judged, Level
from microapp_operator.cli.manifests import Located
from microapp_operator.cli.picture import Picture, defaulted, stamped
from microapp_operator.cli.scope import ASSUMED, OURS, explain_unasked, is_guess, split_version
from microapp_operator.constants import API_VERSION, GROUP
from microapp_operator.decide.decision import Decision, Surroundings, evaluate
from microapp_operator.decide.namespace import build_not_ours
from microapp_operator.desired.namespace import build_namespace
from microapp_operator.errors import InvalidSpec, PolicyFailure
from microapp_operator.gates import (
    GateInput,
    build_subject,
    compute_exception_fingerprint,
    compute_fingerprint,
    resolve_exceptions,
)
from microapp_operator.model import Approval, Manifest, MicroApp, find_faults, parse
from microapp_operator.model.approval import ExceptionObject, PolicyException
from microapp_operator.policy.context import build_question
from microapp_operator.policy.review import REVIEW_VERSION, parse_review
from microapp_operator.policy.settings import PolicySettings
from microapp_operator.policy.verdict import Violation, judge
from microapp_operator.ports import PolicyEngine
from microapp_operator.reasons import Finding as Cause
from microapp_operator.settings import Capabilities

_REQUEST_MAX: Final = 3 * 2**20
"""Bytes of a request the API server takes."""


@dataclass(slots=True)
class Bench:
    """What is judged by.

    settings: of the rules. told: they were given, and aren't the defaults. now: time against which approvals end.
    """

    engine: PolicyEngine
    settings: PolicySettings
    picture: Picture
    now: datetime
    told: bool

    def judge(self, subject: Located) -> Judged:
        """All that would be said of ``subject`` as it stands; PolicyFailure when the rules give no answer."""
        manifest = subject.manifest
        unasked = explain_unasked(manifest, self.picture.known.namespaces)
        if unasked:
            return Judged(subject, unjudged=unasked)
        group, _ = split_version(manifest)
        if group != GROUP:
            app = self.picture.app_in(str(manifest["metadata"].get("namespace") or ""))
            return Judged(subject, self._ruled(subject, manifest, app))
        faults = _schema_faults(manifest)
        if faults:
            return Judged(subject, self._misshapen(subject, faults))
        return self._ours(subject, defaulted(stamped(manifest)))

    def _ours(self, subject: Located, manifest: Manifest) -> Judged:
        match parse(OURS[manifest["kind"]], manifest):
            case MicroApp() as app:
                return self._app(subject, manifest, app)
            case Approval() as approval:
                return Judged(subject, self._ruled(subject, manifest, None), fingerprint=_of_exception(approval))
        return Judged(subject, self._ruled(subject, manifest, None))

    def _app(self, subject: Located, manifest: Manifest, app: MicroApp) -> Judged:
        meta = app.metadata
        there = self.picture.known.apps.setdefault(meta.namespace, set())
        there.discard(meta.name)
        found = self._ruled(subject, manifest, app)
        there.add(meta.name)
        said = frozenset(f.path for f in found if f.level in (Level.DENIED, Level.UNKNOWN))
        found += self._operated(subject, app, said)
        if meta.namespace:
            return Judged(subject, found, fingerprint=compute_fingerprint(app))
        parts = (
            "metadata.namespace: without it neither tenant nor fingerprint are known.",
            "Fix: Name the tenant's namespace there, or with --namespace.",
        )
        return Judged(subject, (*found, Finding(Level.UNKNOWN, SCHEMA, "metadata.namespace", subject.start, parts)))

    def _misshapen(self, subject: Located, faults: Sequence[Cause]) -> tuple[Finding, ...]:
        """What doesn't fit the schema, and what the rules say besides, so that all of it can be mended at once."""
        kind = subject.manifest["kind"]
        found = []
        for fault in faults:
            explain = ".".join([kind.lower(), *(p.partition("[")[0] for p in fault.path.split(".") if p)])
            parts = (f"[{SCHEMA}] {fault.path}: {fault.message}", f"Fix: Write it as `kubectl explain {explain}` says.")
            found.append(Finding(Level.DENIED, SCHEMA, fault.path, subject.line_of(fault.path), parts))
        try:
            ruled = self._ruled(subject, subject.manifest, None) if kind in OURS else ()
        except PolicyFailure:
            ruled = ()  # admission is never asked about what breaks its schema
        return (*found, *(f for f in ruled if f.rule != SCHEMA))

    def _ruled(self, subject: Located, manifest: Manifest, app: MicroApp | None) -> tuple[Finding, ...]:
        """What the rules say."""
        try:
            review = parse_review(_review(manifest))
        except InvalidSpec as error:
            path = error.finding.path.removeprefix("request.object.").replace("request.", "metadata.")
            text = f"[{SCHEMA}] {path}: {error.finding.message}" if path else f"[{SCHEMA}] {error.finding.message}"
            parts = (text, f"Fix: See `kubectl explain {manifest['kind'].lower()}`.")
            return (Finding(Level.DENIED, SCHEMA, path, subject.line_of(path), parts),)
        known = self.picture.known
        if is_guess(manifest, known.namespaces):
            known = replace(known, namespaces={**known.namespaces, review.namespace: ASSUMED})
        question = build_question(review, known)
        violations = [v for v in self.engine.evaluate(review.group, question.document) if v.rule.standing]
        unknown = [v for v in violations if self._untold(v, app)]
        verdict = judge(
            [v for v in violations if v not in unknown],
            tier=question.tier,
            production=question.production,
            suspended=self._suspended(app, manifest),
        )
        groups = (
            (Level.DENIED, verdict.denied),
            (Level.WARNED, verdict.warned),
            (Level.EXCEPTED, verdict.suspended),
        )
        found = (_finding(level, subject, violation, app) for level, group in groups for violation in group)
        return (*found, *(_build_untold(subject, v) for v in unknown))

    def _untold(self, violation: Violation, app: MicroApp | None) -> bool:
        """The denial would only say that something wasn't given."""
        rests = RESTS_ON.get(violation.rule.id)
        return rests is not None and not rests.told(self, app)

    def _suspended(self, app: MicroApp | None, manifest: Manifest) -> frozenset[str]:
        tier = self.picture.tiers.get(app.spec.risk_tier) if app else None
        if app is None or tier is None:
            return frozenset()
        gate = GateInput(app, tier, self.picture.approvals, self.settings, self.engine.digest)
        return resolve_exceptions(gate, build_subject(manifest), self.now)

    def _operated(self, subject: Located, app: MicroApp, said: frozenset[str]) -> tuple[Finding, ...]:
        """What the operator would say in conditions, but for fields (``said``) a rule has spoken about already."""
        tier = self.picture.tiers.get(app.spec.risk_tier)
        causes: list[tuple[Level, Cause]] = []
        if tier is not None:
            decision = evaluate(app, tier, self._surroundings(), self.now)
            causes += [(Level.BLOCKED, cause) for cause in decision.blocked if cause.path not in said]
            causes += [(Level.WAITS, cause) for cause in _pending(app, decision)]
        taken = self.picture.taken(app)
        causes += [(Level.BLOCKED, build_not_ours(app, taken))] if taken else []
        return tuple(Finding(level, c.reason, c.path, subject.line_of(c.path), c.parts()) for level, c in causes)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            tiers=self.picture.tiers,
            connectors=self.picture.connectors,
            approvals=self.picture.approvals,
            capabilities=Capabilities(),
            reserved=tuple(map(ipaddress.ip_network, self.settings.reserved_networks)),
            settings=self.settings,
            policy_digest=self.engine.digest,
        )


def _pending(app: MicroApp, decision: Decision) -> Iterable[Cause]:
    """Their texts quote fingerprints, which aren't known without the namespace."""
    return decision.verdict.pending if app.metadata.namespace else ()


def _schema_faults(manifest: Manifest) -> tuple[Cause, ...]:
    """What the API server's schema of our kinds would refuse."""
    kind = manifest["kind"]
    if kind not in OURS:
        return (_fault("kind", f"there is no kind {kind} in {GROUP}; there are {', '.join(OURS)}."),)
    if manifest["apiVersion"] != API_VERSION:
        return (_fault("apiVersion", f"{manifest['apiVersion']} isn't served; write {API_VERSION}."),)
    faults = find_faults(OURS[kind], stamped(manifest))
    if kind == "MicroApp" and not faults:
        faults = _name_faults(manifest)
    return faults


def _name_faults(manifest: Manifest) -> tuple[Cause, ...]:
    """Of a MicroApp's name, which becomes part of its children's; its namespace may still come from kubectl."""
    metadata = manifest["metadata"]
    placed = {**manifest, "metadata": {**metadata, "namespace": metadata.get("namespace") or "default"}}
    try:
        build_namespace(parse(MicroApp, stamped(placed)))
    except InvalidSpec as error:
        return (error.finding,)
    return ()


def _fault(path: str, message: str) -> Cause:
    return InvalidSpec(path=path, message=message).finding


@dataclass(frozen=True, slots=True)
class RestsOn:
    """What the verdict of a rule rests on that the files need not tell, how to tell it, and whether it was told."""

    what: str
    fix: str
    told: Callable[[Bench, MicroApp | None], bool]


RESTS_ON: Final[Mapping[str, RestsOn]] = {
    "MA-IMG-002": RestsOn(
        "which registries the platform allows",
        "Give the platform's settings with --settings.",
        lambda bench, _: bench.told,
    ),
    "MA-CON-001": RestsOn(
        "the platform's Connectors",
        "Give them with --with (kubectl get connectors -o yaml).",
        lambda bench, _: bool(bench.picture.connectors),
    ),
    "MA-RUN-001": RestsOn(
        "of which app it is, and so the tier",
        "Judge it together with its MicroApp.",
        lambda _, app: app is not None,
    ),
}


def _finding(level: Level, subject: Located, violation: Violation, app: MicroApp | None) -> Finding:
    exception = _exception(app, subject.manifest, violation) if level is not Level.EXCEPTED else ""
    line = subject.line_of(violation.path)
    return Finding(level, violation.rule.id, violation.path, line, violation.parts(), exception)


def _build_untold(subject: Located, violation: Violation) -> Finding:
    rule, rests = violation.rule, RESTS_ON[violation.rule.id]
    what = f"{violation.path}: {rule.title}: can't be judged, since the files don't tell {rests.what}."
    parts = (f"[{rule.id}] {what}", f"Fix: {rests.fix}")
    return Finding(Level.UNKNOWN, rule.id, violation.path, subject.line_of(violation.path), parts)


def _exception(app: MicroApp | None, manifest: Manifest, violation: Violation) -> str:
    name = manifest["metadata"].get("name")
    if app is None or not app.metadata.namespace or not name or not violation.rule.exceptions:
        return ""
    subject = ExceptionObject.model_construct(kind=manifest["kind"], name=str(name))
    exception = PolicyException.model_construct(rule=violation.rule.id, subject=subject, compensating_control="")
    return compute_exception_fingerprint(app.metadata.namespace, app.metadata.name, app.spec.risk_tier, exception)


def _of_exception(approval: Approval) -> str:
    spec, namespace = approval.spec, approval.metadata.namespace
    if spec.exception is None or not namespace:
        return ""
    return compute_exception_fingerprint(namespace, spec.micro_app, spec.tier, spec.exception)


def _review(manifest: Manifest) -> bytes:
    """The object as the API server would ask about it. InvalidSpec when JSON has no words for it."""
    metadata = manifest["metadata"]
    group, version = split_version(manifest)
    own = metadata.get("name") if manifest["kind"] == "Namespace" else metadata.get("namespace")
    request = {
        "uid": "offline",
        "kind": {"group": group, "version": version, "kind": manifest["kind"]},
        "operation": "CREATE",
        "name": metadata.get("name") or "",
        "namespace": own or "",
        "userInfo": {"username": "offline"},
        "object": manifest,
    }
    try:
        body = orjson.dumps({"apiVersion": REVIEW_VERSION, "kind": "AdmissionReview", "request": request})
    except orjson.JSONEncodeError as error:
        raise InvalidSpec(path="", message=f"can't be written as JSON: {error}.") from error
    if len(body) > _REQUEST_MAX:
        raise InvalidSpec(path="", message=f"is larger than {_REQUEST_MAX >> 20} MiB, which the API server refuses.")
    return body
