"""``python -m hack.lab up|down|status|context``: the local cluster, in LAB_DIR (default .lab).

``VAULT=1`` adds a Vault server with a PostgreSQL behind it, its root token in LAB_DIR/vault/init.json.
``context`` prints the kubeconfig and the context that tests, demo and bench would act on; it starts nothing.
"""

import argparse
import os
import sys

from hack.kubectl import kubectl_for
from hack.lab.build import LabError
from hack.lab.context import Cluster, cluster_from_environment, lab_from_environment
from hack.lab.controlplane import CONTEXT
from hack.lab.processes import recorded
from hack.lab.vault import LocalVault


def main() -> int:
    """Carry out one command; exit status 1 with one clear message when it can't be done."""
    parser = argparse.ArgumentParser(prog="python -m hack.lab", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status", "context"))
    command = parser.parse_args().command
    lab = lab_from_environment()
    try:
        if command == "up":
            if os.environ.get("NODE", "0") not in ("", "0"):
                raise LabError("NODE=1 asks for a real node, which this lab doesn't have yet; run it without NODE.")
            lab.up()
            if os.environ.get("VAULT", "0") not in ("", "0"):
                cluster = Cluster(lab.kubeconfig, CONTEXT, "lab")
                LocalVault(lab.folder / "vault").up(cluster, kubectl_for(cluster))
        elif command == "down":
            lab.down()
        elif command == "context":
            cluster = cluster_from_environment()
            print(f"kubeconfig={cluster.kubeconfig}\ncontext={cluster.context}")
        else:
            for daemon in recorded(lab.folder):
                print(f"{daemon.name:24} pid {daemon.pid:7} {'running' if daemon.alive() else 'dead'}")
            return 0 if lab.running() else 1
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
