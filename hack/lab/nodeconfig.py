"""What a node's programs read, as plain data. Pure: no file is read or written here."""

from pathlib import Path
from typing import Any

from hack.lab.certs import Pki

DNS_ADDRESS = "10.96.0.10"
DNS_DOMAIN = "cluster.local"
RUNTIME_SOCKET = "/run/containerd/containerd.sock"
_PIDS = 1024
"""Processes a pod may have: what a careful administrator sets, since no field of a Pod does."""


def build_cni(pods: str) -> dict[str, Any]:
    """The network of pods: a cable to the node for each, addresses of the range ``pods``, never translated."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/cni",
    }
    return {
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": ipam},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def build_containerd(binaries: Path, folder: Path, pause: str) -> str:
    """containerd's configuration (version 3): registries below ``folder``/certs.d, plugins in ``binaries``."""
    return f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{RUNTIME_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
path = "/var/lib/containerd/opt"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{folder / "certs.d"}"

# Where the machine has no CAP_SYS_RESOURCE, runc dies on a lower oom_score_adj.
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
# A profile would be loaded into the host's kernel, and stay there.
disable_apparmor = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{binaries}"]
conf_dir = "{folder / "cni"}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def build_kubelet(pki: Pki, name: str, group: str) -> dict[str, Any]:
    """The kubelet's configuration: certificates of the node ``name``, its pods below the control group ``group``."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.path("ca.crt"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.path(f"{name}-serving.crt")),
        "tlsPrivateKeyFile": str(pki.path(f"{name}-serving.key")),
        "containerRuntimeEndpoint": f"unix://{RUNTIME_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": group,
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "podPidsLimit": _PIDS,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": DNS_DOMAIN,
        "resolvConf": "",
        "serializeImagePulls": False,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        # The disk is the host's, and how full it is tells nothing about the lab.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }
