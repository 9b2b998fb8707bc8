"""What roles allow, one permission at a time, and what an audit log says was asked for."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

_HERE = "system:serviceaccount:microapp-system:"


@dataclass(frozen=True, order=True)
class Permission:
    """One verb on one resource (subresource after a slash). name, namespace: empty where any will do."""

    account: str
    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""

    def covers(self, asked: "Permission") -> bool:
        """Whether this is what allowed ``asked``."""
        same = (self.account, self.group, self.resource, self.verb)
        if same != (asked.account, asked.group, asked.resource, asked.verb):
            return False
        return self.name in ("", asked.name) and self.namespace in ("", asked.namespace)


def granted(manifests: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Permission]]:
    """(role, permission) for every account that a binding in ``manifests`` names."""
    roles = {(m["kind"], m["metadata"]["name"]): m for m in manifests if m["kind"] in ("Role", "ClusterRole")}
    for binding in (m for m in manifests if m["kind"] in ("RoleBinding", "ClusterRoleBinding")):
        role = roles[binding["roleRef"]["kind"], binding["roleRef"]["name"]]
        for subject in binding["subjects"]:
            namespace = role["metadata"].get("namespace", "")
            yield from ((role, p) for p in expand(subject["name"], namespace, role["rules"]))


def expand(account: str, namespace: str, rules: Iterable[Mapping[str, Any]]) -> Iterator[Permission]:
    """The permissions that ``rules`` give ``account``."""
    for rule in rules:
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"]):
            for name in rule.get("resourceNames", [""]):
                yield Permission(account, group, resource, verb, namespace, name)


def asked(log: Path) -> tuple[set[Permission], list[str]]:
    """(what the platform's accounts asked for and got, what RBAC refused them) as the audit log has it.

    A server-side apply that makes an object is authorized as a create too, which the log doesn't say.
    """
    allowed: set[Permission] = set()
    refused = []
    for line in log.read_text().splitlines():
        event = json.loads(line)
        user, ref = event["user"]["username"], event.get("objectRef", {})
        if not user.startswith(_HERE):
            continue
        resource = "/".join(filter(None, (ref.get("resource"), ref.get("subresource"))))
        where = (ref.get("apiGroup", ""), resource, event["verb"], ref.get("namespace", ""), ref.get("name", ""))
        permission = Permission(user.removeprefix(_HERE), *where)
        if event["annotations"]["authorization.k8s.io/decision"] != "allow":
            refused.append(f"{user}: {event['verb']} {event['requestURI']}")
        allowed.add(permission)
        if event["verb"] == "patch" and event["responseStatus"]["code"] == 201:
            allowed.add(Permission(permission.account, where[0], resource, "create", *where[3:]))
    return allowed, refused
