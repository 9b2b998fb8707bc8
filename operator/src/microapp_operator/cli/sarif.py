"""The findings as SARIF 2.1.0 (OASIS), as GitHub's code scanning reads it. Pure."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from microapp_operator.cli.findings import SCHEMA, Finding, Judged, Level
from microapp_operator.cli.output import Report
from microapp_operator.policy.catalogue import Rule, Severity
from microapp_operator.reasons import Reason

_SARIF: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final = {
    Level.DENIED: "error",
    Level.BLOCKED: "error",
    Level.WARNED: "warning",
    Level.EXCEPTED: "note",
}
"""What isn't here is no result: that something waits or isn't known is told as a notification."""
_SCORES: Final = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.0", Severity.LOW: "2.0"}
"""security-severity, on the scale code scanning reads (CVSS)."""
_UNREADABLE: Final = "unreadable"


def build_sarif(report: Report, rules: Mapping[str, Rule], folder: str) -> str:
    """One run: all rules in force, a result for each finding, a notification for all else. folder: the root."""
    listed = [*_own_rules(), *(_rule(rule) for rule in rules.values()), *_reasons(report)]
    names = [rule["id"] for rule in listed]
    results = [
        _result(each, finding, names.index(finding.rule), folder)
        for each in report.judged
        for finding in each.findings
        if finding.level in _LEVELS
    ]
    results += [_unreadable(p.file, p.line, f"{p.what} Fix: {p.fix}", folder) for p in report.problems]
    run = {
        "tool": {"driver": {"name": "microapp-operator", "semanticVersion": report.version, "rules": listed}},
        "invocations": [
            {
                "executionSuccessful": not report.problems,
                "toolExecutionNotifications": list(_notifications(report, folder)),
            }
        ],
        "results": results,
        "properties": {"bundle": report.bundle, "assumed": list(report.assumed)},
    }
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(each: Judged, finding: Finding, index: int, folder: str) -> dict[str, Any]:
    what = f"{each.subject.name} {finding.path}".strip()
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.level],
        "message": {"text": finding.text},
        "locations": [
            {**_place(each.subject.file, finding.line, folder), "logicalLocations": [{"fullyQualifiedName": what}]}
        ],
        "partialFingerprints": {"microapps/v1": _print(finding.rule, what)},
    }
    if finding.level is Level.EXCEPTED:
        result["suppressions"] = [{"kind": "external", "justification": "an Approval of scope exception"}]
    return result


def _unreadable(file: str, line: int, text: str, folder: str) -> dict[str, Any]:
    return {
        "ruleId": _UNREADABLE,
        "ruleIndex": 1,
        "level": "error",
        "message": {"text": text},
        "locations": [_place(file, max(line, 1), folder)],
        "partialFingerprints": {"microapps/v1": _print(_UNREADABLE, f"{file} {text}")},
    }


def _notifications(report: Report, folder: str) -> Iterator[dict[str, Any]]:
    for each in report.judged:
        if each.unjudged:
            text = f"{each.subject.name} is not judged: {each.unjudged}"
            yield _note(text, each.subject.file, each.subject.start, folder)
        for finding in each.findings:
            if finding.level not in _LEVELS:
                yield _note(finding.text, each.subject.file, finding.line, folder)
    for aside in report.asides:
        yield _note(f"Not judged: {aside.why}", aside.file, aside.line, folder)


def _note(text: str, file: str, line: int, folder: str) -> dict[str, Any]:
    return {"level": "note", "message": {"text": text}, "locations": [_place(file, line, folder)]}


def _place(file: str, line: int, folder: str) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(file, folder)}, "region": {"startLine": line}}}


def _uri(file: str, folder: str) -> str:
    """Relative to ``folder`` where the file is below it, as code scanning wants it; else absolute (RFC 3986)."""
    whole = Path(os.path.normpath(Path(folder) / file))
    if whole.is_relative_to(folder):
        return quote(whole.relative_to(folder).as_posix())
    return whole.as_uri()


def _print(rule: str, what: str) -> str:
    """Tells one finding from another though lines move."""
    return hashlib.sha256(f"{rule} {what}".encode(errors="backslashreplace")).hexdigest()


def _rule(rule: Rule) -> dict[str, Any]:
    properties = {"security-severity": _SCORES[rule.severity], "tags": ["security"], "documentation": rule.docs}
    return _described(rule.id, rule.title, rule.why, rule.fix, properties)


def _own_rules() -> tuple[dict[str, Any], ...]:
    why = "The API server refuses what doesn't fit the schema."
    return (
        _described(SCHEMA, "The object is what its API says", why, "See `kubectl explain`.", {}),
        _described(
            _UNREADABLE,
            "The file holds Kubernetes objects",
            "What can't be read can't be judged.",
            "Correct what the message names.",
            {},
        ),
    )


def _reasons(report: Report) -> Iterator[dict[str, Any]]:
    """Reasons of conditions that occur: what the operator would not run, whatever admission says."""
    for name in sorted({f.rule for each in report.judged for f in each.findings if f.level is Level.BLOCKED}):
        why = "The operator would not run it, and says so in the condition Stalled."
        yield _described(name, name, why, Reason(name).remedy, {})


def _described(name: str, title: str, why: str, fix: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": why},
        "help": {"text": fix},
        "properties": properties,
    }
