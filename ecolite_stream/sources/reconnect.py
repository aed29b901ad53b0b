"""Reopen a live source whenever it is lost."""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from ecolite_stream.config.schema import ReconnectConfig
from ecolite_stream.errors import SourceError
from ecolite_stream.sources.base import Source
from ecolite_stream.sources.timing import Ascending
from ecolite_stream.types import Frame

_log = logging.getLogger(__name__)

_POLL_S = 0.1
_CAPACITY = 4
STALLED_S = 2.0
"""Seconds without a frame after which a stream counts as stalled."""
_MOST_LEFT = 3
"""Most connections left in a blocked call; then no other is opened."""
_STEADY_S = 3600.0
"""Lifetime of a connection that ends a series of losses, in seconds."""
_LONG_ROW = 4
"""Tries in a row after which a loss is always logged."""
LATE_S = 10.0
"""Extra seconds for a source that exceeds its own opening timeout."""


class Reconnecting(Source):
    """A live source that is reopened when lost, with continuous indices and times.

    It is lost when it ends, fails, cannot be opened, or sends no frame for `silent_s`. It is
    reopened after growing waits. Stream time follows the monotonic clock, so lost time is a gap. A
    source that turns out to be a recording is read to its end and never reopened.

    Each connection has its own thread, which is abandoned if a call never returns. With three
    abandoned threads, no new connection is opened until one of them ends.
    """

    def __init__(
        self,
        name: str,
        open_source: Callable[[], Source],
        config: ReconnectConfig | None = None,
        *,
        on_state: Callable[[str], object] = lambda state: None,
        on_reconnect: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Args:
        name: name for messages.
        open_source: opens the source; called in another thread.
        config: waits and limits.
        on_state: called with each new state, of `metrics.STATES`.
        on_reconnect: called after each reconnect.
        clock: seconds, monotonic; the clock of `Frame.arrived_s`.
        wait: waits for a number of seconds; returns True early if the source is closed.
        chance: a number from 0 to below 1, for the jitter.
        """
        self.name = name
        self._open_source = open_source
        self._config = config or ReconnectConfig()
        self._on_state = on_state
        self._on_reconnect = on_reconnect
        self._clock = clock
        self._closing = threading.Event()
        self._wait = self._closing.wait if wait is None else wait
        self._chance = chance
        self._connection: _Connection | None = None
        self._left: list[_Connection] = []
        self._live: bool | None = None
        self._state = ""
        self._losses = _Losses(name)
        self._stamps = _Stamps()

    @property
    def live(self) -> bool:  # type: ignore[override]
        """Whether it is live; to know, it is opened, however long that takes.

        Raises:
            SourceError: it can never be opened.
        """
        if self._live is None:
            self._opened()
        return self._live is not False

    def __next__(self) -> Frame:
        while (connection := self._opened()) is not None:
            try:
                frame = self._receive(connection)
            except SourceError as error:
                self._lost(error)
                continue
            if frame is None:
                break
            self._losses.works(self._clock())
            arrived_s = self._clock() if frame.arrived_s is None else frame.arrived_s
            return self._stamps.stamped(frame, arrived_s)
        self.close()
        raise StopIteration

    def lose(self, error: SourceError) -> None:
        """Count the source as lost, for its frames cannot be used; by the thread that reads.

        Raises:
            SourceError: there will be no other try.
        """
        self._lost(error)

    def close(self) -> None:
        """End the waiting and close what is open; from any thread, without waiting."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            connection.close()

    def _opened(self) -> _Connection | None:
        """What is open, opened again where need be; None once this is closed."""
        while not self._closing.is_set():
            if self._connection is not None:
                return self._connection
            try:
                self._connect()
            except SourceError as error:
                self._lost(error)
        return None

    def _connect(self) -> None:
        self._report("connecting")
        self._left = [one for one in self._left if one.is_alive()]
        if len(self._left) >= _MOST_LEFT:
            raise SourceError(
                f"{self.name}: {len(self._left)} earlier tries still hang; restart if it stays so"
            )
        again = self._live is not None
        connection = self._connection = _Connection(self.name, self._open_source)
        start_s, longest_s = self._clock(), self._config.open_s + LATE_S
        while not connection.is_open(_POLL_S):
            if self._closing.is_set():
                connection.close()
                return
            if self._clock() - start_s >= longest_s:
                raise SourceError(f"{self.name}: it does not open in {longest_s:g} s")
        self._live = connection.live
        self._stamps.begin()
        self._losses.opens(self._clock())
        if again:
            self._on_reconnect()
        self._report("live")

    def _receive(self, connection: _Connection) -> Frame | None:
        """The next frame; None at the end of a recording, or once this is closed."""
        start_s, silent_s = self._clock(), self._config.silent_s
        while not self._closing.is_set():
            try:
                frame = connection.next_frame(_POLL_S)
            except EOFError:
                if not self._live:
                    return None
                raise SourceError(f"{self.name}: its sender ended it; see why it did") from None
            if frame is not None:
                self._report("live")
                return frame
            if not self._live:  # a recording may show a picture for as long as it likes
                continue
            waited_s = self._clock() - start_s
            if waited_s >= silent_s:
                raise SourceError(f"{self.name}: silent for {silent_s:g} s; see if it is running")
            if waited_s >= min(STALLED_S, silent_s / 2) and self._state != "stalled":
                self._losses.stalls(start_s, waited_s)
                self._report("stalled")
        return None

    def _lost(self, error: SourceError) -> None:
        """Close what was open, and wait until it is time to open it again.

        Raises:
            SourceError: there will be no other try.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            self._left.append(connection)
        if self._closing.is_set():
            return
        config = self._config
        count = self._losses.count_one(self._clock(), config.wait_s)
        if error.permanent or self._live is False or (config.limit and count > config.limit):
            self.close()
            raise error
        wait_s = config.wait_s(count) * (1 + config.jitter * (2 * self._chance() - 1))
        self._losses.log(error, wait_s)
        self._report("waiting")
        self._wait(wait_s)

    def _report(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._on_state(state)


class _Connection:
    """A thread that opens a source and reads it, with room for a few frames."""

    def __init__(self, name: str, open_source: Callable[[], Source]) -> None:
        self._name = name
        self._open_source = open_source
        self._source: Source | None = None
        self._frames: deque[Frame] = deque()
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()
        # A daemon: a read that never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name=f"connection {name}", daemon=True)
        self._thread.start()

    @property
    def live(self) -> bool:
        """Of what is open."""
        return self._source is not None and self._source.live

    def is_alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    def is_open(self, timeout_s: float) -> bool:
        """Wait until it is open, and tell whether it is; raises what kept it from opening."""
        with self._changed:
            self._changed.wait_for(lambda: self._source or self._error or self._closed, timeout_s)
            if self._source is None and self._error is not None:
                raise self._error
            return self._source is not None

    def next_frame(self, timeout_s: float) -> Frame | None:
        """The next frame, if one comes in time; raises what ended it, EOFError for a mere end."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._error or self._closed, timeout_s)
            if self._frames:
                frame = self._frames.popleft()
                self._changed.notify_all()
                return frame
            if self._error is not None:
                raise self._error
            return None

    def close(self) -> None:
        """Never waits: the thread ends when its read returns."""
        with self._changed:
            self._closed = True
            source = self._source
            self._changed.notify_all()
        if source is not None:
            source.close()

    def _run(self) -> None:
        error: BaseException = EOFError()
        try:
            with self._open_source() as source:
                if self._adopt(source):
                    self._read(source)
        except SourceError as raised:  # raised again where frames are taken
            error = raised
        except Exception as raised:  # of a library: this source is lost, and no other
            _log.debug("%s: unexpected error", self._name, exc_info=raised)
            error = SourceError(f"{self._name}: {type(raised).__name__}: {raised}; report it")
        except BaseException as raised:
            error = raised
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _adopt(self, source: Source) -> bool:
        with self._changed:
            if not self._closed:
                self._source = source
            self._changed.notify_all()
            return not self._closed

    def _read(self, source: Source) -> None:
        for frame in source:
            with self._changed:
                self._changed.wait_for(lambda: len(self._frames) < _CAPACITY or self._closed)
                if self._closed:
                    return
                self._frames.append(frame)
                self._changed.notify_all()


class _Losses:
    """Counts stalls and losses of a source and logs them less and less often.

    Losses without a working connection between them are a row. Rows until a connection lasts an
    hour are a series. The 1st, 2nd, 4th, 8th ... row of a series is logged, and the same tries of
    a row; a row of many tries always is.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._rows = 0
        self._since_s: float | None = None
        self._open_s: float | None = None
        self._works = False
        self._stalls = 0
        self._stalled_since_s: float | None = None
        self._logged = False

    def opens(self, now_s: float) -> None:
        """It is open; that it works is another matter."""
        self._open_s = now_s
        self._works = False

    def works(self, now_s: float) -> None:
        """A frame came."""
        since_s = self._stalled_since_s if self._since_s is None else self._since_s
        if since_s is not None and self._logged:
            _log.warning("%s: live again after %.0f s", self._name, now_s - since_s)
        self._works = True
        self._logged = False
        self._since_s = self._stalled_since_s = None

    def stalls(self, since_s: float, waited_s: float) -> None:
        """Nothing has come for a while."""
        self._stalls += 1
        if _is_power_of_two(self._stalls):
            _log.warning("%s: stalled, no frame for %.2g s", self._name, waited_s)
            self._stalled_since_s = since_s
            self._logged = True

    def count_one(self, now_s: float, wait_s: Callable[[int], float]) -> int:
        """Losses in a row; a connection that lasted longer than the wait ends a row."""
        lasted_s = now_s - self._open_s if self._works and self._open_s is not None else 0.0
        if self._count and lasted_s > wait_s(self._count):
            self._count = 0
        if lasted_s > _STEADY_S:
            self._rows = self._stalls = 0
        self._count += 1
        self._rows += self._count == 1
        self._works = False
        self._open_s = None
        if self._since_s is None:
            self._since_s = now_s if self._stalled_since_s is None else self._stalled_since_s
        return self._count

    def log(self, error: SourceError, wait_s: float) -> None:
        """Log the cause of a loss if it is due."""
        is_due = _is_power_of_two(self._rows) or self._count >= _LONG_ROW
        if not is_due or not _is_power_of_two(self._count):
            return
        self._logged = True
        why = str(error).removeprefix(f"{self._name}: ").partition(";")[0]
        shown = f"{wait_s:.0f}" if wait_s >= 9.5 else f"{wait_s:.2g}"
        times = f", for the {self._rows}th time" if self._rows > 2 else ""
        _log.warning("%s: lost (%s)%s; trying again in %s s", self._name, why, times, shown)


def _is_power_of_two(number: int) -> bool:
    return not number & (number - 1)


class _Stamps:
    """Indices and times that go on from one connection to the next."""

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._last_arrived_s = 0.0
        self._begins = True
        self._index_shift = 0
        self._shift_s = 0.0
        self._ascending = Ascending()

    def begin(self) -> None:
        """What comes next is of another connection."""
        self._begins = True

    def stamped(self, frame: Frame, arrived_s: float) -> Frame:
        """The frame with its place in the whole stream."""
        if self._begins and self._last is not None:
            expected_s = self._last.time_s + arrived_s - self._last_arrived_s
            self._shift_s = expected_s - frame.time_s
            self._index_shift = self._last.index + 1 - frame.index
        self._begins = False
        time_s = self._ascending.checked(frame.time_s + self._shift_s)
        self._last_arrived_s = arrived_s
        self._last = dataclasses.replace(
            frame, index=frame.index + self._index_shift, time_s=time_s
        )
        return self._last
