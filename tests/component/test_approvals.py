"""Approvals on a real API server, against reviewers who would rather approve their own."""

import json
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hack import admission
from hack import approve as approving
from hack.kubectl import Kubectl
from hack.lab.context import Cluster
from hack.samples import IMAGE, app_manifest

from microapp_operator.gates import compute_exception_fingerprint
from microapp_operator.model.approval import PolicyException
from tests.support.eventually import eventually
from tests.support.guarded import World, guarded, rules

ALICE, BOB, CAROL, DAN = (f"{name}@example.com" for name in ("alice", "bob", "carol", "dan"))
CONTACT = "finance-ops@example.com"
MACHINE = "system:serviceaccount:finance:pipeline"
GITOPS = "gitops@example.com"
ISSUER = "https://pipelines.example.com"
KEY = ed25519.Ed25519PrivateKey.generate()
DEVELOPERS, ADMINS = "developers", "platform-admins"
SKIP = "microapps.dev/skip-secret-cleanup"
FOREIGN = IMAGE.replace("registry.example.com", "elsewhere.example.net")
REVIEWED: dict[str, Any] = {"riskTier": "medium", "stage": "production"}


def key_set() -> dict[str, Any]:
    algorithm = jwt.algorithms.OKPAlgorithm()
    return {"keys": [{**json.loads(algorithm.to_jwk(KEY.public_key())), "kid": "one", "alg": "EdDSA"}]}


SETTINGS = {
    "registries": ["registry.example.com/"],
    "gitops": [],
    "people": [{"identities": [f"user:{DAN}", "user:daniel"]}],
    "attestors": [{"issuer": ISSUER, "keys": key_set(), "claim": "email"}],
}


@pytest.fixture(scope="module")
def world(kubectl: Kubectl, cluster: Cluster, installed: None) -> Iterator[World]:  # noqa: ARG001
    with guarded(kubectl, cluster, SETTINGS) as world:
        assert world.apply_app(world.app, ALICE, **REVIEWED) == ""
        judged(world)
        yield world


def judged(world: World, name: str = "") -> dict[str, Any]:
    """The app, once the operator has judged its present generation."""

    def current() -> bool:
        app = read(world, name)
        return bool(app["status"]["observedGeneration"] == app["metadata"]["generation"])

    eventually(current)
    return read(world, name)


def read(world: World, name: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        world.kubectl("get", "mapp", name or world.app, "-n", world.tenant, "-o", "json")
    )
    return found


def approve(world: World, who: str, *flags: str, app: str = "", **spec: Any) -> str:
    """What the API server says to ``who``, who may approve in every tier."""
    approval = approving.build_approval(judged(world, app), f"a{uuid.uuid4().hex[:8]}", **spec)
    return world.attempt(*flags, "create", "-f", "-", user=who, group=approving.REVIEWERS, **approval)


def conditions(app: dict[str, Any]) -> dict[str, str]:
    return {c["type"]: c["status"] for c in app["status"]["conditions"]}


def editors(world: World, name: str = "") -> list[str]:
    return str(read(world, name)["metadata"]["annotations"]["microapps.dev/editors"]).split("\n")


def exception(world: World, app: str, rule: str = "MA-IMG-002", days: int = 30) -> dict[str, Any]:
    """Fields of an Approval that suspends ``rule`` for ``app`` in tier low, which need not exist."""
    named = {"rule": rule, "object": {"kind": "MicroApp", "name": app}, "compensatingControl": "scanned every day"}
    tier = json.loads(world.kubectl("get", "risktier", "low", "-o", "json"))
    parsed = PolicyException.model_validate(named)
    until = datetime.now(UTC) + timedelta(days=days)
    return {
        "microApp": app,
        "scope": "exception",
        "tier": "low",
        "tierGeneration": tier["metadata"]["generation"],
        "exception": named,
        "fingerprint": compute_exception_fingerprint(world.tenant, app, "low", parsed),
        "expiresAt": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def let_go(world: World, who: str, *annotations: str, group: str = DEVELOPERS, app: str = "") -> str:
    """What ``who`` is told who lets the secrets of an app be."""
    where = ("mapp", app or world.app, "-n", world.tenant, "--overwrite")
    return world.attempt("annotate", *where, *(annotations or (f"{SKIP}=why wait",)), user=who, group=group)


def letting_go(name: str, namespace: str) -> dict[str, Any]:
    manifest = app_manifest(name, namespace)
    manifest["metadata"]["annotations"] = {SKIP: "in case"}
    return manifest


PERSON = "--as-user-extra=microapps.dev/person"
ATTACKS: dict[str, tuple[str, Any]] = {
    "approving what one edited": ("MA-APR-004", lambda w: approve(w, ALICE)),
    "through a second account of the same person": (
        "MA-APR-004",
        lambda w: approve(w, "alice-admin", f"{PERSON}={ALICE}"),
    ),
    "in other letters": ("MA-APR-004", lambda w: approve(w, "Alice@Example.com")),
    "as the app's contact": ("MA-APR-004", lambda w: approve(w, CONTACT)),
    "in somebody else's name": ("MA-APR-001", lambda w: approve(w, ALICE, approver=BOB)),
    "under somebody else's identities": (
        "MA-APR-001",
        lambda w: approve(w, ALICE, approverIdentities=[f"user:{BOB}"]),
    ),
    "as a member of a group one isn't in": (
        "MA-APR-001",
        lambda w: approve(w, BOB, approverGroups=[approving.SECURITY, "system:authenticated"]),
    ),
    "as a service account": ("MA-APR-002", lambda w: approve(w, MACHINE)),
    "without the right to": (
        "MA-APR-003",
        lambda w: w.attempt("create", "-f", "-", **approving.build_approval(judged(w), "x"), group="writers"),
    ),
    "with another tier's right": ("MA-APR-005", lambda w: approve(w, BOB, tier="low")),
    "of content that isn't there": ("MA-APR-005", lambda w: approve(w, BOB, fingerprint="0" * 64)),
    "under rules that aren't in force": ("MA-APR-005", lambda w: approve(w, BOB, policyDigest="0" * 64)),
    "of an app that isn't there": ("MA-APR-005", lambda w: approve(w, BOB, microApp="nobody")),
    "of an endpoint the app doesn't have": (
        "MA-APR-005",
        lambda w: approve(w, BOB, scope="egress", endpoint="api"),
    ),
    "an exception from Pod Security": (
        "MA-APR-006",
        lambda w: approve(w, BOB, **exception(w, "later", "MA-PSS-001")),
    ),
    "an exception from no rule": ("MA-APR-006", lambda w: approve(w, BOB, **exception(w, "later", "MA-XXX-999"))),
    "an exception for ever": ("MA-APR-006", lambda w: approve(w, BOB, **exception(w, "later", days=400))),
    "raising one's own quorum": (
        'unknown field "spec.reviewers"',
        lambda w: approve(w, ALICE, "--validate=strict", reviewers=2),
    ),
    "forging the editors": (
        "MA-APR-007",
        lambda w: w.attempt(
            "annotate", "mapp", w.app, "-n", w.tenant, "--overwrite", f"microapps.dev/editors=user:{BOB}", user=ALICE
        ),
    ),
    "letting go of secrets": ("MA-SEC-001", lambda w: let_go(w, ALICE)),
    "an app that will let go of its secrets": (
        "MA-SEC-001",
        lambda w: w.attempt("create", "-f", "-", group=DEVELOPERS, **letting_go("careless", w.tenant)),
    ),
    "letting go of secrets in an admin's name": ("MA-SEC-002", lambda w: let_go(w, ALICE, f"{SKIP}-by={CAROL}")),
    "forging the record of an approval": (
        "MA-GRD-002",
        lambda w: w.patch(
            "mapp", w.app, {"status": {"reviewedFingerprint": "0" * 64}}, "-n", w.tenant, "--subresource=status"
        ),
    ),
}


@pytest.fixture(scope="module", autouse=True)
def writers(kubectl: Kubectl) -> Iterator[None]:
    """People who may write Approvals, but have no right to approve."""
    name = f"writers-{uuid.uuid4().hex[:6]}"
    kubectl("create", "clusterrole", name, "--verb=create", "--resource=approvals.microapps.dev")
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", "--group=writers")
    yield
    kubectl("delete", f"clusterrole/{name}", f"clusterrolebinding/{name}")


@pytest.fixture(scope="module", autouse=True)
def people(world: World, kubectl: Kubectl) -> Iterator[None]:
    """Developers may do everything to MicroApps, in their tenant's namespace; admins let secrets go, in all of them."""
    role, name = "microapps-skip-cleanup", f"admins-{uuid.uuid4().hex[:6]}"
    kubectl("create", "role", "everything", "--verb=*", "--resource=microapps.microapps.dev", "-n", world.tenant)
    for flag in ("--role=everything", f"--clusterrole={role}"):
        bound = f"developers-{flag.partition('=')[2]}"
        kubectl("create", "rolebinding", bound, flag, f"--group={DEVELOPERS}", "-n", world.tenant)
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={role}", f"--group={ADMINS}")
    yield
    kubectl("delete", f"clusterrolebinding/{name}")


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_is_denied_with_its_rule(world: World, attack: str) -> None:
    rule, attempt = ATTACKS[attack]
    said = attempt(world)
    assert rule in said, said


def test_editors_add_up_until_people_approved_and_start_anew_then(world: World) -> None:
    name = "story"
    assert world.apply_app(name, ALICE, **REVIEWED) == ""
    change = {"spec": {"runtime": {"port": 9000}}}
    assert world.patch("mapp", name, change, "-n", world.tenant, user=BOB) == ""
    assert editors(world, name) == [f"user:{ALICE}", f"user:{BOB}"]
    for editor in (ALICE, BOB):
        assert rules(approve(world, editor, app=name)) == {"MA-APR-004"}
    assert approve(world, CAROL, app=name) == ""
    world.kubectl("wait", "--for=condition=Approved", f"mapp/{name}", "-n", world.tenant, "--timeout=30s")
    eventually(lambda: "reviewedFingerprint" in read(world, name)["status"])
    assert world.patch("mapp", name, {"spec": {"description": "typo"}}, "-n", world.tenant, user=CAROL) == ""
    assert editors(world, name) == [f"user:{ALICE}", f"user:{BOB}"]
    assert conditions(judged(world, name))["Approved"] == "True"
    assert world.patch("mapp", name, {"spec": {"runtime": {"port": 9001}}}, "-n", world.tenant, user=CAROL) == ""
    assert editors(world, name) == [f"user:{CAROL}"]
    assert rules(approve(world, CAROL, app=name)) == {"MA-APR-004"}
    assert approve(world, ALICE, app=name) == ""
    world.kubectl("wait", "--for=condition=Approved", f"mapp/{name}", "-n", world.tenant, "--timeout=30s")


def test_who_copies_an_app_is_its_editor_whatever_the_copy_says(world: World) -> None:
    copy = read(world)
    copy["metadata"] = {"name": "copied", "namespace": world.tenant, "annotations": copy["metadata"]["annotations"]}
    assert world.attempt("create", "-f", "-", user=BOB, **copy) == ""
    assert editors(world, "copied") == [f"user:{BOB}"]


def test_accounts_that_settings_list_as_one_person_are_one(world: World) -> None:
    assert world.apply_app("dans", DAN, **REVIEWED) == ""
    assert rules(approve(world, "daniel", app="dans")) == {"MA-APR-004"}


def test_a_denial_holds_until_who_gave_it_withdraws_it(world: World) -> None:
    name = "denied"
    assert world.apply_app(name, ALICE, **REVIEWED) == ""
    assert approve(world, BOB, app=name, decision="Denied", justification="logs card numbers") == ""
    assert approve(world, CAROL, app=name) == ""
    said = "jsonpath={.status.conditions[?(@.type=='Approved')].message}"
    text = f"denied by {BOB}: logs card numbers"
    eventually(lambda: text in world.kubectl("get", "mapp", name, "-n", world.tenant, "-o", said))
    found = json.loads(world.kubectl("get", "mappr", "-n", world.tenant, "-o", "json"))["items"]
    denial = next(a["metadata"]["name"] for a in found if a["spec"]["decision"] == "Denied")
    delete = ("delete", "mappr", denial, "-n", world.tenant)
    assert rules(world.attempt(*delete, user=ALICE, group=approving.REVIEWERS)) == {"MA-APR-008"}
    assert world.attempt(*delete, user=BOB, group=approving.REVIEWERS) == ""
    world.kubectl("wait", "--for=condition=Approved", f"mapp/{name}", "-n", world.tenant, "--timeout=30s")


def test_what_a_machine_wrote_needs_a_requester_the_pipeline_attests(world: World) -> None:
    name = "synced"
    machine = ("--as-group=system:serviceaccounts",)
    manifest = {**json.loads(world.kubectl("get", "mapp", world.app, "-n", world.tenant, "-o", "json"))}
    manifest["metadata"] = {"name": name, "namespace": world.tenant}
    assert world.attempt(*machine, "create", "-f", "-", user=MACHINE, **manifest) == ""
    refused = approve(world, BOB, app=name)
    assert rules(refused) == {"MA-APR-004"}
    assert "who asked for that isn't attested" in refused
    print_ = judged(world, name)["status"]["fingerprint"]

    def attest(fingerprint: str, key: Any = KEY) -> str:
        claims = {"iss": ISSUER, "aud": f"microapps.dev/fingerprint/{fingerprint}", "email": BOB, "exp": 1}
        token = jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "one"})
        flag = f"microapps.dev/attestation={token}"
        return world.attempt("annotate", "mapp", name, "-n", world.tenant, "--overwrite", flag, user=MACHINE)

    for wrong in (("0" * 64, KEY), (print_, ed25519.Ed25519PrivateKey.generate())):
        assert attest(*wrong) == ""
        assert "isn't attested" in approve(world, CAROL, app=name)
    assert attest(print_) == ""
    assert "they edited or requested this content" in approve(world, BOB, app=name)
    assert approve(world, CAROL, app=name) == ""
    world.kubectl("wait", "--for=condition=Approved", f"mapp/{name}", "-n", world.tenant, "--timeout=30s")


