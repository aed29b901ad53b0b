"""Sources, the recognizer and sinks put together; the only module that knows every stage.

source -> reader thread -> stream thread -> recognizer (one at a time) -> queue -> sinks

The reader of a file waits when it is ahead and loses nothing; that of a live source keeps the
latest frame and counts what it drops.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from ecolite_stream.errors import SourceError
from ecolite_stream.recognizer import Recognizer
from ecolite_stream.sinks import Sink
from ecolite_stream.sources import ReadAhead, Source, open_source, redact_url
from ecolite_stream.types import Frame, Prediction

logger = logging.getLogger(__name__)

_WAITING_PREDICTIONS = 64
_POLL_S = 0.2
_JOIN_S = 3.0


class Pipeline:
    """Watches sources until all of them have ended.

    Args:
        sources: opened; their names must differ. The pipeline closes them.
        recognizer: used by one thread at a time.
        sinks: receive every prediction, from the thread that calls `run`.
        clock: seconds, monotonic; measures latency.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        recognizer: Recognizer,
        sinks: Sequence[Sink],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._readers = [ReadAhead(source) for source in sources]
        self._recognizer = recognizer
        self._sinks = sinks
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        # None says that a stream has ended.
        self._predictions: queue.Queue[Prediction | None] = queue.Queue(_WAITING_PREDICTIONS)
        self._stopping = threading.Event()
        self._broken: list[tuple[str, SourceError]] = []
        self._fatal: BaseException | None = None

    def run(self) -> None:
        """Send predictions to the sinks until every source has ended.

        Raises:
            SourceError: a source broke; the others were watched to their ends.
            EngineError: the engine failed; everything was stopped.
        """
        threads = [
            threading.Thread(target=self._watch, args=(reader,), name=reader.name, daemon=True)
            for reader in self._readers
        ]
        try:
            for thread in threads:
                thread.start()
            for prediction in self._until_all_end(threads):
                for sink in self._sinks:
                    sink.send(prediction)
        finally:
            self.stop()
            for thread in threads:
                thread.join(_JOIN_S)
        self._raise_what_failed()

    def stop(self) -> None:
        """End all streams now; may come from any thread."""
        self._stopping.set()
        for reader in self._readers:
            reader.close()

    def _until_all_end(self, threads: Sequence[threading.Thread]) -> Iterator[Prediction]:
        running = len(threads)
        while running:
            try:
                prediction = self._predictions.get(timeout=_POLL_S)
            except queue.Empty:
                if not any(thread.is_alive() for thread in threads):
                    return
                continue
            if prediction is None:
                running -= 1
            else:
                yield prediction

    def _watch(self, reader: ReadAhead) -> None:
        """The life of one stream, in its thread."""
        try:
            for prediction in self._predict(reader):
                self._hand_over(prediction)
        except SourceError as error:
            self._broken.append((reader.name, error))
            if len(self._readers) > 1:  # the others go on, maybe for days: say it now
                logger.error("%s", error)
        except BaseException as error:  # surfaces in the thread that called `run`
            self._fatal = self._fatal or error
            self.stop()
        finally:
            if reader.frames_dropped:
                logger.warning(
                    "%s: %d frames were dropped to keep up", reader.name, reader.frames_dropped
                )
            self._hand_over(None)

    def _predict(self, reader: ReadAhead) -> Iterator[Prediction]:
        for frame in reader:
            taken_s = self._clock()
            with self._one_at_a_time:
                prediction = self._recognizer.observe(frame)
            if prediction:
                yield self._timed(prediction, taken_s)
        if self._stopping.is_set():
            return
        taken_s = self._clock()
        with self._one_at_a_time:
            prediction = self._recognizer.finish(reader.name)
        if prediction:
            yield self._timed(prediction, taken_s)

    def _timed(self, prediction: Prediction, taken_s: float) -> Prediction:
        latency_ms = 1e3 * (self._clock() - taken_s)
        return dataclasses.replace(prediction, latency_ms=latency_ms)

    def _hand_over(self, prediction: Prediction | None) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Full):
                self._predictions.put(prediction, timeout=_POLL_S)
                return

    def _raise_what_failed(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        if len(self._readers) == 1 and self._broken:
            raise self._broken[0][1]
        if self._broken:
            names = ", ".join(name for name, _ in self._broken)
            raise SourceError(
                f"{len(self._broken)} of {len(self._readers)} sources could not be watched to "
                f"their ends: {names}; see above why"
            )


def open_sources(specs: Sequence[str], *, realtime: bool = False) -> list[Source]:
    """Open what a user names; one that cannot be opened does not keep the others from it.

    Args:
        specs: as `open_source` takes them.
        realtime: show recordings at their own speed.

    Returns:
        A source for each; one that could not be opened says so when it is read.

    Raises:
        SourceError: none of them can be opened.
    """
    sources: list[Source] = []
    errors: list[SourceError] = []
    for spec, name in zip(specs, distinct_names(map(redact_url, specs)), strict=True):
        try:
            sources.append(open_source(spec, name=name, realtime=realtime))
        except SourceError as error:
            sources.append(_Unopened(name, error))
            errors.append(error)
    if len(errors) == len(specs):
        raise SourceError("; ".join(map(str, errors)))
    return sources


class _Unopened(Source):
    """Stands for a source that could not be opened."""

    live = False

    def __init__(self, name: str, error: SourceError) -> None:
        self.name = name
        self._error = error

    def __next__(self) -> Frame:
        raise self._error

    def close(self) -> None:
        """Nothing is open."""


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
