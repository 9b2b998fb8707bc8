"""The rule sets that are measured: ten rules, all of them, and all of them padded to a hundred.

Padding is of two sorts, so that it shows what a rule costs that can't match and what one costs that is evaluated.
"""

from collections.abc import Callable
from pathlib import Path

from hack.policy.bundle import build_bundle, compile_staged, staged
from hack.policy.rules import Source, read_rules

TEN = (
    "pod_security_privileged",
    "pod_security_host_namespaces",
    "pod_security_host_path",
    "pod_security_capabilities",
    "pod_security_privilege_escalation",
    "pod_security_run_as_non_root",
    "pod_security_seccomp",
    "image_digest",
    "image_registry",
    "image_latest",
)
"""The rules that the figures of other engines were measured with."""
HUNDRED = 100
_ELSEWHERE = ("MicroApp", "NetworkPolicy", "RoleBinding", "Service", "ServiceAccount", "Namespace", "Other")
_OTHER_KINDS = """package microapps.rules.{name}

violations contains {{"path": "metadata.annotations"}} if {{
	input.request.object.metadata.annotations["bench.example.com/{name}"] == "refused"
}}
"""
_PODS = """package microapps.rules.{name}

import data.microapps.lib.pod

violations contains {{"path": concat("", [path, ".env"])}} if {{
	some path, container in pod.containers
	some variable in container.env
	variable.name == "{name}"
}}
"""


def build_ten(target: Path) -> int:
    """The ten rules; returns how many there are."""
    return _build(tuple(s for s in read_rules() if s.name in TEN), target)


def build_full(target: Path) -> int:
    """Every rule that ships; returns how many there are."""
    return _build(read_rules(), target)


def build_padded_elsewhere(target: Path) -> int:
    """Every rule, and up to a hundred about kinds other than pods; returns how many there are."""
    return _build_padded(target, lambda number: (_ELSEWHERE[number % len(_ELSEWHERE)],), _OTHER_KINDS)


def build_padded_pods(target: Path) -> int:
    """Every rule, and up to a hundred that look through the containers of each pod; returns how many there are."""
    return _build_padded(target, lambda _: ("Pod",), _PODS)


def _build(sources: tuple[Source, ...], target: Path) -> int:
    build_bundle(sources, target)
    return len(sources)


def _build_padded(target: Path, groups: Callable[[int], tuple[str, ...]], text: str) -> int:
    sources = read_rules()
    pattern = sources[0].rule
    padding = tuple(
        Source(f"bench_{number}", pattern.model_copy(update={"id": f"MA-BEN-{number:03}"}), groups(number))
        for number in range(max(0, HUNDRED - len(sources)))
    )
    with staged((*sources, *padding)) as root:
        for source in padding:
            (root / f"{source.name}.rego").write_text(text.format(name=source.name))
        compile_staged(root, target)
    return len(sources) + len(padding)
