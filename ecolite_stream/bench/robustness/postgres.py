"""A real PostgreSQL of its own, in a folder of its own, not as root."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ecolite_stream.errors import ConfigError

BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
_AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


@contextlib.contextmanager
def running(
    host: str = "127.0.0.1", inside: Sequence[str] = (), network: str | None = None
) -> Iterator[Postgres]:
    """A server that runs for as long as the context, and is deleted with it.

    Args:
        host, inside, network: as of `Postgres`.

    Raises:
        ConfigError: PostgreSQL is not installed.
    """
    if BINARIES is None:
        raise ConfigError(
            "PostgreSQL is not installed: there is no /usr/lib/postgresql/*/bin; install it "
            "(Debian: postgresql), or use --store"
        )
    server = Postgres(host, inside, network)
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.remove()


class Postgres:
    """A server; `start` and `stop` it as often as you like.

    Args:
        host: the address that it listens at.
        inside: a command that runs its arguments in another network namespace; needs root.
        network: further addresses that may connect without a password, such as 10.0.0.0/24.
    """

    def __init__(
        self, host: str = "127.0.0.1", inside: Sequence[str] = (), network: str | None = None
    ) -> None:
        assert BINARIES is not None
        self._host = host
        self._inside = (*inside, *_AS_NOBODY) if inside else ()
        self.folder = Path(tempfile.mkdtemp(prefix="ecolite-postgres-"))
        self._user = "nobody" if os.geteuid() == 0 else getpass.getuser()
        if os.geteuid() == 0:
            shutil.chown(self.folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._run("initdb", "-D", "data", "-U", "ecolite", "-A", "trust", "-N", "-E", "UTF8")
        if network is not None:
            with (self.folder / "data" / "pg_hba.conf").open("a") as file:
                file.write(f"host all ecolite {network} trust\n")

    def url(self, database: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgresql+psycopg://ecolite:secret@{self._host}:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        """The URL of a database through a socket of this machine's file system."""
        place = f"host={self.folder}&port={self.port}"
        return f"postgresql+psycopg://ecolite@/{database}?{place}"

    def new_database(self, name: str) -> str:
        """The URL of an empty database."""
        where = ("-h", str(self.folder), "-p", str(self.port), "-U", "ecolite")
        self._run("createdb", *where, name)
        return self.url(name)

    def start(self) -> None:
        """Start it; returns once it answers."""
        options = f"-p {self.port} -c listen_addresses={self._host} -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once, as a crash does."""
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        """Delete its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *args: str) -> None:
        assert BINARIES is not None
        user = self._user if os.geteuid() == 0 and not self._inside else None
        subprocess.run(
            [*self._inside, str(BINARIES / program), *args],
            cwd=self.folder,
            user=user,
            check=True,
            timeout=100,
            stdout=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )
