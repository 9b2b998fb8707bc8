"""What is built is built anew when something of it has changed."""

from pathlib import Path

from hack.lab.build import binary
from hack.lab.components import Component


def module(folder: Path, name: str, *more: str) -> Path:
    home = folder / name
    home.mkdir()
    (home / "go.mod").write_text("\n".join([f"module example.com/{name}", *more, ""]))
    (home / "main.go").write_text("package main\n")
    return home


def test_a_change_in_a_module_beside_it_makes_another_binary(tmp_path: Path) -> None:
    beside = module(tmp_path, "beside")
    component = Component("it", module(tmp_path, "it", "replace example.com/beside => ../beside"), ".", "")
    known = {binary(component)}
    for name in ("main.go", "go.mod", "go.sum", "more.go"):
        (beside / name).write_text("// changed\n")
        known.add(binary(component))
    assert len(known) == 5


def test_a_module_from_elsewhere_is_known_by_its_version(tmp_path: Path) -> None:
    home = module(tmp_path, "it", "replace example.com/other => example.com/mine v1.2.3")
    before = binary(Component("it", home, ".", ""))
    (home / "go.mod").write_text((home / "go.mod").read_text().replace("v1.2.3", "v1.2.4"))
    assert binary(Component("it", home, ".", "")) != before
