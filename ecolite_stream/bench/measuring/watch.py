"""Run the pipeline of `ecolite-stream` in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ecolite_stream.engines import Engine
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import opened
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.sinks import Sink
from ecolite_stream.sources import Source
from ecolite_stream.types import Frame, Prediction


@dataclass(frozen=True)
class Watched:
    """Cost of streaming a source.

    Attributes:
        frames: number of frames of the source.
        stream_s: stream time of the frames, in seconds.
        wall_s: wall-clock time from starting the pipeline to its end, in seconds.
    """

    frames: int
    stream_s: float
    wall_s: float

    @property
    def realtime_factor(self) -> float:
        """Stream seconds per second."""
        return self.stream_s / self.wall_s


def watch(
    source: Source,
    recognizer: Recognizer,
    send: Callable[[Prediction], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Watched:
    """Stream a source to its end with the pipeline of `ecolite-stream`.

    Args:
        source: opened; it is closed.
        recognizer: new; its engine stays open.
        send: called with each prediction.
        clock: wall-clock seconds.

    Raises:
        SourceError: the source broke.
        EngineError: the engine failed.
    """
    counted = _Counted(source)
    start_s = clock()
    engine = _KeptOpen(recognizer.engine)
    Pipeline(
        [opened(counted)], lambda: engine, recognizer.spec, [_SinkOf(send)], recognizer.config
    ).run()
    return Watched(counted.frames, counted.stream_s, clock() - start_s)


class _KeptOpen:
    """A borrowed engine: `close` does nothing."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.encode = engine.encode
        self.classify = engine.classify

    def close(self) -> None:
        pass


class _Counted(Source):
    """A source that counts its frames."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.live = source.live
        self.frames = 0
        self._last_s = 0.0
        self._source = source

    @property
    def stream_s(self) -> float:
        """Stream time of all frames, in seconds; the last lasts as long as the mean of the rest."""
        return self._last_s * self.frames / max(1, self.frames - 1)

    def __next__(self) -> Frame:
        frame = next(self._source)
        self.frames += 1
        self._last_s = frame.time_s
        return frame

    def close(self) -> None:
        self._source.close()


class _SinkOf(Sink):
    """A sink that calls a function."""

    def __init__(self, send: Callable[[Prediction], None]) -> None:
        self._send = send

    def send(self, prediction: Prediction) -> None:
        self._send(prediction)

    def close(self) -> None:
        pass
