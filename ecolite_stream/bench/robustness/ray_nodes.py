"""Nodes of a Ray cluster on this computer, as services that can be lost, and a Redis.

Ray itself listens at the address of this computer, not on loopback.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

import ecolite_stream
from ecolite_stream.bench.robustness.fleet_machines import wait_until
from ecolite_stream.errors import ConfigError, EcoliteError

_LIMIT_S = 300.0
_NODE = "ECOLITE_BENCH_NODE"  # in the environment of each process of a node: its folder
OWN_FOLDER = f"""
import os, sys, time
if sys.argv[:1] and sys.argv[0].endswith("default_worker.py"):
    place = f"{{os.environ['{_NODE}']}}-{{os.getpid()}}-{{time.time_ns() // 1000000}}"
    os.makedirs(place)
    os.chdir(place)
"""
"""A `sitecustomize.py`: each worker process of a node works in a folder of its own."""


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis of its own on loopback, for as long as the context; the block gets HOST:PORT.

    Raises:
        ConfigError: it is not installed.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise ConfigError("Redis is not installed; install it (Debian: redis-server)")
    port = free_port()
    options = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", "")
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as process:
        try:
            if not wait_until(lambda: _answers(port), _LIMIT_S):
                raise EcoliteError(f"Redis does not answer after {_LIMIT_S:g} s")
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass
class Node:
    """A node of Ray as a service: `ray start --block`, started again when it ends.

    Attributes:
        name: of the node.
        options: of `ray start`.
        folder: gets the log of each start.
        seen: gets a folder for each worker process.
        env: further environment variables.
        starts: how often it was started.
    """

    name: str
    options: Sequence[str]
    folder: Path
    seen: Path
    env: Mapping[str, str] = field(default_factory=dict)
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it."""
        self.starts += 1
        root = Path(ecolite_stream.__file__).parents[1]
        env = {
            **{**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **self.env},
            **{"PYTHONPATH": f"{self.folder}{os.pathsep}{root}", _NODE: str(self._mark)},
        }
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
        more = ["--node-name", self.name, "--num-cpus", "1", "--object-store-memory", "80000000"]
        ports = ["--min-worker-port", "0", "--max-worker-port", "0"]
        ports += ["--temp-dir", str(self.folder / self.name)]  # as on a machine of its own
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*words, *more, *ports, *self.options],
                cwd=self.folder,
                env=env,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kill all its processes at once, as the loss of its machine does."""
        for _ in range(3):  # one may start another meanwhile
            for process in self.processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        if self._process is not None:
            self._process.wait()

    def processes(self) -> list[psutil.Process]:
        """All that live and belong to it, also those of earlier starts."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, FileNotFoundError):
                is_zombie = process.status() == psutil.STATUS_ZOMBIE
                if not is_zombie and process.environ().get(_NODE) == str(self._mark):
                    found.append(process)
        return found

    @property
    def has_ended(self) -> bool:
        """Whether `ray start --block` has ended."""
        return self._process is None or self._process.poll() is not None

    @property
    def is_starting(self) -> bool:
        """Whether `ray start` has neither ended nor come to its end."""
        return not self.has_ended and b"Ray runtime started" not in self.log.read_bytes()

    @property
    def log(self) -> Path:
        """The log of the newest start."""
        return self.folder / f"{self.name}-{self.starts}.log"

    @property
    def _mark(self) -> Path:
        return self.seen / self.name