def test_an_exception_lets_one_app_pass_one_rule_until_it_is_gone(world: World) -> None:
    foreign = {"runtime": {"image": FOREIGN}}
    assert rules(world.apply_app("excepted", ALICE, **foreign)) == {"MA-IMG-002"}
    assert approve(world, BOB, **exception(world, "excepted")) == ""
    eventually(lambda: world.apply_app("excepted", ALICE, **foreign), "")
    world.kubectl("wait", "--for=condition=Ready", "mapp/excepted", "-n", world.tenant, "--timeout=60s")
    assert rules(world.apply_app("another", ALICE, **foreign)) == {"MA-IMG-002"}
    world.kubectl("delete", "mappr", "--all", "-n", world.tenant)
    change = {"spec": {"runtime": {"port": 9000}}}
    patch = ("-n", world.tenant, "--dry-run=server")
    eventually(lambda: rules(world.patch("mapp", "excepted", change, *patch, user=ALICE)), {"MA-IMG-002"})


def test_an_admin_lets_secrets_go_and_is_named_for_as_long_as_that_holds(world: World) -> None:
    assert world.apply_app("lost", ALICE) == ""

    def told() -> dict[str, str]:
        return {k: v for k, v in read(world, "lost")["metadata"]["annotations"].items() if k.startswith(SKIP)}

    eventually(lambda: let_go(world, CAROL, f"{SKIP}=Vault is lost", group=ADMINS, app="lost"), "")
    assert told() == {SKIP: "Vault is lost", f"{SKIP}-by": CAROL}
    edit = ("patch", "mapp", "lost", "-n", world.tenant, "--type=merge", '-p={"spec":{"description":"typo"}}')
    assert world.attempt(*edit, user=ALICE, group=DEVELOPERS) == ""
    assert let_go(world, ALICE, f"{SKIP}-by-", app="lost") == ""
    assert told() == {SKIP: "Vault is lost", f"{SKIP}-by": CAROL}
    assert rules(let_go(world, ALICE, f"{SKIP}=all is well", app="lost")) == {"MA-SEC-001"}
    assert let_go(world, DAN, f"{SKIP}=gone for good", group=ADMINS, app="lost") == ""
    assert told() == {SKIP: "gone for good", f"{SKIP}-by": DAN}
    assert let_go(world, ALICE, f"{SKIP}-", app="lost") == ""
    assert told() == {}


def test_one_cannot_except_oneself(world: World) -> None:
    foreign = {"runtime": {"image": FOREIGN}}
    assert approve(world, BOB, **exception(world, "own")) == ""
    assert rules(world.apply_app("own", BOB, **foreign)) == {"MA-IMG-002"}


def test_proof_holds_with_the_webhook_dead(world: World, kubectl: Kubectl) -> None:
    world.webhook.stop(signal.SIGKILL)
    kubectl("delete", "validatingwebhookconfiguration", admission.CONFIGURATION)
    try:
        floor = (
            "in somebody else's name",
            "as a service account",
            "without the right to",
            "forging the editors",
            "letting go of secrets",
            "letting go of secrets in an admin's name",
        )
        for attack in floor:
            rule, attempt = ATTACKS[attack]
            eventually(lambda rule=rule, attempt=attempt: rule in attempt(world))
        assert approve(world, ALICE) == ""
        counted = "jsonpath={.status.conditions[?(@.type=='Approved')]}"
        said = ("get", "mapp", world.app, "-n", world.tenant, "-o", counted)
        eventually(lambda: "nobody approves their own" in world.kubectl(*said))
        assert '"status":"False"' in world.kubectl(*said)
    finally:
        world.register()
        world.webhook.start()
