"""A bounded queue and a thread round a sink: however slow or broken it is, the streams go on."""

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
"""What may wait at least."""
WELCOME = CAPACITY // 2
"""What may wait before recordings do: the rest is room for all that comes of one more round."""
_WAIT_S = 1.0


class SinkWorkerMetrics(Protocol):
    """What an worker counts; see `metrics.Metrics`."""

    def delivered(self, sink: str, output: Sent, delivery_s: float, age_s: float | None) -> None:
        """A sink took something, so many seconds after it was sent."""

    def sink_failed(self, sink: str) -> None:
        """A sink raised something."""

    def not_delivered(self, sink: str, cause: str) -> None:
        """A prediction or an event never reached a sink."""


class _Waiting(NamedTuple):
    """What waits for a sink, since when, and whether it is of a live source."""

    output: Sent
    sent_s: float
    live: bool


class SinkWorker:
    """Feeds a sink from a thread of its own.

    What the sink raises is counted, logged and tried again `retry_after_s` later; then that
    prediction or event is lost and the next one has its turn, a single try until one succeeds. When
    the queue is full the oldest in it is dropped: senders of recordings look at `is_full` first and
    wait. Of a live stream only the newest prediction waits, and an older one is not tried again
    where it does, so that a label is never older than the time between two of them, however slow
    the sink; events all wait.

    Args:
        sink: the worker enters and closes it.
        metrics: what is counted.
        name: of the sink in logs and metrics.
        per_batch: what comes of one round at most, so that recordings lose nothing.
        essential: what it raises is not caught, but ends the run: the console on stdout.
        on_change: called whenever there is room again, or the worker is at its end.
        retry_after_s: seconds to wait before each further try; None is the sink's own.
        clock: seconds, monotonic; the one `Prediction.arrived_s` is from.
    """

    def __init__(
        self,
        sink: Sink,
        metrics: SinkWorkerMetrics,
        name: str = "",
        *,
        per_batch: int = 0,
        essential: bool = False,
        on_change: Callable[[], object] = lambda: None,
        retry_after_s: Sequence[float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name or type(sink).__name__
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
        """Let that much come of one batch at most, from now on."""
        with self._changed:
            self._capacity = max(self._capacity, WELCOME + per_batch)

    @property
    def is_full(self) -> bool:
        """Whether recordings are to wait: one more round might push out the oldest."""
        return len(self._waiting) >= WELCOME and self.error is None

    def send(self, output: Sent, live: bool = False) -> None:
        """Queue a prediction or an event, if the sink takes it; never waits.

        Args:
            output: what is to be sent.
            live: it is of a live source.
        """
        if not isinstance(output, self._sink.takes):
            return
        with self._changed:
            if self.error is not None:
                self._metrics.not_delivered(self.name, "sink failed")
            if self.error is not None or self._ending:
                return
            if live and self._takes_its_place(output):
                return
            if len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self._pushed_out += 1
                self._metrics.not_delivered(self.name, "sink too slow")
            self._waiting.append(_Waiting(output, self._clock(), live))
            self._changed.notify_all()

    def _takes_its_place(self, newest: Sent) -> bool:
        """Put the newest prediction where an older one of its stream waits; tell if one did.

        At the end of the queue, that of a stream would always find another one before it.
        """
        for place, older in enumerate(self._waiting):
            if self._replaces(newest, older.output):
                self._waiting[place] = _Waiting(newest, self._clock(), live=True)
                self._metrics.not_delivered(self.name, "sink too slow")
                return True
        return False

    def _replaces(self, newer: Sent, older: Sent) -> bool:
        """Whether both are predictions of one stream, and the sink can do without one of them."""
        return (
            isinstance(newer, Prediction)
            and isinstance(older, Prediction)
            and newer.stream == older.stream
            and not self._sink.wants_all
        )

    def _is_outdated(self, tried: _Waiting) -> bool:
        """Whether a newer prediction of its live stream waits."""
        with self._changed:
            return tried.live and any(
                self._replaces(newer.output, tried.output) for newer in self._waiting
            )

    def end(self) -> None:
        """Nothing more is sent; what waits is still delivered."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def hurry(self) -> None:
        """Try nothing twice any more."""
        self._stopping.set()

    def stop(self) -> None:
        """Deliver what waits, but try nothing twice any more."""
        self.hurry()
        self.end()

    def join(self, timeout_s: float | None) -> bool:
        """Wait for the end of the thread, and tell whether it came.

        A signal may interrupt it. Before Python 3.13 `Thread.join`, interrupted, takes the thread
        for ended, so that nobody would wait for it any more.
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
                self._tell_lost(f"{self.name}:")
        except BaseException as error:  # raised again by whoever waits for the run
            if not self._essential:
                self._metrics.sink_failed(self.name)
                _log.exception("%s: opening or closing it failed", self.name)
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
        """Before each further try. A recording waits for its sinks, so its tries soon end."""
        if self._retry_after_s is not None:
            return () if self._lost else self._retry_after_s
        if live:
            return self._sink.retry_after_s
        return () if self._lost else RETRY_AFTER_S

    def _failed(self, error: Exception, *, first: bool) -> None:
        self._metrics.sink_failed(self.name)
        if first and not self._lost:
            reason = " ".join(str(error).split()) or type(error).__name__
            _log.warning("%s failed: %s; trying again", self.name, reason)

    def _delivered(self, output: Sent, delivery_s: float, age_s: float | None) -> None:
        self._metrics.delivered(self.name, output, delivery_s, age_s)
        self._tell_lost(f"{self.name} works again;")

    def _tell_lost(self, beginning: str) -> None:
        """Say how many were lost since it failed, those included that there was no room for."""
        if not self._lost:
            return
        with self._changed:
            lost = self._lost + self._pushed_out
            self._lost = self._pushed_out = 0
        _log.warning("%s %d predictions or events were lost", beginning, lost)
