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
from collections.abc import Callable, Iterator, Sequence

from ecolite_stream.errors import EcoliteError, SourceError
from ecolite_stream.recognizer import Recognizer
from ecolite_stream.sinks import Sink
from ecolite_stream.sources import ReadAhead, Source
from ecolite_stream.types import Prediction

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
        self._predictions: queue.Queue[Prediction] = queue.Queue(_WAITING_PREDICTIONS)
        self._stopping = threading.Event()
        self._failures: list[BaseException] = []

    def run(self) -> None:
        """Send predictions to the sinks until every source has ended.

        Raises:
            SourceError: a source broke; the others were watched to their ends.
            EcoliteError: an engine failed; everything was stopped.
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
        if self._failures:
            raise self._failures[0]

    def stop(self) -> None:
        """End all streams now; may come from any thread."""
        self._stopping.set()
        for reader in self._readers:
            reader.close()

    def _until_all_end(self, threads: Sequence[threading.Thread]) -> Iterator[Prediction]:
        while True:
            running = any(thread.is_alive() for thread in threads)
            try:
                yield self._predictions.get(timeout=_POLL_S if running else 0)
            except queue.Empty:
                if not running:
                    return

    def _watch(self, reader: ReadAhead) -> None:
        """The life of one stream, in its thread."""
        try:
            for prediction in self._predict(reader):
                self._hand_over(prediction)
        except SourceError as error:
            self._failures.append(error)
            if len(self._readers) > 1:
                logger.error("%s", error)
        except BaseException as error:  # surfaces in the thread that called `run`
            self._failures.insert(0, error)
            self.stop()
        finally:
            if reader.frames_dropped:
                logger.warning(
                    "%s: %d frames were dropped to keep up", reader.name, reader.frames_dropped
                )

    def _predict(self, reader: ReadAhead) -> Iterator[Prediction]:
        for frame in reader:
            taken_s = self._clock()
            with self._one_at_a_time:
                prediction = self._recognizer.observe(frame)
            if prediction:
                yield self._timed(prediction, taken_s)
        taken_s = self._clock()
        with self._one_at_a_time:
            prediction = self._recognizer.finish(reader.name)
        if prediction:
            yield self._timed(prediction, taken_s)

    def _timed(self, prediction: Prediction, taken_s: float) -> Prediction:
        latency_ms = 1e3 * (self._clock() - taken_s)
        return dataclasses.replace(prediction, latency_ms=latency_ms)

    def _hand_over(self, prediction: Prediction) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(queue.Full):
                self._predictions.put(prediction, timeout=_POLL_S)
                return


def distinct_names(specs: Sequence[str]) -> list[str]:
    """Stream names for sources as the user wrote them; repeated ones get a number.

    Raises:
        EcoliteError: never for distinct sources.
    """
    names: list[str] = []
    for spec in specs:
        count = sum(name.partition("#")[0] == spec for name in names)
        names.append(f"{spec}#{count + 1}" if count else spec)
    return names
