"""What the schedule asks of workers, and workers that are processes of this machine."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Protocol

from ecolite_stream.archive.tasks import (
    Broken,
    Failed,
    Job,
    Lost,
    OpenJob,
    Position,
    Ready,
    Report,
    Task,
)
from ecolite_stream.engines.cores import usable_cores
from ecolite_stream.errors import EcoliteError, EngineError, one_line

_REPORT_EVERY_S = 0.5
_KILL_S = 5.0


class Worker(Protocol):
    """Does one task at a time, somewhere else."""

    def begin(self, task: Task) -> None:
        """Start a task; the worker must be ready."""

    def reports(self) -> Sequence[Report]:
        """What it has reported since the last call; never waits."""

    def stop(self) -> None:
        """End it now, whatever it does."""


class Crew(Protocol):
    """Hires workers.

    Attributes:
        workers: how many to hire.
    """

    workers: int

    def hire(self, number: int) -> Worker:
        """Start worker `number`, or one in the place of a lost worker; it opens the job."""

    def wait(self, workers: Sequence[Worker], timeout_s: float) -> None:
        """Wait until a worker has something to report."""

    def close(self) -> None:
        """Let go of what all workers share."""


class ProcessCrew:
    """Workers as processes of this machine, each bound to its own cores where the system can.

    Args:
        open_job: what each opens.
        workers: how many there will be; the cores are divided among them.

    Attributes:
        workers: the same.
    """

    def __init__(self, open_job: OpenJob, workers: int) -> None:
        self._open_job = open_job
        self.workers = workers
        self._cores = divide_cores(usable_cores(), workers)

    def hire(self, number: int) -> ProcessWorker:
        """See `Crew`."""
        return ProcessWorker(self._open_job, self._cores[number])

    def wait(self, workers: Sequence[Worker], timeout_s: float) -> None:
        """See `Crew`."""
        pipes = [one.pipe for one in workers if isinstance(one, ProcessWorker)]
        wait([pipe for pipe in pipes if not pipe.closed], timeout_s)

    def close(self) -> None:
        """See `Crew`."""


def divide_cores(cores: Sequence[int], workers: int) -> list[list[int]]:
    """Cores of each worker: as even as possible; more workers than cores share them."""
    if workers >= len(cores):
        return [[cores[number % len(cores)]] for number in range(workers)]
    bounds = [number * len(cores) // workers for number in range(workers + 1)]
    return [list(cores[a:b]) for a, b in itertools.pairwise(bounds)]


class ProcessWorker:
    """A process that `multiprocessing` spawns; it talks through a pipe and ends with its parent.

    Attributes:
        pipe: readable where there is something to report, its end included.
    """

    def __init__(self, open_job: OpenJob, cores: list[int]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, open_job, cores), daemon=True)
        self._process.start()
        theirs.close()

    def begin(self, task: Task) -> None:
        """See `Worker`."""
        with contextlib.suppress(OSError):  # it has died: the next report says so
            self.pipe.send(task)

    def reports(self) -> list[Report]:
        """See `Worker`."""
        found: list[Report] = []
        try:
            while not self.pipe.closed and self.pipe.poll():
                found.append(self.pipe.recv())
        except (EOFError, OSError):
            self._process.join(_KILL_S)
            self.pipe.close()
            found.append(Lost(_how_it_ended(self._process.exitcode)))
        return found

    def stop(self) -> None:
        """See `Worker`."""
        self._process.kill()
        self._process.join(_KILL_S)
        self.pipe.close()


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with contextlib.suppress(ValueError):
            return f"its worker was killed by {signal.Signals(-exit_code).name}"
    return f"its worker ended with exit code {exit_code}"


def _work(pipe: Connection, open_job: OpenJob, cores: list[int]) -> None:
    """The process of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal interrupts the parent, which kills
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
    send = _locked(pipe)
    job = opened(open_job)
    if isinstance(job, Broken):
        send(job)
        return
    send(Ready())
    with contextlib.suppress(EOFError, OSError):  # the parent has gone
        while True:
            send(run(job, pipe.recv(), send))


def opened(open_job: OpenJob) -> Job | Broken:
    """An open job, or why it cannot be opened."""
    try:
        return open_job()
    except EcoliteError as error:
        return Broken(error)
    except Exception as error:
        return Broken(EngineError(f"{type(error).__name__}: {one_line(error)}"))


def run(job: Job, task: Task, send_position: Callable[[Position], object]) -> Report:
    """What a task led to, or why it failed; positions are sent meanwhile."""
    position = _Positions(send_position)
    try:
        return job.run(task, position)
    except Exception as error:
        is_ours = isinstance(error, EcoliteError)
        return Failed(one_line(error) if is_ours else f"{type(error).__name__}: {one_line(error)}")


class _Positions:
    """Sends the position of a recording, not too often."""

    def __init__(self, send: Callable[[Position], object]) -> None:
        self._send = send
        self._sent_s = -float("inf")

    def __call__(self, time_s: float) -> None:
        now_s = time.monotonic()
        if now_s - self._sent_s >= _REPORT_EVERY_S:
            self._sent_s = now_s
            with contextlib.suppress(OSError):  # the parent has gone
                self._send(Position(time_s))


def _locked(pipe: Connection) -> Callable[[Report], None]:
    """Sends from any thread."""
    lock = threading.Lock()

    def send(report: Report) -> None:
        with lock:
            pipe.send(report)

    return send
