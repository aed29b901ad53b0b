"""A slow or failing sink loses its own predictions, and holds nobody up."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.delivery import CAPACITY, SinkWorker
from ecolite_stream.types import Event, Output, Prediction
from tests.fakes import ListSink, OutputSink

pytestmark = pytest.mark.timeout(30)


def prediction(number: int = 0, arrived_s: float | None = None) -> Prediction:
    return Prediction("s", number, number / 2, "a", 0.9, (("a", 0.9),), 1.0, arrived_s=arrived_s)


def count(metrics: Metrics, name: str, **labels: str) -> float:
    labels = {"sink": "ListSink", **labels}
    return metrics.registry.get_sample_value(f"ecolite_sink_{name}_total", labels) or 0


class Flaky(ListSink):
    """Fails as often as it is told to."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        super().__init__()
        self.failures = failures
        self.tries = 0
        self._error = error or OSError("no route to host")

    def send(self, prediction: Prediction) -> None:
        self.tries += 1
        if self.tries <= self.failures:
            raise self._error
        super().send(prediction)


def deliver(sink: ListSink, count: int, metrics: Metrics, **how: Any) -> SinkWorker:
    worker = SinkWorker(sink, metrics, "ListSink", retry_after_s=(0.0, 0.0), **how)
    for number in range(count):
        worker.send(prediction(number))
    worker.end()
    assert worker.join(10)
    return worker


def test_everything_in_order_and_closed() -> None:
    sink, metrics = ListSink(), Metrics()
    worker = deliver(sink, 50, metrics)
    assert sink.frames("s") == list(range(50))
    assert count(metrics, "delivered") == 50
    assert worker.error is None


def test_what_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    sink, metrics = Flaky(2), Metrics()
    deliver(sink, 3, metrics)
    assert sink.frames("s") == [0, 1, 2]
    assert count(metrics, "failures") == 2
    assert "no route to host" in caplog.text


def test_what_fails_for_good_is_lost_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    sink, metrics = Flaky(5), Metrics()  # three tries of the first, then one of each
    deliver(sink, 5, metrics)
    assert sink.frames("s") == [3, 4]
    assert count(metrics, "dropped", cause="sink failed") == 3
    assert "works again; 3 predictions or events were lost" in caplog.text
    assert caplog.text.count("were lost") == 1


def test_what_is_still_lost_at_the_end_is_said(caplog: pytest.LogCaptureFixture) -> None:
    deliver(Flaky(100), 5, Metrics())
    assert "ListSink: 5 predictions or events were lost" in caplog.text


def test_those_that_had_no_room_are_among_the_lost(caplog: pytest.LogCaptureFixture) -> None:
    go, began = threading.Event(), threading.Event()
    sink, metrics = ListSink(before=lambda: (began.set(), go.wait(10), 1 / 0)), Metrics()
    worker = SinkWorker(sink, metrics, "ListSink", retry_after_s=())
    worker.send(prediction())
    assert began.wait(10)
    for number in range(CAPACITY + 5):
        worker.send(prediction(1 + number))
    go.set()
    worker.end()
    assert worker.join(10)
    assert count(metrics, "dropped", cause="sink too slow") == 5
    assert f"ListSink: {1 + CAPACITY + 5} predictions or events were lost" in caplog.text


class InterruptedOnce(threading.Event):
    """Whoever waits first is interrupted, as by a signal."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        if self.waits == 1:
            raise KeyboardInterrupt
        return super().wait(timeout)


def test_it_is_still_waited_for_after_an_interruption() -> None:
    go = threading.Event()
    worker = SinkWorker(ListSink(before=lambda: go.wait(10)), Metrics(), "ListSink")
    worker._ended = InterruptedOnce()
    worker.send(prediction())
    worker.end()
    with pytest.raises(KeyboardInterrupt):
        worker.join(10)
    assert not worker.join(0.05)
    go.set()
    assert worker.join(10)


@pytest.mark.parametrize(("live", "tries", "came"), [(True, 1, [2]), (False, 3, [1, 2])])
def test_an_outdated_label_is_not_tried_again(live: bool, tries: int, came: list[int]) -> None:
    """While the first fails, two others come."""

    class FailsFirst(ListSink):
        tries = 0

        def send(self, output: Prediction) -> None:
            if output.frame == 0:
                self.tries += 1
                if self.tries == 1:
                    for number in (1, 2):
                        worker.send(prediction(number), live=live)
                    worker.end()
                raise OSError("no route to host")
            super().send(output)

    sink, metrics = FailsFirst(), Metrics()
    worker = SinkWorker(sink, metrics, "ListSink", retry_after_s=(0.0, 0.0))
    worker.send(prediction(0), live=live)
    assert worker.join(10)
    assert (sink.tries, sink.frames("s")) == (tries, came)
    assert count(metrics, "dropped", cause="sink failed") == 1
    assert count(metrics, "dropped", cause="sink too slow") == live


def test_one_more_round_of_many_recordings_has_room() -> None:
    go, began = threading.Event(), threading.Event()
    sink, metrics = ListSink(before=lambda: (began.set(), go.wait(10))), Metrics()
    worker = SinkWorker(sink, metrics, "ListSink", per_batch=300)
    worker.send(prediction(0))
    assert began.wait(10)
    last = 0
    while not worker.is_full:
        last += 1
        worker.send(prediction(last))
    for number in range(300):
        worker.send(prediction(last + 1 + number))
    go.set()
    worker.end()
    assert worker.join(10)
    assert sink.frames("s") == list(range(last + 301))
    assert not count(metrics, "dropped", cause="sink too slow")


@pytest.mark.parametrize(("live", "tries", "came"), [(True, 11, [0, 1]), (False, 4, [])])
def test_what_is_live_is_tried_as_long_as_its_sink_says(
    live: bool, tries: int, came: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording waits for its sinks: its first is tried three times, and then each once."""

    class Patient(Flaky):
        wants_all = True
        retry_after_s = (0.0,) * 9

    monkeypatch.setattr("ecolite_stream.pipeline.delivery.RETRY_AFTER_S", (0.0, 0.0))
    sink = Patient(9)
    worker = SinkWorker(sink, Metrics(), "ListSink")
    for number in range(2):
        worker.send(prediction(number), live=live)
    worker.end()
    assert worker.join(10)
    assert (sink.tries, sink.frames("s")) == (tries, came)


