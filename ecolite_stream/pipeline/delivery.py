"""A bounded queue and a thread for each sink: a slow or broken sink does not stop the streams."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from ecolite_stream.sinks.base import RETRY_AFTER_S, Sink
from ecolite_stream.types import Prediction, Sent

_log = logging.getLogger(__name__)

CAPACITY = 64
"""Smallest capacity of a queue, in outputs."""
WELCOME = CAPACITY // 2
"""Queue length at which recordings wait; the rest is room for the outputs of one more batch."""
_WAIT_S = 1.0


class SinkWorkerMetrics(Protocol):
    """Counters of a worker; see `metrics.Metrics`."""

    def delivered(self, sink: str, output: Sent, delivery_s: float, age_s: float | None) -> None:
        """Count an output that a sink accepted `delivery_s` after it was sent."""

    def sink_failed(self, sink: str) -> None:
        """Count an error of a sink."""

    def not_delivered(self, sink: str, cause: str) -> None:
        """Count a prediction or an event that never reached a sink."""


class _Waiting(NamedTuple):
    """An output in the queue, the time it was sent, and whether its stream is live."""

    output: Sent
    sent_s: float
    live: bool


class SinkWorker:
    """Feeds a sink from its own thread.

    Errors of the sink are counted and logged, and the output is tried again after
    `retry_after_s`. After the last try it is lost; the next ones get a single try until one
    succeeds. A full queue drops its oldest output: senders of recordings check `is_full` and wait.
    A view of a live stream has only its newest prediction in the queue, and an older one is not
    tried again, so that labels stay current however slow the sink is. Events are never replaced.

    Args:
        sink: the worker enters and closes it.
        metrics: counters.
        name: name of the sink in metrics; None takes that of its class.
        per_batch: most outputs of one batch; with it recordings lose nothing.
        essential: errors of the sink end the run: the console on stdout.
        on_change: called when there is room again, or the worker ends.
        retry_after_s: seconds to wait before each further try; None takes the sink's own.
        clock: seconds, monotonic; the clock of `Prediction.arrived_s`.
    """

    def __init__(
        self,
        sink: Sink,
        metrics: SinkWorkerMetrics,
        name: str | None = None,
        *,
        per_batch: int = 0,
        essential: bool = False,
        on_change: Callable[[], object] = lambda: None,
        retry_after_s: Sequence[float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name or type(sink).__name__
        self.log_name = sink.log_name or self.name
        self.error: BaseException | None = None
        self._sink = sink
        self._metrics = metrics
        self._capacity = WELCOME + max(WELCOME, per_batch)
        self._essential = essential
        self._on_change = on_change
        self._retry_after_s = retry_after_s
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._lost = 0
        self._pushed_out = 0
        self._ending = False
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"sink {self.name}", daemon=True)
        self._thread.start()

    def make_room(self, per_batch: int) -> None:
        """Raise the capacity to `per_batch` outputs of one batch."""
        with self._changed:
            self._capacity = max(self._capacity, WELCOME + per_batch)

    @property
    def is_full(self) -> bool:
        """Whether recordings must wait: one more batch could drop the oldest output."""
        return len(self._waiting) >= WELCOME and self.error is None

    def send(self, output: Sent, live: bool = False) -> None:
        """Queue an output if the sink takes its type; never wait.

        Args:
            output: a prediction, an event or a batch.
            live: whether its stream is live.
        """
        if not isinstance(output, self._sink.takes):
            return
        with self._changed:
            if self.error is not None:
                self._metrics.not_delivered(self.name, "sink failed")
            if self.error is not None or self._ending:
                return
            if live and self._replace_older(output):
                return
            if len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self._pushed_out += 1
                self._metrics.not_delivered(self.name, "sink too slow")
            self._waiting.append(_Waiting(output, self._clock(), live))
            self._changed.notify_all()

    def _replace_older(self, newest: Sent) -> bool:
        """Put the newest prediction in the place of an older one; return whether there was one.

        At the end of the queue it would always stand behind other streams.
        """
        for place, older in enumerate(self._waiting):
            if self._replaces(newest, older.output):
                self._waiting[place] = _Waiting(newest, self._clock(), live=True)
                self._metrics.not_delivered(self.name, "sink too slow")
                return True
        return False

    def _replaces(self, newer: Sent, older: Sent) -> bool:
        """Whether both are predictions of one view, and the sink needs only the newer one."""
        return (
            isinstance(newer, Prediction)
            and isinstance(older, Prediction)
            and newer.key == older.key
            and not self._sink.wants_all
        )

    def _is_outdated(self, tried: _Waiting) -> bool:
        """Whether a newer prediction of its live stream is in the queue."""
        with self._changed:
            return tried.live and any(
                self._replaces(newer.output, tried.output) for newer in self._waiting
            )

    def end(self) -> None:
        """Accept no more outputs; deliver those in the queue."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def hurry(self) -> None:
        """Stop retrying."""
        self._stopping.set()

    def stop(self) -> None:
        """Deliver the queue without retries, then end."""
        self.hurry()
        self.end()

    def join(self, timeout_s: float | None) -> bool:
        """Wait for the thread; return whether it ended.

        Before Python 3.13 an interrupted `Thread.join` marks a running thread as ended, so this
        waits for an event first.
        """
        if not self._ended.wait(timeout_s):
            return False
        self._thread.join()
        return True

    def _run(self) -> None:
        try:
            with self._sink:
                while (waited := self._next()) is not None:
                    self._deliver(waited)
                self._log_losses(f"{self.log_name}:")
        except BaseException as error:  # raised again in the main thread
            if not self._essential:
                self._metrics.sink_failed(self.name)
                _log.exception("%s: cannot be opened or closed", self.log_name)
            self.error = error
        finally:
            self._ended.set()
            self._on_change()

    def _next(self) -> _Waiting | None:
        with self._changed:
            while not (self._waiting or self._ending):
                self._changed.wait(_WAIT_S)
            if not self._waiting:
                return None
            waited = self._waiting.popleft()
        self._on_change()
        return waited

    def _deliver(self, waited: _Waiting) -> None:
        output = waited.output
        for number, wait_s in enumerate((*self._waits_s(waited.live), None)):
            age_s = None
            if isinstance(output, Prediction) and output.arrived_s is not None:
                age_s = self._clock() - output.arrived_s
                output = dataclasses.replace(output, latency_ms=1e3 * age_s)
            try:
                self._sink.send(output)
            except Exception as error:
                if self._essential:
                    raise
                self._failed(error, first=number == 0)
            else:
                self._delivered(output, self._clock() - waited.sent_s, age_s)
                return
            if wait_s is None or self._stopping.wait(wait_s) or self._is_outdated(waited):
                break
        self._lost += 1
        self._metrics.not_delivered(self.name, "sink failed")

    def _waits_s(self, live: bool) -> Sequence[float]:
        """Seconds before each further try; few for recordings, which wait for their sinks."""
        if self._retry_after_s is not None:
            return () if self._lost else self._retry_after_s
        if live:
            return self._sink.retry_after_s
        return () if self._lost else RETRY_AFTER_S

    def _failed(self, error: Exception, *, first: bool) -> None:
        self._metrics.sink_failed(self.name)
        if first and not self._lost:
            reason = " ".join(str(error).split()) or type(error).__name__
            _log.warning("%s failed: %s; trying again", self.log_name, reason)

    def _delivered(self, output: Sent, delivery_s: float, age_s: float | None) -> None:
        self._metrics.delivered(self.name, output, delivery_s, age_s)
        self._log_losses(f"{self.log_name} works again;")

    def _log_losses(self, beginning: str) -> None:
        """Log the number of outputs lost since the failure, including those dropped when full."""
        if not self._lost:
            return
        with self._changed:
            lost = self._lost + self._pushed_out
            self._lost = self._pushed_out = 0
        _log.warning("%s %d predictions or events were lost", beginning, lost)
