"""Which worker recognizes which recording, and what happens to those that fail. No thread."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from ecolite_stream.archive.tasks import Broken, Done, Failed, Lost, Position, Ready, Task
from ecolite_stream.archive.workers import Crew, Worker
from ecolite_stream.errors import EngineError

_POLL_S = 0.5
_MOST_DEATHS_UNREADY = 3


@dataclass(frozen=True)
class Limits:
    """When a recording is given up.

    Attributes:
        tries: how often one is tried.
        silent_s: seconds without a frame after which a worker hangs.
        open_s: seconds that a worker may take to open the model.
    """

    tries: int = 2
    silent_s: float = 120.0
    open_s: float = 300.0


class Listener(Protocol):
    """What the command does with what the schedule finds."""

    def finished(self, task: Any, results: Any) -> None:
        """A task, of the kind that was given, is done, with what its job reported."""

    def gave_up(self, task: Any, reason: str) -> None:
        """A task has failed as often as it may."""

    def progress(self) -> None:
        """Called now and then."""


@dataclass
class _Place:
    """A worker, and what it does."""

    number: int
    worker: Worker
    heard_s: float
    is_ready: bool = False
    task: Task | None = None


class Schedule:
    """Gives each worker one recording at a time, the longest first.

    A recording that fails, hangs or kills its worker is tried again after all others; a worker that
    hangs is killed, and one that is lost is replaced.

    Args:
        tasks: the recordings.
        crew: hires workers.
        workers: how many to hire at most.
        listener: takes what comes of it.
        limits: when a recording is given up.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        crew: Crew,
        workers: int,
        listener: Listener,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = [(0, -task.size_bytes, str(task.path), task) for task in tasks]
        heapq.heapify(self._waiting)
        self._crew = crew
        self._most = workers
        self._listener = listener
        self._limits = limits or Limits()
        self._clock = clock
        self._tries: dict[Task, int] = {}
        self._places: list[_Place] = []
        self._deaths_unready = 0

    def run(self) -> None:
        """Recognize all recordings.

        Raises:
            EcoliteError: no worker can open the model.
            OSError: results cannot be written.
        """
        try:
            for number in range(min(self._most, len(self._waiting))):
                self._places.append(self._hired(number))
            while self._waiting or any(place.task for place in self._places):
                self._crew.wait([place.worker for place in self._places], _POLL_S)
                for place in self._places:
                    self._hear(place)
                    self._check_limits(place)
                    self._give_work(place)
                self._listener.progress()
        finally:
            for place in self._places:
                place.worker.stop()

    def _hired(self, number: int) -> _Place:
        return _Place(number, self._crew.hire(number), self._clock())

    def _hear(self, place: _Place) -> None:
        for report in place.worker.reports():
            place.heard_s = self._clock()
            task = place.task
            if isinstance(report, Broken):
                raise report.error
            if isinstance(report, Ready):
                place.is_ready, self._deaths_unready = True, 0
            elif isinstance(report, Lost):
                self._replace(place, report.reason)
            elif not isinstance(report, Position) and task is not None:
                place.task = None
                if isinstance(report, Done):
                    self._listener.finished(task, report)
                elif isinstance(report, Failed):
                    self._failed(task, report.reason)

    def _check_limits(self, place: _Place) -> None:
        silent_s = self._clock() - place.heard_s
        limits = self._limits
        if place.task is not None and silent_s > limits.silent_s:
            self._replace(place, f"hangs: no frame for {limits.silent_s:g} s")
        elif not place.is_ready and silent_s > limits.open_s:
            self._replace(place, f"opens no engine within {limits.open_s:g} s")

    def _give_work(self, place: _Place) -> None:
        if place.is_ready and place.task is None and self._waiting:
            place.task = heapq.heappop(self._waiting)[-1]
            place.heard_s = self._clock()
            place.worker.begin(place.task)

    def _replace(self, place: _Place, reason: str) -> None:
        place.worker.stop()
        if not place.is_ready:
            self._deaths_unready += 1
            if self._deaths_unready >= _MOST_DEATHS_UNREADY:
                raise EngineError(
                    f"{self._deaths_unready} workers in a row could not open the model: {reason}"
                )
        task, place.task = place.task, None
        if task is not None:
            self._failed(task, reason)
        place.worker, place.heard_s = self._crew.hire(place.number), self._clock()
        place.is_ready = False

    def _failed(self, task: Task, reason: str) -> None:
        tries = self._tries[task] = self._tries.get(task, 0) + 1
        if tries >= self._limits.tries:
            self._listener.gave_up(task, reason)
        else:
            heapq.heappush(self._waiting, (tries, -task.size_bytes, str(task.path), task))
