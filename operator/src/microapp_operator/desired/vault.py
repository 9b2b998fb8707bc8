"""What stands in Vault for one app: a role bound to its one account, a literal policy, its own database roles.

Plain JSON types as Vault's API takes and returns them, so that what is can be compared with what should be. Nothing
here knows a secret's value. Imports model, context, metadata and settings only.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from microapp_operator.desired.context import SecretSource, SourceKind
from microapp_operator.desired.metadata import namespace_name
from microapp_operator.model import MicroApp, RiskTier
from microapp_operator.model.duration import parse_duration
from microapp_operator.settings import VaultSettings

PLATFORM: Final = "_platform"
"""Part of the kv engine that belongs to the platform; no tenant can be called so (RFC 1123)."""
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SELF: Final = (
    ("auth/token/lookup-self", "read"),
    ("auth/token/renew-self", "update"),
    ("sys/leases/renew", "update"),
)
"""What an agent does with its own token; Vault's default policy would allow much more."""


def is_plain_path(path: str) -> bool:
    """True for segments of letters, digits, ``.``, ``_`` and ``-`` of which none is empty, dotted or wild."""
    return all(_SEGMENT.fullmatch(segment) and ".." not in segment for segment in path.split("/"))


def identity_name(app: MicroApp) -> str:
    """Name of the app's role and policy: that of its namespace."""
    return namespace_name(app.metadata.namespace, app.metadata.name)


def database_role_name(tenant: str, app: str, secret: str) -> str:
    """Name of the app's own database role; the dot, which no namespace has, keeps apps apart."""
    return f"{namespace_name(tenant, app)}.{secret}"


def build_role(app: MicroApp, tier: RiskTier, vault: VaultSettings) -> dict[str, Any]:
    """Role of the kubernetes auth method: this account, this namespace, this audience, the tier's lifetimes.

    The alias is the account's UID, so that one made anew under the same name inherits nothing. What stays empty is
    written out: a namespace selector would be added to the namespace, not narrow it.
    """
    ttl, limit = _lifetimes(tier)
    return {
        "bound_service_account_names": [app.metadata.name],
        "bound_service_account_namespaces": [identity_name(app)],
        "bound_service_account_namespace_selector": "",
        "audience": vault.audience,
        "alias_name_source": "serviceaccount_uid",
        "token_ttl": ttl,
        "token_max_ttl": limit,
        "token_explicit_max_ttl": 0,
        "token_policies": [identity_name(app)],
        "token_no_default_policy": True,
        "token_bound_cidrs": [],
        "token_num_uses": 0,
        "token_period": 0,
        "token_type": "service",
    }


def build_policy(app: MicroApp, sources: Iterable[SecretSource]) -> str:
    """Policy in HCL: read, on exactly these secrets, and what a token does with itself.

    ValueError for a path that isn't plain: deciding must have refused it.
    """
    lines = [f"# MicroApp {app.metadata.namespace}/{app.metadata.name}. Written by microapp-operator; changes go."]
    for source in sorted(sources, key=lambda s: s.read_path):
        if not is_plain_path(source.read_path):
            raise ValueError(f"{source.read_path} is no plain path")
        lines.append(_rule(source.read_path, "read"))
    return "\n".join([*dict.fromkeys(lines), *(_rule(path, what) for path, what in _SELF)]) + "\n"


def build_database_role(template: dict[str, Any], tier: RiskTier) -> dict[str, Any]:
    """The app's own role: statements of the platform's ``template``, lifetimes of the tier or shorter ones."""
    ttl, limit = _lifetimes(tier)
    limit = min(limit, template.get("max_ttl") or limit)
    kept = {
        key: template[key]
        for key in (
            "db_name",
            "creation_statements",
            "revocation_statements",
            "rollback_statements",
            "renew_statements",
        )
        if template.get(key)
    }
    return {**kept, "default_ttl": min(ttl, template.get("default_ttl") or ttl, limit), "max_ttl": limit}


def own_database_roles(sources: Iterable[SecretSource]) -> dict[tuple[str, str], str]:
    """(mount, name of the app's own role) to the name of the platform's role it is made from."""
    return {(s.mount, s.path.removeprefix("creds/")): s.template for s in sources if s.kind is SourceKind.DYNAMIC}


def build_operator_policy(vault: VaultSettings) -> str:
    """The operator's own policy: roles and policies whose names begin with ma-, and what teardown needs.

    No path of it reads a secret. It may write policies, as it must: who holds its token could write one that does,
    under ma-, which the audit log tells. Roles may name one policy, of that prefix, and nothing else. Entities it may
    delete by id only, as no name of theirs is ours to choose, and find by accounts of the cluster alone.
    """
    auth = vault.auth_mount
    lines = [
        "# Least privilege of microapp-operator. Its own role and policy don't begin with ma-: it can't change them.",
        _ROLES.format(path=f"auth/{auth}/role/ma-*"),
        _rule("sys/policies/acl/ma-*", "create", "read", "update", "delete"),
        "# The entity of an account, once the account is gone. Nobody else's can be looked up: ids can't be guessed.",
        _LOOKUP,
        _rule("identity/entity/id/*", "delete"),
        "# When a secret was written last; never the secret.",
        _rule(f"{vault.kv_mount}/metadata/*", "read"),
    ]
    for mount in vault.database_mounts:
        lines += [
            f"# Users made for one app alone, and the rotation of those the engine keeps, in {mount}.",
            _rule(f"{mount}/roles", "list"),
            _rule(f"{mount}/roles/+", "read"),
            _rule(f"{mount}/roles/ma-*", "create", "read", "update", "delete"),
            _rule(f"{mount}/static-roles/+", "read"),
            _rule(f"{mount}/rotate-role/+", "update"),
            _rule(f"sys/leases/revoke-prefix/{mount}/creds/ma-*", "update", "sudo"),
        ]
    lines += [_rule("auth/token/lookup-self", "read"), _rule("auth/token/renew-self", "update")]
    return "\n".join(lines) + "\n"


_ROLES: Final = """path "{path}" {{
  capabilities = ["create", "read", "update", "delete"]
  allowed_parameters = {{
    "token_policies" = ["ma-*"]
    "*" = []
  }}
  denied_parameters = {{
    "token_policies" = ["*,*"]
    "policies" = []
  }}
}}"""


_LOOKUP: Final = """path "identity/lookup/entity" {
  capabilities = ["update"]
  required_parameters = ["alias_name", "alias_mount_accessor"]
  allowed_parameters = {
    "alias_name" = []
    "alias_mount_accessor" = ["auth_kubernetes_*"]
  }
}"""
"""Accessors begin with the kind of auth method they are of: those of people are out of reach."""


def _rule(path: str, *capabilities: str) -> str:
    listed = ", ".join(f'"{each}"' for each in capabilities)
    return f'path "{path}" {{ capabilities = [{listed}] }}'


def _lifetimes(tier: RiskTier) -> tuple[int, int]:
    """Seconds: of a lease, and of what it can be renewed to."""
    credentials = tier.spec.credentials
    limit = parse_duration(credentials.max_ttl)
    return min(parse_duration(credentials.ttl), limit), limit
