"""The sinks of a run: a worker for each, and the frames for those that want them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.delivery import SinkWorker
from ecolite_stream.pipeline.frame_sinks import FrameSinks
from ecolite_stream.sinks import Sink
from ecolite_stream.types import Sent

_log = logging.getLogger(__name__)


class RunSinks:
    """Starts, feeds and ends the workers of all sinks.

    Args:
        sinks: of the run. An error of the first ends the run.
        metrics: counters.

    Attributes:
        sinks: as given.
        frames: passes frames to the sinks that want them.
    """

    def __init__(self, sinks: Sequence[Sink], metrics: Metrics) -> None:
        self.sinks = sinks
        self.frames = FrameSinks(sinks, metrics)
        self._metrics = metrics
        self._workers: list[SinkWorker] = []

    def start(self, per_batch: int, on_change: Callable[[], object]) -> None:
        """Start the workers; arguments as of `SinkWorker`."""
        self._workers = [
            SinkWorker(
                sink,
                self._metrics,
                per_batch=per_batch,
                essential=number == 0,
                on_change=on_change,
            )
            for number, sink in enumerate(self.sinks)
        ]

    @property
    def have_room(self) -> bool:
        """Whether no queue of a sink is full; recordings wait for room."""
        return not any(worker.is_full for worker in self._workers)

    @property
    def have_failed(self) -> bool:
        """True if an error ended a worker."""
        return any(worker.error for worker in self._workers)

    @property
    def first_error(self) -> BaseException | None:
        """The error of the first sink, which ends the run."""
        return self._workers[0].error if self._workers else None

    def send(self, output: Sent, live: bool) -> None:
        """Queue an output for every sink; never wait."""
        for worker in self._workers:
            worker.send(output, live)

    def add_stream(self, name: str, views: Sequence[str], per_batch: int) -> None:
        """Expect a stream, and up to `per_batch` outputs of a batch."""
        self._make_room(per_batch)
        for sink in self.sinks:
            sink.add_stream(name, views)

    def change_views(self, name: str, views: Sequence[str], per_batch: int) -> None:
        """Expect other views of a stream, and up to `per_batch` outputs of a batch."""
        self._make_room(per_batch)
        for sink in self.sinks:
            sink.change_views(name, views)

    def remove_stream(self, name: str) -> None:
        """Drop what the sinks keep of a removed stream."""
        for sink in self.sinks:
            sink.remove_stream(name)

    def end(self) -> None:
        """Accept no more outputs; deliver those in the queues."""
        for worker in self._workers:
            worker.end()

    def hurry(self) -> None:
        """Stop retrying, and make the sinks' `close` quick."""
        self.frames.hurry()
        for worker in self._workers:
            worker.hurry()

    def join(self, timeout_s: float) -> bool:
        """Wait for each worker in turn; return whether all have ended."""
        return all(worker.join(timeout_s) for worker in self._workers)

    def stop(self, left_s: Callable[[], float]) -> None:
        """Deliver the queues without retries, as far as the seconds that are left allow."""
        for worker in self._workers:  # stop all before joining one: it may be stuck
            worker.stop()
        for worker in self._workers:
            if not worker.join(left_s()):
                _log.warning("%s: still busy; left behind", worker.log_name)
        self.frames.log_failures()

    def _make_room(self, per_batch: int) -> None:
        for worker in self._workers:
            worker.make_room(per_batch)
