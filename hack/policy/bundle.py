"""Compiles the rules with the real OPA into one bundle, byte for byte the same from the same sources."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hack.policy.rules import POLICIES, Source, opa
from microapp_operator.policy.groups import GROUPS, KIND_GROUPS, WHOLLY_OTHER

BUNDLE = POLICIES.parent / "operator" / "src" / "microapp_operator" / "policy" / "bundle.tar.gz"
_HEAD = f"""# Which rules look at which kinds, from the rules' metadata: what can't match isn't evaluated.
package microapps.admission

groups := {json.dumps(KIND_GROUPS, indent=1, sort_keys=True)}

# For `opa eval`: the rules of whatever the request is about.
violations contains violation if some violation in by_group[group]

group := "Other" if unspecified

group := object.get(groups, input.request.kind.kind, "Other") if not unspecified

unspecified if input.request.operation == "DELETE"

unspecified if input.request.subResource in {json.dumps(list(WHOLLY_OTHER))}
"""


def build_dispatcher(sources: tuple[Source, ...]) -> str:
    """Rego with one entry point per group of kinds, and ``violations`` over all of them."""
    parts = [_HEAD]
    for group in GROUPS:
        entry = group.lower()
        parts.append(f'by_group["{group}"] := {entry}\n')
        members = [s for s in sources if group in s.groups]
        parts += [
            f'{entry} contains object.union(violation, {{"id": "{s.rule.id}"}}) if {{\n'
            f"\tsome violation in data.microapps.rules.{s.name}.violations\n}}\n"
            for s in members
        ] or [f"{entry} := set()\n"]
    return "\n".join(parts)


@contextmanager
def staged(sources: tuple[Source, ...]) -> Iterator[Path]:
    """A folder, gone afterwards, that holds what is compiled: rules, library, dispatcher and texts."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "bundle"
        shutil.copytree(POLICIES, root, ignore=lambda _, names: [n for n in names if n.endswith((".yaml", ".md"))])
        (root / "main.rego").write_text(build_dispatcher(sources))
        catalogue = {"microapps": {"catalogue": [s.rule.model_dump(mode="json") for s in sources]}}
        (root / "data.json").write_text(json.dumps(catalogue, sort_keys=True))
        yield root


def build_bundle(sources: tuple[Source, ...], target: Path = BUNDLE) -> None:
    """Compile the rules into ``target``: an OPA bundle with policy.wasm, the Rego and data.json."""
    with staged(sources) as root:
        compile_staged(root, target)


def compile_staged(root: Path, target: Path) -> None:
    """Compile what is in ``root`` (see ``staged``) into ``target``, with one entry point per group of kinds."""
    entrypoints = [f"--entrypoint=microapps/admission/{name}" for name in ("violations", *map(str.lower, GROUPS))]
    opa("build", "--bundle", "--target=wasm", *entrypoints, f"--output={target.absolute()}", ".", cwd=root)
