"""The import contracts bite: a forbidden import fails by the contract's name; what is imported is declared."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "microapp_operator"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "operator" / "src" / PACKAGE, tmp_path / PACKAGE, ignore=ignore)
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path / PACKAGE


def lint_imports(package: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    env = {**os.environ, "PYTHONPATH": str(package.parent), "COLUMNS": "200"}
    return subprocess.run(command, cwd=package.parent, env=env, capture_output=True, text=True, check=False)


def test_untouched_copy_passes(package: Path) -> None:
    result = lint_imports(package)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("desired/forbidden.py", "import kopf", "kopf only in handlers and wiring"),
        ("reconcile/forbidden.py", "import kubernetes", "kubernetes, hvac and aiohttp only in adapters"),
        ("model/forbidden.py", f"from {PACKAGE} import ports", "Imports point downward only"),
    ],
    ids=["kopf-in-desired", "client-in-reconcile", "upward"],
)
def test_forbidden_import_fails(package: Path, module: str, line: str, contract: str) -> None:
    (package / module).write_text(f'"""Breaks a rule on purpose."""\n\n{line}\n')
    result = lint_imports(package)
    assert result.returncode != 0
    broken = [shown for shown in result.stdout.splitlines() if shown.startswith(contract) and " BROKEN" in shown]
    assert broken, result.stdout + result.stderr


def test_module_in_no_layer_fails(package: Path) -> None:
    (package / "stray.py").touch()
    result = lint_imports(package)
    assert result.returncode != 0
    assert f"{PACKAGE}.stray" in result.stdout + result.stderr


def test_operator_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    command = [sys.executable, "-S", "-c", "import argparse"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def imported(tree: ast.Module) -> set[str]:
    """Top packages that a module imports from elsewhere."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {PACKAGE}


def normal(name: str) -> str:
    """As package indexes compare names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_library_that_is_imported_is_declared_and_not_only_anothers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {normal(re.split(r"[\[<>=]", each)[0]) for each in project["dependencies"]}
    declared |= {"uvloop", "pydantic-core"}  # an extra of kopf, and one half of pydantic
    sources = (ROOT / "operator" / "src").rglob("*.py")
    used = {name for path in sources for name in imported(ast.parse(path.read_text()))}
    known = packages_distributions()
    assert {name for name in used if not {normal(d) for d in known.get(name, ())} & declared} == set()
