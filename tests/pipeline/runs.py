"""A pipeline around sources and sinks that are made for a test."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence

from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import opened
from ecolite_stream.sinks import Sink
from ecolite_stream.sources import Source
from ecolite_stream.types import FloatArray, Frame
from tests.fakes import ListSink, ListSource, NumberEngine, frame, spec_of

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
