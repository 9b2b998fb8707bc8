"""The admins' file of settings: a slip is named, never half taken."""

from pathlib import Path

import pytest

from microapp_operator.errors import InvalidSpec
from microapp_operator.policy.settings import PolicySettings, read_settings


def refusal(folder: Path, text: str | bytes) -> InvalidSpec:
    path = folder / "settings.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InvalidSpec) as refused:
        read_settings(path)
    return refused.value


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("registries: [registry.example.com]", "registries.0"),
        ("registries: [a/, b]", "registries.1"),
        ("registries: registry.example.com/", "registries"),
        ("registries: [1]", "registries.0"),
        ("registeries: [a/]", "registeries"),
        ("podSecurity: {level: privileged}", "podSecurity.level"),
        ("podSecurity: {version: -1}", "podSecurity.version"),
        ("podSecurity: {version: latest}", "podSecurity.version"),
        ("podSecurity: {levels: restricted}", "podSecurity.levels"),
        ("operators: [null]", "operators.0"),
        ("gitops: {a: b}", "gitops"),
        ("reservedNetworks: [10.0.0.0/33]", "reservedNetworks.0"),
        ("reservedNetworks: [10.0.0.0/8, 10.1.0.0/8]", "reservedNetworks.1"),
        ("reservedNetworks: [intranet.example.com]", "reservedNetworks.0"),
        ("exceptionDays: 0", "exceptionDays"),
        ("people: [{identities: ['user:a']}]", "people.0.identities"),
        ("people: [{identities: ['user:a', 'b']}]", "people.0.identities.1"),
    ],
)
def test_file_and_field_at_fault_are_named(tmp_path: Path, text: str, field: str) -> None:
    error = refusal(tmp_path, text)
    assert error.finding.path == f"{tmp_path / 'settings.yaml'}: {field}"
    assert error.finding.message.endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "registries: [a/",
        "registries: *nowhere",
        "registries: [2020-13-45]",
        "a: 0b_",
        "!!python/object/apply:os.getcwd []",
        "a: b\n---\nc: d",
        "a\x00b",
        b"\xff\xfe\xff",
        "[" * 5000,
        "{1: 2, [3]: 4}",
    ],
)
def test_what_is_no_yaml_is_refused_with_the_files_name(tmp_path: Path, text: str | bytes) -> None:
    error = refusal(tmp_path, text)
    assert error.finding.path == str(tmp_path / "settings.yaml")
    assert error.finding.message.startswith("can't be read: ")


@pytest.mark.parametrize("text", ["[]", "false", "0", "''", "just words", "- registries"])
def test_a_file_that_holds_no_settings_is_no_empty_one(tmp_path: Path, text: str) -> None:
    assert str(tmp_path) in refusal(tmp_path, text).finding.path


def test_text_that_no_request_could_be_judged_with_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, 'gitops: ["\\ud800"]')
    assert error.finding.path == str(tmp_path / "settings.yaml")
    assert "can't be given to the rules" in error.finding.message


def test_a_file_that_isnt_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"absent\.yaml.*can't be read"):
        read_settings(tmp_path / "absent.yaml")
    with pytest.raises(InvalidSpec, match="can't be read"):
        read_settings(tmp_path)


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("# nothing decided yet\n")
    assert read_settings(path) == PolicySettings()


def test_by_default_no_image_may_run_and_the_strictest_level_holds() -> None:
    document = PolicySettings().document()
    assert document["registries"] == []
    assert document["podSecurity"]["level"] == "restricted"


def test_rules_get_what_the_file_says_by_the_names_it_uses(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(
        "registries: [a/]\nbreakGlassGroups: [oncall]\nreservedNetworks: [10.0.0.0/8, 192.0.2.1]\n"
        "podSecurity: {level: baseline, version: 30}\ngitops: []\n"
    )
    document = read_settings(path).document()
    assert document["registries"] == ["a/"]
    assert document["breakGlassGroups"] == ["oncall"]
    assert document["reservedNetworks"] == ["10.0.0.0/8", "192.0.2.1/32"]
    assert document["podSecurity"] == {"level": "baseline", "version": 30}
    assert document["gitops"] == []
