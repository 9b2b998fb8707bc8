"""What the image is made of. The Dockerfile says the same; a test compares them."""

from typing import Final

SUITE: Final = "bookworm"
"""Debian release; its Python is the one the tests run on."""
PYTHON: Final = "3.11"
PACKAGES: Final = ("ca-certificates", "python3")
HOME: Final = "/opt/microapp-operator"
USER: Final = "65532:65532"
ENTRYPOINT: Final = ("python3", "-P", "-m", "microapp_operator")
ENVIRONMENT: Final = {
    "HOME": "/",
    "PATH": "/usr/bin:/bin",
    "PYTHONPATH": HOME,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}
TITLE: Final = "microapp-operator"
DESCRIPTION: Final = "Confine, observe and account for micro apps on Kubernetes."
LICENSE: Final = "Apache-2.0"
LEFT_OUT: Final = (
    "dev",
    "etc/apt",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "run",
    "tmp",
    "usr/lib/python3/dist-packages",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache",
    "var/lib/apt",
    "var/log",
)
"""Contents of the base that stay out: where packages came from, and what no process here reads."""
COMPILE: Final = ("python3", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash")
"""Bytecode that is checked by neither time nor source (PEP 552): a read-only root could never mend it."""
BASE: Final = (
    "mmdebstrap",
    "--quiet",
    "--variant=essential",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    f"--include=usr-is-merged,{','.join(PACKAGES)}",
    f'--customize-hook=chroot "$1" {" ".join(COMPILE)} /usr/lib/python{PYTHON}',
    SUITE,
)
"""Makes the base, but for the name of the tar file."""
TOOLS: Final = ("mmdebstrap", "umoci", "skopeo")
"""Programs a build needs, each in the Debian package of its name."""
