"""``microapp-operator validate``: what admission and the operator would say of the objects in files, before anybody
applies them.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Final

from microapp_operator.adapters.policies import Policies, PolicyFiles
from microapp_operator.cli.bench import Bench
from microapp_operator.cli.findings import Judged, Level
from microapp_operator.cli.manifests import Aside, Located, read_manifests
from microapp_operator.cli.output import Report, build_json, build_text
from microapp_operator.cli.picture import Picture
from microapp_operator.cli.sarif import build_sarif
from microapp_operator.cli.scope import ASKED, WITHOUT_NAMESPACE, is_guess, split_version
from microapp_operator.cli.sources import Problem, Source, read_sources
from microapp_operator.cli.terminal import write
from microapp_operator.errors import InvalidSpec, PolicyFailure

FINE: Final = 0
DENIED: Final = 1
UNUSABLE: Final = 2
NO_ANSWER: Final = 3
_STRICT: Final = frozenset({Level.WARNED, Level.UNKNOWN})
_TIERS: Final = "risktiers.yaml"


def run(arguments: argparse.Namespace, version: str) -> int:
    """Judge, print, return the exit status: one of the four above, whatever the input."""
    try:
        policies = Policies(PolicyFiles(arguments.bundle, arguments.settings))
    except InvalidSpec as error:
        return _complain(f"{error.finding.path}: {error.finding.message}", UNUSABLE)
    except PolicyFailure as error:
        return _complain(error.finding.message, NO_ANSWER)
    try:
        report = _judge(arguments, policies, version)
        _print(arguments.output, report, policies)
    except PolicyFailure as error:
        return _complain(error.finding.message, NO_ANSWER)
    finally:
        policies.close()
    return _status(report, strict=arguments.strict)


def _judge(arguments: argparse.Namespace, policies: Policies, version: str) -> Report:
    subjects, asides, problems = _read(arguments.files, arguments.namespace)
    there, _, unread = _read(arguments.context, arguments.namespace)
    problems += unread
    if not subjects and not problems:
        name = ", ".join(arguments.files)
        problems.append(Problem(name, 0, "holds no object to judge.", "Name the files that hold the manifests."))
    picture = Picture(policies.settings)
    problems += [*picture.learn(there, there=True), *picture.learn(subjects, there=False)]
    assumed = list(_settle(picture, subjects))
    bench = Bench(policies.engine, policies.settings, picture, datetime.now(UTC), told=arguments.settings is not None)
    judged = tuple(map(bench.judge, subjects))
    return Report(judged, tuple(asides), tuple(problems), tuple(assumed), policies.engine.digest, version)


def _read(paths: Iterable[str], namespace: str) -> tuple[list[Located], list[Aside], list[Problem]]:
    located: list[Located] = []
    asides: list[Aside] = []
    problems: list[Problem] = []
    for source in read_sources(paths):
        for each in [source] if isinstance(source, Problem) else read_manifests(source):
            match each:
                case Located():
                    located.append(_placed(each, namespace))
                case Aside():
                    asides.append(each)
                case Problem():
                    problems.append(each)
    return located, asides, problems


def _placed(each: Located, namespace: str) -> Located:
    """In ``namespace`` when it names none and its kind has one, as kubectl does with --namespace."""
    manifest, metadata = each.manifest, each.manifest["metadata"]
    kind = manifest["kind"]
    if not namespace or metadata.get("namespace") or kind in WITHOUT_NAMESPACE:
        return each
    if kind not in ASKED.get(split_version(manifest)[0], ()):
        return each
    return replace(each, manifest={**manifest, "metadata": {**metadata, "namespace": namespace}})


def _settle(picture: Picture, subjects: Iterable[Located]) -> Iterator[str]:
    """Fill in what the files don't tell; says in words what is taken for granted for ``subjects``."""
    shipped = not picture.tiers
    if shipped:
        located = read_manifests(Source(_TIERS, (files("microapp_operator.policy") / _TIERS).read_bytes()))
        list(picture.learn((each for each in located if isinstance(each, Located)), there=True))
    picture.settle()
    apps = any(each.manifest["kind"] == "MicroApp" for each in subjects)
    if apps and shipped:
        yield f"the RiskTiers that ship ({', '.join(picture.tiers)}), since the files hold none."
    if apps and not picture.known.tenants:
        yield "no Tenants, since the files hold none: who may have which app where isn't judged."
    if any(is_guess(each.manifest, picture.known.namespaces) for each in subjects):
        yield "a namespace that the files don't describe is that of an app of no known tier: every violation denies."


def _print(output: str, report: Report, policies: Policies) -> None:
    if output == "json":
        said = build_json(report)
    elif output == "sarif":
        said = build_sarif(report, policies.engine.rules, os.getcwd())
    else:
        said = build_text(report)
    write(said)


def _status(report: Report, *, strict: bool) -> int:
    if report.problems:
        return UNUSABLE
    return DENIED if any(_fails(each, strict=strict) for each in report.judged) else FINE


def _fails(each: Judged, *, strict: bool) -> bool:
    return each.fails or (strict and bool(each.levels & _STRICT))


def _complain(why: str, status: int) -> int:
    print(f"microapp-operator validate: {why}", file=sys.stderr)  # noqa: T201
    return status
