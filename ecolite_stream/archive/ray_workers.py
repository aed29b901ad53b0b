"""Workers on a Ray cluster: an actor each. Tasks and results travel through Ray, frames never."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Sequence
from typing import Any

from ecolite_stream.archive.tasks import (
    Broken,
    Failed,
    Lost,
    OpenJob,
    Position,
    Ready,
    Report,
    Task,
)
from ecolite_stream.archive.workers import Worker, opened, run
from ecolite_stream.errors import ConfigError, one_line

_CONNECT_S = 5.0
_GCS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:/\[\]@]+)):(\d{1,5})")
_CLIENT = re.compile(f"ray://{_GCS.pattern}")


class RayCrew:
    """Workers of a Ray cluster that is running already; none is started.

    Args:
        open_job: what each worker opens; its paths must lead to the same files on every machine.
        address: `auto`, the cluster of this machine, or `ray://HOST:PORT`.
        workers: how many; None is one for each processor core of the cluster.

    Raises:
        ConfigError: no cluster answers there, or it does not fit.

    Attributes:
        workers: how many workers to hire.
    """

    def __init__(self, open_job: OpenJob, address: str, workers: int | None) -> None:
        self._open_job = open_job
        self._ray = connected(address)
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        self.workers = workers or max(1, cores)
        self._cores_each = cores // self.workers if cores >= self.workers else 0
        self._actor = self._ray.remote(
            num_cpus=self._cores_each, max_concurrency=2, max_restarts=0
        )(_Actor)

    def hire(self, number: int) -> RayWorker:
        """See `Crew`."""
        return RayWorker(self._ray, self._actor.remote(self._open_job))

    def wait(self, workers: Sequence[Worker], timeout_s: float) -> None:
        """See `Crew`."""
        waiting = [one.waits_for for one in workers if isinstance(one, RayWorker)]
        refs = [ref for ref in waiting if ref is not None]
        if refs:
            self._ray.wait(refs, num_returns=1, timeout=timeout_s)

    def close(self) -> None:
        """Leave the cluster; it goes on."""
        self._ray.shutdown()


class RayWorker:
    """An actor, as the schedule sees it.

    Attributes:
        waits_for: the call that it is busy with; None where it is idle.
    """

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray = ray
        self._actor = actor
        self.waits_for: Any = actor.ready.remote()
        self._position: Any = None
        self._position_s: float | None = None

    def begin(self, task: Task) -> None:
        """See `Worker`."""
        self._position_s = None
        self.waits_for = self._actor.run.remote(task)

    def reports(self) -> list[Report]:
        """See `Worker`."""
        if self.waits_for is None:
            return []
        try:
            if self._is_done(self.waits_for):
                ref, self.waits_for = self.waits_for, None
                report: Report = self._ray.get(ref)
                return [report]
            return self._moved()
        except self._ray.exceptions.RayTaskError as error:
            return [Failed(one_line(error))]
        except self._ray.exceptions.RayError as error:
            self.waits_for = None
            return [Lost(f"its worker was lost: {type(error).__name__}")]

    def stop(self) -> None:
        """See `Worker`."""
        self.waits_for = None
        with contextlib.suppress(Exception):  # it has died, or the cluster has gone
            self._ray.kill(self._actor)

    def _moved(self) -> list[Report]:
        """Its position, where that has changed since it was last asked."""
        if self._position is None:
            self._position = self._actor.position.remote()
        if not self._is_done(self._position):
            return []
        ref, self._position = self._position, None
        before_s, self._position_s = self._position_s, self._ray.get(ref)
        has_moved = self._position_s is not None and self._position_s != before_s
        return [Position(self._position_s or 0.0)] if has_moved else []

    def _is_done(self, ref: Any) -> bool:
        return bool(self._ray.wait([ref], timeout=0)[0])


class _Actor:
    """Runs on a machine of the cluster; `position` answers while `run` works."""

    def __init__(self, open_job: OpenJob) -> None:
        self._time_s: float | None = None
        self._job = opened(open_job)

    def ready(self) -> Report:
        """Report `Ready` if the job is open, else `Broken`."""
        return self._job if isinstance(self._job, Broken) else Ready()

    def run(self, task: Task) -> Report:
        """Do a task."""
        assert not isinstance(self._job, Broken)
        self._time_s = None
        return run(self._job, task, self._note)

    def position(self) -> float | None:
        """Stream time of the task, in seconds; None before its first frame."""
        return self._time_s

    def _note(self, position: Position) -> None:
        self._time_s = position.time_s


def check_address(address: str) -> None:
    """Check what can be checked of an address without Ray.

    Raises:
        ConfigError: it is no address, or nothing answers there.
    """
    parts = address_parts(address)
    if parts is None:
        return
    host, port = parts
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} does not answer ({error.strerror or error}); run ray start --head "
            "there, or check the address"
        ) from error


def address_parts(address: str) -> tuple[str, int] | None:
    """(host, port) of an address; None for `auto` without `RAY_ADDRESS`, this machine's cluster.

    Raises:
        ConfigError: it is no address.
    """
    match = _CLIENT.fullmatch(address)
    if address == "auto":  # Ray itself would wait for minutes where nothing answers
        named = os.environ.get("RAY_ADDRESS", "")
        match = _CLIENT.fullmatch(named) or _GCS.fullmatch(named)
        if match is None:
            return None
    if not match or not 0 < int(match[3]) < 65536:
        raise ConfigError(
            "--address is no address of a cluster; expected auto or ray://HOST:PORT, such as "
            "ray://10.0.0.5:10001"
        )
    return match[1] or match[2], int(match[3])


def connected(address: str) -> Any:
    """The module `ray`, connected to a cluster that runs.

    Raises:
        ConfigError: no cluster answers there, or it has other versions.
    """
    check_address(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # of Ray, gRPC and the system: no two versions raise the same
        raise ConfigError(
            f"no Ray cluster at {address}: {_first_sentence(error)}; run ray start --head, with "
            "the same versions of Python and Ray as here"
        ) from error
    return ray


def _first_sentence(error: Exception) -> str:
    return (one_line(error) or type(error).__name__).partition(". ")[0][:300]
