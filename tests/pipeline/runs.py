"""A pipeline around sources and sinks that are made for a test."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput, opened
from ecolite_stream.recognition.models import Model
from ecolite_stream.sinks import Sink
from ecolite_stream.sources import Source
from ecolite_stream.types import FloatArray, Frame
from tests.fakes import ListSink, ListSource, NumberEngine, OutputSink, frame, spec_of

ALWAYS = StreamConfig(events=EventConfig(enter=0, leave=0, min_s=0, min_fill=0, ignore=()))
"""An event lasts as long as its stream."""


class FailingEngine(NumberEngine):
    """Fails after n frames or a few more."""

    def __init__(self, error: Exception, at: int) -> None:
        super().__init__()
        self._error = error
        self._at = at

    def encode(self, images: FloatArray) -> FloatArray:
        if sum(self.encoded.values()) >= self._at:
            raise self._error
        return super().encode(images)


def pipeline(
    sources: Sequence[Source],
    sinks: Sequence[Sink],
    engine: Engine | None = None,
    spec: ModelSpec | None = None,
    config: StreamConfig | None = None,
    metrics: Metrics | None = None,
) -> Pipeline:
    engine = engine or NumberEngine()
    streams = [opened(source) for source in sources]
    return Pipeline(streams, lambda: engine, spec or spec_of(), sinks, config, metrics)


def run(*sources: ListSource, engine: NumberEngine | None = None) -> ListSink:
    sink = ListSink()
    pipeline(sources, [sink], engine).run()
    return sink


def endless(name: str) -> Iterator[Frame]:
    return (frame(i % 1000, i / 25, name) for i in itertools.count())


def threads_of(*names: str) -> list[str]:
    """Threads of the pipeline that still run."""
    wanted = {"engine", "sink ListSink", *(f"read {name}" for name in names)}
    return [thread.name for thread in threading.enumerate() if thread.name in wanted]


def paced(name: str, ending: threading.Event | None = None) -> Iterator[Frame]:
    """Some 500 frames a second, until `ending` is set."""
    for number in itertools.count():
        if ending is not None and ending.is_set():
            return
        time.sleep(0.002)
        yield frame(number % 60_000, number / 25, name)


def live(name: str, ending: threading.Event | None = None) -> Source:
    return ListSource(name, paced(name, ending), live=True)


def stream(
    name: str, settings: StreamConfig | None = None, ending: threading.Event | None = None
) -> StreamInput:
    return StreamInput(name, functools.partial(live, name, ending), settings=settings)


class Running:
    """A pipeline that runs in a thread of its own."""

    def __init__(
        self,
        *names: str,
        config: StreamConfig | None = None,
        model: Model | None = None,
        sinks: Sequence[Sink] = (),
    ) -> None:
        self.sink, self.outputs = ListSink(), OutputSink()
        self.metrics = Metrics()
        self.ending = threading.Event()
        self.pipeline = Pipeline(
            [stream(name, ending=self.ending) for name in names],
            NumberEngine,
            model or spec_of(),
            [self.sink, self.outputs, *sinks],
            config,
            self.metrics,
        )
        self.thread = threading.Thread(target=self.pipeline.run)

    def __enter__(self) -> Running:
        self.thread.start()
        return self

    def __exit__(self, *what: object) -> None:
        self.pipeline.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def count(self, name: str) -> int:
        return sum(p.stream == name for p in list(self.sink.predictions))

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline_s, f"waited in vain for {what}"
            time.sleep(0.01)

    def wait_for_more(self, name: str) -> None:
        before = self.count(name)
        self.wait(f"predictions of {name}", lambda: self.count(name) >= before + 2)
