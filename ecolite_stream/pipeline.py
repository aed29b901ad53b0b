"""Streams, the engine and sinks put together; the only module that knows every stage.

    source -> Reader: due frames -> Inbox -> Scheduler: engine, in batches -> Outlet -> sink
    a thread for each stream        slots    one thread                       one each

The slot of a recording waits and loses nothing; that of a live source keeps the newest and counts
what it drops. An outlet that is full makes recordings wait; of a live stream it keeps the newest
prediction and every event that it has room for.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from ecolite_stream.bundle import ModelSpec
from ecolite_stream.config import ReconnectConfig, StreamConfig
from ecolite_stream.decision import decision_for
from ecolite_stream.engines.base import Engine
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.inbox import Inbox
from ecolite_stream.metrics import Metrics
from ecolite_stream.naming import NamedSource, named_source
from ecolite_stream.reader import Reader, StreamInput
from ecolite_stream.recognizer import check_fits
from ecolite_stream.rounds import MOST_PER_STEP, Rounds
from ecolite_stream.scheduler import Scheduler
from ecolite_stream.sinks import FrameSink, Sink
from ecolite_stream.sinks.outlet import Outlet
from ecolite_stream.sources import may_be_live, open_source, redact_url
from ecolite_stream.sources.pipe import NAME, STDIN
from ecolite_stream.stream_state import StreamState
from ecolite_stream.types import Frame, Round, Sent

logger = logging.getLogger(__name__)

_POLL_S = 0.2
SHUTDOWN_S = 1.2
"""How long all threads together may take to end once a run is stopped."""


class Pipeline:
    """Watches streams until all of them have ended.

    The engine is opened first, then the sources, each in a thread of its own.

    Args:
        streams: their names must differ. The pipeline opens and closes them.
        open_engine: makes the engine, warm; called, like the engine, in one thread.
        spec: the bundle's description.
        sinks: receive every prediction or event, whichever they take, each from a thread of its
            own, and the frames if they want them; entered and closed there. What the first raises
            ends the run; what the others raise is logged and counted.
        config: memory policy, period and smoothing.
        metrics: what is counted.

    Raises:
        ConfigError: the configuration contradicts the bundle.
    """

    def __init__(
        self,
        streams: Sequence[StreamInput],
        open_engine: Callable[[], Engine],
        spec: ModelSpec,
        sinks: Sequence[Sink],
        config: StreamConfig | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        config = config or StreamConfig()
        check_fits(config, spec)
        self._sinks = sinks
        self._metrics = metrics or Metrics()
        self._inbox = Inbox()
        self._outlets: list[Outlet] = []
        states = {stream.name: StreamState(spec, config) for stream in streams}
        self._readers = [
            Reader(
                stream,
                states[stream.name],
                self._inbox,
                self._metrics,
                self._show,
                self._reader_failed,
            )
            for stream in streams
        ]
        self._scheduler = Scheduler(
            open_engine,
            Rounds(
                states,
                {name: decision_for(name, config, spec.thresholds) for name in states},
                self._metrics,
            ),
            self._inbox,
            self._publish,
            self._has_room,
        )
        self._stopping = threading.Event()
        self._broken: list[tuple[str, SourceError]] = []
        self._fatal: BaseException | None = None
        self._frame_sinks = [sink for sink in sinks if isinstance(sink, FrameSink)]
        self._blind: set[FrameSink] = set()

    def run(self) -> None:
        """Send predictions to the sinks until every stream has ended.

        Raises:
            SourceError: a source broke; the others were watched to their ends.
            EngineError: the engine failed; everything was stopped.
            Exception: what the first sink raised.
        """
        self._inbox.expect(len(self._readers))
        self._outlets = [
            Outlet(
                sink,
                self._metrics,
                per_round=1 + MOST_PER_STEP * len(self._readers),
                essential=number == 0,
                on_change=self._inbox.wake,
            )
            for number, sink in enumerate(self._sinks)
        ]
        try:
            self._scheduler.start()
            if self._waits_for(self._scheduler.engine_is_open):
                for reader in self._readers:
                    reader.start()
                self._waits_for(self._scheduler.done)
            if self._scheduler.done.is_set():
                for outlet in self._outlets:
                    outlet.end()
            while not self._ends() and not all(o.join(_POLL_S) for o in self._outlets):
                pass
        finally:
            self.stop()
            self._join()
        self._raise_what_failed()

    def stop(self) -> None:
        """End all streams now; may come from any thread. What was predicted is still delivered."""
        self._stopping.set()
        self._inbox.close()
        for reader in self._readers:
            reader.stop()
        for sink in self._frame_sinks:
            sink.hurry()
        for outlet in self._outlets:
            outlet.hurry()

    def pulse(self) -> int | None:
        """A number that changes at least once a second, unless the engine hangs or takes longer.

        None before the engine is open.
        """
        return self._scheduler.turns if self._scheduler.engine_is_open.is_set() else None

    def _ends(self) -> bool:
        return self._stopping.is_set() or any(outlet.error for outlet in self._outlets)

    def _waits_for(self, event: threading.Event) -> bool:
        """Wait for it, and tell whether it came before the end of the run."""
        while not event.wait(_POLL_S):
            if self._ends() or self._scheduler.done.is_set():
                return event.is_set()
        return True

    def _publish(self, output: Sent) -> None:
        live = not isinstance(output, Round) and self._inbox.is_live(output.stream)
        for outlet in self._outlets:
            outlet.send(output, live)

    def _show(self, frame: Frame, live: bool) -> None:
        """Show a frame to the sinks that want it; what they raise ends no stream."""
        for sink in self._frame_sinks:
            name = type(sink).__name__
            try:
                if not sink.show(frame, live):
                    self._metrics.not_shown(name, frame.stream)
            except Exception as error:
                self._metrics.sink_failed(name)
                if sink not in self._blind:
                    logger.warning("%s cannot take pictures: %s; it does without", name, error)
                self._blind.add(sink)

    def _has_room(self) -> bool:
        return not any(outlet.is_full for outlet in self._outlets)

    def _reader_failed(self, name: str, error: BaseException) -> None:
        if not isinstance(error, SourceError):
            self._fatal = self._fatal or error
            self._stopping.set()
            return
        self._broken.append((name, error))
        if len(self._readers) > 1:  # the others go on, maybe for days: say it now
            logger.error("%s", error)

    def _join(self) -> None:
        """Wait for all threads, all of them together no longer than `SHUTDOWN_S`."""
        deadline_s = time.monotonic() + SHUTDOWN_S

        def left_s() -> float:
            return max(0.0, deadline_s - time.monotonic())

        self._scheduler.join(left_s() * 2 / 3)  # it ends the events that last
        for outlet in self._outlets:  # all of them first: one that is stuck must not hold others up
            outlet.stop()
        for outlet in self._outlets:
            if not outlet.join(left_s()):
                logger.warning("%s: still busy; left behind", outlet.name)
        for reader in self._readers:
            if not reader.join(left_s()):
                logger.warning("%s: still blocked in a read; left behind", reader.name)
            if reader.frames_dropped:
                logger.warning(
                    "%s: %d due frames were dropped to keep up", reader.name, reader.frames_dropped
                )

    def _raise_what_failed(self) -> None:
        errors = [self._fatal, self._scheduler.error, *(o.error for o in self._outlets[:1])]
        for error in errors:
            if error is not None:
                raise error
        if len(self._readers) == 1 and self._broken:
            raise self._broken[0][1]
        if self._broken:
            names = ", ".join(name for name, _ in self._broken)
            raise SourceError(
                f"{len(self._broken)} of {len(self._readers)} sources could not be watched to "
                f"their ends: {names}; see above why"
            )


def stream_inputs(
    specs: Sequence[str | NamedSource],
    *,
    realtime: bool = False,
    reconnect: ReconnectConfig | None = None,
) -> list[StreamInput]:
    """What a user names, ready to be opened.

    Args:
        specs: as `open_source` takes them, each with `NAME=` before it where it has a name.
        realtime: show recordings at their own speed.
        reconnect: how live sources that are lost are opened again; None if never.

    Raises:
        ConfigError: a name cannot be one, or is there twice; so is standard input.
    """
    waits = reconnect or ReconnectConfig()
    if not waits.enabled:
        reconnect = None

    def stream_input(spec: str, name: str) -> StreamInput:
        again = reconnect if may_be_live(spec) else None
        return StreamInput(
            name,
            functools.partial(
                open_source,
                spec,
                name=name,
                realtime=realtime,
                end_is_worth_a_warning=not again,
                open_timeout_s=waits.open_s,
                read_timeout_s=waits.silent_s,
            ),
            again,
        )

    sources = [named_source(spec) for spec in specs]
    names = stream_names(sources)
    return [stream_input(one.url, name) for one, name in zip(sources, names, strict=True)]


def stream_names(sources: Sequence[NamedSource]) -> list[str]:
    """How streams are called, everywhere: by their names, or as the source without credentials.

    Raises:
        ConfigError: two have the same name, or standard input is there twice.
    """
    if [source.url for source in sources].count(STDIN) > 1:
        raise ConfigError("standard input, -, is named twice as a source; it can be read once")
    unnamed = distinct_names(
        NAME if source.url == STDIN else redact_url(source.url)
        for source in sources
        if source.name is None
    )
    others = iter(unnamed)
    names = [next(others) if source.name is None else source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two streams are called {name!r}; give each a name of its own")
    return names


def distinct_names(specs: Iterable[str]) -> list[str]:
    """Stream names for sources as the user wrote them; repeated ones get a number."""
    names: list[str] = []
    for spec in specs:
        name, number = spec, 1
        while name in names:
            number += 1
            name = f"{spec}#{number}"
        names.append(name)
    return names
