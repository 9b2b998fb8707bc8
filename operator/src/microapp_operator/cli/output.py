"""What ``validate`` says, as text for people and as JSON for scripts. Pure."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from microapp_operator.cli.findings import Finding, Judged, Level
from microapp_operator.cli.manifests import Aside
from microapp_operator.cli.sources import Problem

FORMAT: Final = 1
"""Version of the JSON; fields may be added under the same number."""
_WORDS: Final = {
    Level.DENIED: "denied",
    Level.BLOCKED: "would not run",
    Level.UNKNOWN: "not judged",
    Level.WARNED: "warning",
    Level.WAITS: "waits for approval",
    Level.EXCEPTED: "excepted",
}


@dataclass(frozen=True, slots=True)
class Report:
    """All there is to say.

    asides: documents that are no objects. problems: what can't be read. assumed: what was taken for granted.
    bundle: SHA-256 of the policy bundle. version: of the product.
    """

    judged: tuple[Judged, ...]
    asides: tuple[Aside, ...]
    problems: tuple[Problem, ...]
    assumed: tuple[str, ...]
    bundle: str
    version: str


def build_text(report: Report) -> str:
    """A line an object, a block a finding, and the counts at the end; without control characters."""
    lines: list[str] = []
    for each in report.judged:
        lines += _object(each)
    lines += [f"{aside.file}:{aside.line}: not judged: {aside.why}" for aside in report.asides]
    lines += [f"unreadable: {problem.text()}" for problem in report.problems]
    lines += ["", *(f"Assumed: {text}" for text in report.assumed), _summary(report)]
    return "".join(f"{_printable(line)}\n" for line in lines)


def build_json(report: Report) -> str:
    """The same, for scripts; ``docs/validate.md`` describes it."""
    document = {
        "format": FORMAT,
        "bundle": report.bundle,
        "version": report.version,
        "assumed": report.assumed,
        "objects": [_plain(each) for each in report.judged],
        "asides": [{"file": a.file, "line": a.line, "why": a.why} for a in report.asides],
        "problems": [{"file": p.file, "line": p.line, "what": p.what, "fix": p.fix} for p in report.problems],
    }
    return json.dumps(document, indent=2) + "\n"


def _object(each: Judged) -> Iterator[str]:
    where = f"{each.subject.file}:{each.subject.start}: {each.subject.name}"
    fingerprint = f" (fingerprint {each.fingerprint})" if each.fingerprint else ""
    if each.unjudged:
        yield f"{where}: not judged: {each.unjudged}"
        return
    yield f"{where}: {_verdict(each)}{fingerprint}"
    for finding in each.sorted():
        yield ""
        yield f"  {_WORDS[finding.level]}: {finding.rule}, {each.subject.file}:{finding.line}"
        yield from (f"    {part}" for part in finding.parts)
    if each.findings:
        yield ""


def _verdict(each: Judged) -> str:
    for level in (Level.DENIED, Level.BLOCKED):
        if level in each.levels:
            return _WORDS[level]
    tail = [word for level, word in _TAILS.items() if level in each.levels]
    return f"fine, but it {' and '.join(tail)}" if tail else "fine"


_TAILS: Final = {
    Level.WAITS: "waits for approval",
    Level.WARNED: "has warnings",
    Level.UNKNOWN: "isn't judged in full",
    Level.EXCEPTED: "needs its exception",
}


def _summary(report: Report) -> str:
    judged = [each for each in report.judged if not each.unjudged]
    words = Counter(_verdict(each).split(",", maxsplit=1)[0] for each in judged)
    levels = Counter(level for each in judged for level in each.levels)
    counts = [f"{words[word]} {word}" for word in ("fine", "denied", "would not run") if words[word] or word == "fine"]
    counts += [f"{levels[level]} {_NOTES[level]}" for level in _NOTES if levels[level]]
    unjudged = len(report.judged) - len(judged)
    counts += [f"{unjudged} not judged"] if unjudged else []
    objects = f"{len(report.judged)} object{'' if len(report.judged) == 1 else 's'}: {', '.join(counts)}."
    others = f" {len(report.asides)} other documents." if report.asides else ""
    return f"{objects}{others}{f' {len(report.problems)} unreadable.' if report.problems else ''}"


_NOTES: Final = {
    Level.WARNED: "with warnings",
    Level.WAITS: "waiting for approval",
    Level.UNKNOWN: "not judged in full",
    Level.EXCEPTED: "with exceptions",
}


def _plain(each: Judged) -> dict[str, Any]:
    manifest = each.subject.manifest
    return {
        "file": each.subject.file,
        "line": each.subject.start,
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "namespace": str(manifest["metadata"].get("namespace") or ""),
        "name": str(manifest["metadata"].get("name") or ""),
        "judged": not each.unjudged,
        "why": each.unjudged,
        "fails": each.fails,
        "fingerprint": each.fingerprint,
        "findings": [_finding(finding) for finding in each.sorted()],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level,
        "rule": finding.rule,
        "path": finding.path,
        "line": finding.line,
        "message": finding.text,
        "exceptionFingerprint": finding.exception,
    }


def _printable(line: str) -> str:
    """Names come from files anybody wrote; a terminal must not take them for commands."""
    return "".join(c if c.isprintable() else " " for c in line)