def test_an_essential_sink_is_not_forgiven() -> None:
    error = BrokenPipeError()
    worker = deliver(Flaky(1, error), 3, Metrics(), essential=True)
    assert worker.error is error


def test_a_slow_sink_loses_the_oldest() -> None:
    go, began = threading.Event(), threading.Event()
    sink, metrics = ListSink(before=lambda: (began.set(), go.wait(10))), Metrics()
    worker = SinkWorker(sink, metrics, "ListSink")
    worker.send(prediction(0))
    assert began.wait(10)
    for number in range(1, CAPACITY + 11):
        worker.send(prediction(number))
    assert worker.is_full
    go.set()
    worker.end()
    assert worker.join(10)
    assert sink.frames("s") == [0, *range(11, CAPACITY + 11)]
    assert count(metrics, "dropped", cause="sink too slow") == 10


class WantsAll(ListSink):
    wants_all = True


@pytest.mark.parametrize("kind", [ListSink, WantsAll])
def test_of_a_live_stream_only_the_newest_waits(kind: type[ListSink]) -> None:
    """And each stream has its turn, though all of them are predicted in the same order."""
    go, began = threading.Event(), threading.Event()
    sink, metrics = kind(before=lambda: (began.set(), go.wait(10))), Metrics()
    worker = SinkWorker(sink, metrics, "ListSink")
    worker.send(prediction(0), live=True)
    assert began.wait(10)
    for number in range(1, 11):
        for stream in "abc":
            worker.send(dataclasses.replace(prediction(number), stream=stream), live=True)
    go.set()
    worker.end()
    assert worker.join(10)
    came = [(p.stream, p.frame) for p in sink.predictions[1:]]
    if kind is WantsAll:
        assert came == [(stream, number) for number in range(1, 11) for stream in "abc"]
    else:
        assert came == [("a", 10), ("b", 10), ("c", 10)]
    lost = 0 if kind is WantsAll else 27
    assert count(metrics, "dropped", cause="sink too slow") == lost


def test_events_of_a_live_stream_all_wait() -> None:
    go, began = threading.Event(), threading.Event()

    class Slow(OutputSink):
        def send(self, output: Output) -> None:
            began.set()
            go.wait(10)
            super().send(output)

    sink = Slow()
    worker = SinkWorker(sink, Metrics())
    events = [Event(f"s@{n}", "s", "a", n, None, 0.9, 0.9, "start") for n in range(5)]
    worker.send(events[0], live=True)
    assert began.wait(10)
    for number, event in enumerate(events[1:]):
        worker.send(prediction(number), live=True)
        worker.send(event, live=True)
    go.set()
    worker.end()
    assert worker.join(10)
    assert [output for output in sink.outputs if isinstance(output, Event)] == events
    assert [output.frame for output in sink.outputs if isinstance(output, Prediction)] == [3]


def test_latency_is_measured_when_the_sink_gets_it() -> None:
    sink = ListSink()
    worker = SinkWorker(sink, Metrics(), clock=lambda: 107.5)
    worker.send(prediction(0, arrived_s=100.0))
    worker.end()
    assert worker.join(10)
    assert sink.predictions[0].latency_ms == 7500


def test_stopping_ends_the_waiting_for_another_try() -> None:
    sink = Flaky(1000)
    worker = SinkWorker(sink, Metrics(), retry_after_s=(600.0,))
    worker.send(prediction())
    worker.stop()
    assert worker.join(10)
