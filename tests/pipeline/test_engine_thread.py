"""One engine for many streams: batches, fairness, and the thread that owns it."""

from __future__ import annotations

import threading

import pytest

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.engine_thread import EngineThread
from ecolite_stream.pipeline.sample_queue import SampleQueue, StreamQueue
from ecolite_stream.recognition.models import Model
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.recognition.step import BatchStep
from ecolite_stream.types import FloatArray, Prediction, Sent
from tests.fakes import NumberEngine, frames, spec_of

pytestmark = pytest.mark.timeout(30)
STREAMS = ("a", "b", "c")


class Noting(NumberEngine):
    """Notes the sizes of its batches, and the threads that call it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded_at_once: list[int] = []
        self.classified_at_once: list[int] = []
        self.threads = {threading.current_thread().name}

    def encode(self, images: FloatArray) -> FloatArray:
        self.encoded_at_once.append(len(images))
        self.threads.add(threading.current_thread().name)
        return super().encode(images)

    def classify(self, features: FloatArray) -> FloatArray:
        self.classified_at_once.append(len(features))
        self.threads.add(threading.current_thread().name)
        return super().classify(features)

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)


def batch_step(config: StreamConfig) -> BatchStep:
    return BatchStep({0: Model(spec_of())}, lambda stream: config, Metrics())


def test_what_is_due_in_all_streams_is_one_batch_and_one_thread_has_the_engine() -> None:
    config = StreamConfig()
    samplers = {name: StreamSampler(spec_of(), config) for name in STREAMS}
    queue, engines, predictions = SampleQueue(), [], []
    for name in STREAMS:
        queue.expect(name)
    for name, sampler in samplers.items():
        queue.open(name, StreamQueue(50, True, lambda cause: None))
        for frame in frames(13, 25, name):
            if samples := sampler.sample(frame):
                queue.put(*samples)
        queue.end(name)

    def open_engine() -> Noting:
        engines.append(Noting())
        return engines[0]

    def publish(output: Sent) -> None:
        if isinstance(output, Prediction):
            predictions.append(output)

    scheduler = EngineThread(open_engine, batch_step(config), queue, publish, lambda: True)
    scheduler.start()
    assert scheduler.done.wait(10)
    scheduler.join(10)
    assert scheduler.error is None
    assert engines[0].encoded_at_once == [8, 1]  # 0, 5, 10 of each
    assert engines[0].classified_at_once == [3]
    assert engines[0].threads == {"engine"}
    assert [p.stream for p in predictions] == list(STREAMS)
    assert len({p.top for p in predictions}) == 1  # the same film in each


def test_a_busy_stream_does_not_keep_the_others_from_their_turn() -> None:
    """Each round takes one step of every stream, whatever waits of the others."""
    config = StreamConfig(every_s=0.1)
    samplers = {name: StreamSampler(spec_of(), config) for name in STREAMS}
    queue = SampleQueue()
    for name in STREAMS:
        queue.expect(name)
    lengths = {"a": 500, "b": 30, "c": 30}
    for name, sampler in samplers.items():
        queue.open(name, StreamQueue(10_000, False, lambda cause: None))
        for frame in frames(lengths[name], 25, name):
            if samples := sampler.sample(frame):
                queue.put(*samples)
        queue.end(name)
    order: list[str] = []

    def publish(output: Sent) -> None:
        if isinstance(output, Prediction):
            order.append(output.stream)

    scheduler = EngineThread(NumberEngine, batch_step(config), queue, publish, lambda: True)
    scheduler.start()
    assert scheduler.done.wait(10)
    assert order.count("a") > 100
    assert {"b", "c"} <= set(order[:3])
    assert max(position for position, stream in enumerate(order) if stream != "a") < 45
