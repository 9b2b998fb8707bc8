"""The import contracts bite: a forbidden import fails the check by the contract's name."""

import os
import shutil
import subprocess
import sys
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
