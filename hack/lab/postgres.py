"""PostgreSQL for the lab, from Debian's packages: the database whose credentials Vault hands out."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.lab.build import LabError
from hack.lab.processes import identity, note_outside, start_as, wait_until

_USER = "postgres"
"""Who the server runs as when we are root, which it refuses to be; Debian's package makes the account."""
_DATABASES = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Postgres:
    """A server on loopback. password: of its superuser ``vault``."""

    port: int
    password: str

    def query(self, sql: str) -> list[str]:
        """Rows of ``sql`` as text, columns split by ``|``; LabError with the server's words when it refuses."""
        return self.query_as("vault", self.password, sql)

    def query_as(self, user: str, password: str, sql: str) -> list[str]:
        """The same under another account."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", "postgres"]
        done = subprocess.run(
            [_program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", *where, "-f", "-"],
            input=sql,
            env={**os.environ, "PGPASSWORD": password},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"PostgreSQL says: {done.stderr.strip()}")
        return done.stdout.splitlines()


def start_postgres(folder: Path, port: int) -> Postgres:
    """Make a database and serve it on ``port``; its files are gone with ``folder``'s daemons."""
    user = _USER if os.geteuid() == 0 else None
    place = _place(folder, user)
    found = Postgres(port, secrets.token_urlsafe(24))
    given = place / "password"
    given.touch(mode=0o600)
    given.write_text(found.password)
    data = place / "data"
    if user is not None:
        shutil.chown(given, user)
    _run([_program("initdb"), "-D", str(data), "-U", "vault", "-A", "scram-sha-256", f"--pwfile={given}", "-N"], user)
    given.unlink()
    flags = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "port": str(port)}
    options = [word for key, value in flags.items() for word in ("-c", f"{key}={value}")]
    start_as(user, "postgres", [_program("postgres"), "-D", str(data), *options], folder)
    wait_until("postgres", lambda: _answers(found), folder)
    return found


def _answers(server: Postgres) -> bool:
    try:
        return server.query("SELECT 1") == ["1"]
    except LabError:
        return False


def _place(folder: Path, user: str | None) -> Path:
    """A directory for its files; outside of ``folder`` when that is ours alone and the server runs as another."""
    if user is None:
        place = folder / "postgres"
        place.mkdir()
        return place
    place = Path(tempfile.mkdtemp(prefix="microapp-postgres-"))
    note_outside(folder, place)
    try:
        shutil.chown(place, user, user)
    except LookupError as error:
        raise LabError(f"there is no account {user}; {_HOW}") from error
    return place


_HOW = "the lab's database is Debian's PostgreSQL: apt-get install postgresql."


def _program(name: str) -> str:
    """The newest one Debian has, or the one on PATH; LabError says what to install."""
    versions = sorted(_DATABASES.glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]) if p.parts[-3].isdigit() else 0)
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise LabError(f"{name} is not there; {_HOW}")
    return found


def _run(command: Sequence[str], user: str | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **identity(user))
    if done.returncode != 0:
        raise LabError(f"{command[0]} failed: {done.stderr.strip()}")
