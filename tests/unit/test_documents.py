"""Files into objects: what is read, on which line it stands, and what is said of what can't be read."""

import json
from pathlib import Path
from typing import Any

import pytest

from microapp_operator.cli.manifests import Aside, Located, read_manifests
from microapp_operator.cli.sources import Problem, Source, read_sources

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"


def read(text: str | bytes, *, given: bool = True, name: str = "f.yaml") -> list[Located | Aside | Problem]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(read_manifests(Source(name, data, given)))


def only(text: str) -> dict[str, Any]:
    (found,) = read(text)
    assert isinstance(found, Located), found
    return found.manifest


@pytest.mark.parametrize(
    ("text", "line", "what", "fix"),
    [
        ("a: 1", 1, "neither apiVersion nor kind", "Begin it with"),
        ("\n\n- a", 3, "neither apiVersion nor kind", "Begin it with"),
        ("kind: Pod\nmetadata: {}", 1, "needs apiVersion", "Write it as"),
        ("apiVersion: v1\nmetadata: {}", 1, "needs kind", "Write it as"),
        ("apiVersion: 1\nkind: Pod\nmetadata: {}", 1, "needs apiVersion, as text", "Write it as"),
        ("apiVersion: v1\nkind: Pod", 1, "Pod needs metadata", "Add metadata"),
        ("apiVersion: v1\nkind: Pod\nmetadata:", 1, "Pod needs metadata", "Add metadata"),
        ("apiVersion: v1\nkind: List\nitems: 3", 3, "items is no list", "dash"),
        ("apiVersion: v1\nkind: List\nitems:\n-", 4, "empty item", "dash"),
        ("apiVersion: v1\nkind: List\nitems:\n- {a: b}", 4, "neither apiVersion nor kind", "Begin it with"),
        (POD + "a: b\na: c", 5, "the key a is there twice", "Keep one"),
        (POD + "spec:\n  1: b", 5, "the key 1 is no text", "quotes"),
        (POD + "on: b", 4, "the key on is no text", "quotes"),
        (POD + "? [a, b]\n: c", 4, "a key of several values is no text", "quotes"),
        (POD + "spec:\n\t- a", 5, "found character that cannot start any token", "no tabs"),
        (POD + "spec: {a: b", 4, "neither YAML nor JSON", "brackets"),
        (POD + "spec: {a: b\n\n", 4, "neither YAML nor JSON", "brackets"),
        (POD + "spec: *none", 4, "undefined alias", "brackets"),
        (POD + "spec: &me [*me]", 4, "contains itself", "Write out"),
        (POD + "spec: .inf", 4, ".inf is no number that JSON knows", "quotes"),
        (POD + "spec: 1e999", 4, "1e999 is no number that JSON knows", "quotes"),
        (POD + "spec: !!python/object:os.system {}", 4, "has the tag", "Remove the tag"),
        (POD + "spec: !!int x", 1, "doesn't fit the tag", "Remove the tag"),
        (POD + "spec: !!bool x", 1, "doesn't fit the tag", "Remove the tag"),
        ("kind: {{ .Values.kind }}\n", 1, "is no text", "helm template"),
        ("{{ if .Values.x }}\nkind: Pod\n{{ end }}", 1, "a key of several values", "helm template"),
        ("a:\n " + "[" * 150 + "]" * 150, 2, "deeper than 100", "Flatten"),
        ("[" * 300_000, 1, "deeper than 100", "Flatten"),
        (b"apiVersion: v1\nkind: \xff", 2, "no text in UTF-8", "UTF-8"),
        (POD.encode("utf-16"), 1, "no text in UTF-8", "UTF-8"),
        (b"\x7fELF\x00\x01", 0, "control characters", "binary"),
    ],
)
def test_what_cannot_be_read_is_said_with_line_and_remedy(text: str | bytes, line: int, what: str, fix: str) -> None:
    found = read(text)[-1]
    assert isinstance(found, Problem), found
    assert (found.line, what in found.what, fix in found.fix) == (line, True, True), found


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{i}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]" for i in range(8)]
    (found,) = read("\n".join(lines))
    assert isinstance(found, Problem)
    assert "aliases" in found.what


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("=", "="),
        ("1e3", 1000.0),
        ("0x1F", 31),
        ("010", 8),
        ("yes", True),
        ("~", None),
        ('"1"', "1"),
        ("!!str 1", "1"),
    ],
)
def test_scalars_are_read_as_kubernetes_reads_them(written: str, value: Any) -> None:
    read_value = only(f"{POD}spec: {written}")["spec"]
    assert (read_value, type(read_value)) == (value, type(value))


def test_json_is_read_whatever_its_white_space_and_escapes() -> None:
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "😀 \\ud83d / \\\\"}, "spec": [1e30, True]}
    for text in (json.dumps(manifest), json.dumps(manifest, indent="\t"), json.dumps(manifest, ensure_ascii=False)):
        assert only(text.replace("/", "\\/")) == manifest


def test_a_byte_order_mark_and_windows_lines_are_fine() -> None:
    (found,) = read(b"\xef\xbb\xbf" + POD.replace("\n", "\r\n").encode() + b"spec:\r\n  a: 1\r\n")
    assert isinstance(found, Located)
    assert (found.manifest["kind"], found.line_of("spec.a")) == ("Pod", 5)


def test_what_stands_before_a_fault_is_read() -> None:
    first, fault = read(f"{POD}---\na: [")
    assert isinstance(first, Located)
    assert isinstance(fault, Problem)


def test_documents_and_lists_come_apart_with_their_lines() -> None:
    item = "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: y\n"
    text = f"# empty\n---\n{POD}---\n---\napiVersion: v1\nkind: List\nitems:\n{item}"
    assert [(each.name, each.start) for each in read(text) if isinstance(each, Located)] == [
        ("Pod x", 3),
        ("Pod y", 11),
    ]


def test_a_list_of_our_own_kind_comes_apart() -> None:
    version = "apiVersion: microapps.dev/v1alpha1"
    text = f"{version}\nkind: MicroAppList\nitems: [{{{version}, kind: MicroApp, metadata: {{name: a}}}}]"
    (found,) = read(text)
    assert isinstance(found, Located)
    assert found.name == "MicroApp a"


NESTED = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: x
  labels:
    microapps.dev/app: a
spec:
  template:
    spec: &spec
      containers:
        - name: a
          image: one
        - name: b

          securityContext:
            privileged: true
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 1),
        ("spec", 7),
        ("spec.template.spec.containers", 10),
        ("spec.template.spec.containers[0].image", 12),
        ("spec.template.spec.containers[1]", 13),
        ("spec.template.spec.containers[1].securityContext.privileged", 16),
        ("spec.template.spec.containers[1].image", 13),
        ("spec.template.spec.containers[7]", 10),
        ("metadata.labels[microapps.dev/app]", 6),
        ("metadata.annotations[x/y]", 3),
        ("nowhere", 1),
    ],
)
def test_a_field_is_found_on_its_line_or_on_that_of_what_holds_it(path: str, line: int) -> None:
    (found,) = read(NESTED)
    assert isinstance(found, Located)
    assert found.line_of(path) == line


def test_a_merged_field_is_found_where_it_counts() -> None:
    (found,) = read(f"{POD}base: &b\n  a: 1\n  c: 3\nspec:\n  <<: *b\n  a: 2\n")
    assert isinstance(found, Located)
    assert (found.manifest["spec"]["a"], found.line_of("spec.a"), found.line_of("spec.c")) == (2, 9, 6)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("deploy/kustomization.yaml", "resources: [a.yaml]"),
        ("Chart.yaml", "apiVersion: v2\nname: x"),
        ("chart/values.yaml", "image: {tag: 1}"),
        ("base.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []"),
    ],
)
def test_side_files_of_other_tools_are_named_and_not_taken_as_fine(name: str, text: str) -> None:
    (found,) = read(text, name=name)
    assert isinstance(found, Aside)
    assert "Render it first" in found.why


def test_what_is_no_manifest_is_passed_over_in_a_folder_but_not_when_it_was_named() -> None:
    assert isinstance(read("services: {web: {}}", given=False)[0], Aside)
    assert isinstance(read("services: {web: {}}", given=True)[0], Problem)


def test_a_folder_is_read_in_order_and_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.yml", "a.YAML", "sub/c.json", ".git/d.yaml", ".hidden.yaml", "readme.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(POD)
    names = [
        Path(s.name).relative_to(tmp_path).as_posix() for s in read_sources([str(tmp_path)]) if isinstance(s, Source)
    ]
    assert names == ["a.YAML", "b.yml", "sub/c.json"]


def test_missing_and_empty_places_are_problems(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    found = list(read_sources([str(tmp_path), str(tmp_path / "none.yaml"), "\0"]))
    assert [isinstance(each, Problem) for each in found] == [True] * 3
    assert "ends with .yaml, .yml, .json" in found[0].what
    assert "No such file" in found[1].what


def test_a_file_beyond_the_limit_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"#" * (16 * 2**20 + 1))
    (found,) = read_sources([str(tmp_path)])
    assert isinstance(found, Problem)
    assert "larger than 16 MiB" in found.what
