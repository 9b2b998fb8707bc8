"""``python -m hack.lab up|down|status|context|check|build``: the local cluster, in LAB_DIR (default .lab).

With VAULT=1 ``up`` adds a Vault server with a PostgreSQL behind it, its root token in vault/init.json of the folder.
With NODE=1 it has real nodes, NODES of them, and is in a folder beside that one. ``down`` ends both. ``context`` prints
the kubeconfig and the context that tests, demo and bench would act on, ``check`` says whether this machine can run
what ``e2e/`` needs; they start nothing. ``build`` builds what any of it needs.
"""

import argparse
import os
import sys

from hack.kubectl import kubectl_for
from hack.lab.build import LabError, ensure_built, say
from hack.lab.components import CONTROL_PLANE, FORWARDER, GATEWAY, KWOK, NODE, OPA, VAULT
from hack.lab.context import (
    Cluster,
    cluster_from_environment,
    e2e_cluster_from_environment,
    lab_from_environment,
    lab_of,
    vault_wanted,
)
from hack.lab.lab import CONTEXT
from hack.lab.processes import recorded
from hack.lab.vault import LocalVault


def main() -> int:
    """Carry out one command; exit status 1 with one clear message when it can't be done."""
    parser = argparse.ArgumentParser(prog="python -m hack.lab", description=__doc__)
    commands = {"up": _up, "down": _down, "status": _status, "context": _context, "check": _check, "build": _build}
    parser.add_argument("command", choices=commands)
    try:
        return commands[parser.parse_args().command]()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _up() -> int:
    lab = lab_from_environment()
    lab.up()
    if vault_wanted():
        cluster = Cluster(lab.kubeconfig, CONTEXT, "lab")
        LocalVault(lab.folder / "vault").up(cluster, kubectl_for(cluster))
    return 0


def _down() -> int:
    ended = [lab_from_environment({**os.environ, "NODE": node, "NODES": ""}).down() for node in ("0", "1")]
    say("is down, nothing is left" if any(ended) else "was not up")
    return 0


def _status() -> int:
    lab = lab_from_environment()
    for daemon in recorded(lab.folder):
        print(f"{daemon.name:24} pid {daemon.pid:7} {'running' if daemon.alive() else 'dead'}")
    return 0 if lab.running() else 1


def _context() -> int:
    cluster = cluster_from_environment()
    print(f"kubeconfig={cluster.kubeconfig}\ncontext={cluster.context}")
    return 0


def _check() -> int:
    cluster = e2e_cluster_from_environment()
    if cluster.kind == "lab":
        lab_of(cluster).check()
    return 0


def _build() -> int:
    ensure_built(OPA, *CONTROL_PLANE, KWOK, *NODE, VAULT, FORWARDER, GATEWAY)
    return 0


if __name__ == "__main__":
    sys.exit(main())
