"""An archive on machines that are not there: the real schedule and folder, simulated workers.

Workers take the time that was measured for a recording on one core. What the command itself does
between two reports (the schedule, results written to disk) is done and takes the time it takes.
The network between machines takes none.
"""

from __future__ import annotations

import heapq
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.archive.folder import ArchiveFolder
from ecolite_stream.archive.schedule import Limits, Schedule
from ecolite_stream.archive.tasks import Ready, Report, Results, Task
from ecolite_stream.archive.workers import Worker
from ecolite_stream.errors import EcoliteError

_PATIENT = Limits(silent_s=math.inf, open_s=math.inf)
"""Simulated workers report no positions."""


@dataclass(frozen=True)
class Cost:
    """What was measured on one machine.

    Attributes:
        start_s: from the start of the command until a worker has opened its engine, and what the
            command does after the last recording; in seconds.
        clip_s: of a recording on a worker of one core, while all cores are busy; in seconds.
        results: of a recording.
    """

    start_s: float
    clip_s: float
    results: Results


def simulated_s(cost: Cost, clips: int, workers: int, scratch: Path) -> float:
    """Seconds that an archive of so many recordings takes on so many workers.

    Args:
        cost: of each.
        clips: recordings.
        workers: one for each core of all machines.
        scratch: an existing folder; results are written below it and removed.
    """
    out = scratch / "simulated"
    tasks = [Task(scratch / f"{n}.mp4", f"{n}.mp4", 1, 0, "0" * 32) for n in range(clips)]
    crew = _SimulatedCrew(cost, workers)
    with ArchiveFolder(out, {}) as folder:
        Schedule(tasks, crew, workers, _Writer(folder), _PATIENT, crew.now).run()
    shutil.rmtree(out)
    return crew.now()


class _SimulatedCrew:
    """Workers whose clock skips the time in which the command only waits."""

    def __init__(self, cost: Cost, workers: int) -> None:
        self.workers = workers
        self.cost = cost
        self._skipped_s = 0.0
        self._began_s = time.perf_counter()
        self._due_s: list[float] = []

    def now(self) -> float:
        """Seconds since the start: those that went by, and those that were skipped."""
        return time.perf_counter() - self._began_s + self._skipped_s

    def expect(self, at_s: float) -> None:
        """Note when a worker will have something to report."""
        heapq.heappush(self._due_s, at_s)

    def hire(self, number: int) -> _SimulatedWorker:
        return _SimulatedWorker(self)

    def wait(self, workers: Sequence[Worker], timeout_s: float) -> None:
        if self._due_s:
            self._skipped_s += max(0.0, heapq.heappop(self._due_s) - self.now())

    def close(self) -> None:
        pass


class _SimulatedWorker:
    def __init__(self, crew: _SimulatedCrew) -> None:
        self._crew = crew
        self._report: Report | None = None
        self._promise(Ready(), crew.cost.start_s)

    def begin(self, task: Task) -> None:
        self._promise(self._crew.cost.results, self._crew.cost.clip_s)

    def reports(self) -> list[Report]:
        report = self._report
        if report is None or self._crew.now() < self._due_s:
            return []
        self._report = None
        return [report]

    def stop(self) -> None:
        pass

    def _promise(self, report: Report, after_s: float) -> None:
        self._report, self._due_s = report, self._crew.now() + after_s
        self._crew.expect(self._due_s)


class _Writer:
    """Writes results, as the command does."""

    def __init__(self, folder: ArchiveFolder) -> None:
        self._folder = folder

    def finished(self, task: Task, results: Results) -> None:
        self._folder.write(task, results)

    def gave_up(self, task: Task, reason: str) -> None:
        raise EcoliteError(f"{task.name}: {reason}")  # no simulated worker fails

    def progress(self) -> None:
        pass
