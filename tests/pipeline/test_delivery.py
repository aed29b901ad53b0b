"""What reaches the sinks, in which order, and how old: slow engines, slow sinks, overload."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path

import pytest

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.sources import FileSource, Source
from ecolite_stream.types import FloatArray, Frame, Prediction
from tests.fakes import (
    DrawnNumberEngine,
    ListSink,
    ListSource,
    NumberEngine,
    OutputSink,
    frames,
    spec_of,
)
from tests.pipeline.runs import ALWAYS, pipeline, run, threads_of
from tests.videos import numbered_image, write_numbered_video

pytestmark = pytest.mark.timeout(30)


def test_labels_reach_every_sink_in_order() -> None:
    sinks = [ListSink(), ListSink()]
    source = ListSource("s", frames(100, 25))
    pipeline([source], sinks).run()
    assert sinks[0].frames("s") == [10, 25, 35, 50, 60, 75, 85]
    assert sinks[0].predictions == sinks[1].predictions
    assert source.closed
    assert threads_of("s") == []


def test_a_file_loses_nothing_to_a_slow_engine_or_a_slow_sink(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "film.avi", 120)
    spec = dataclasses.replace(spec_of(), preprocessing=Preprocessing(64, framing="whole"))
    engine = DrawnNumberEngine(spec, before=lambda: time.sleep(0.002))
    sink = ListSink(before=lambda: time.sleep(0.002))
    config = StreamConfig(every_s=0.01)  # at every frame
    pipeline([FileSource(path, name="s")], [sink], engine, spec, config).run()
    assert engine.numbers == list(range(120))
    assert sink.frames("s") == list(range(1, 120))


def test_a_live_source_drops_what_a_slow_engine_cannot_take(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The engine waits until the source has shown all it has; only due frames count as dropped."""
    shown = threading.Event()
    source = ListSource("cam", frames(200, 25, "cam"), live=True, at_end=shown.set)

    class Waiting(NumberEngine):
        def encode(self, images: FloatArray) -> FloatArray:
            assert shown.wait(10)
            return super().encode(images)

    engine, sink, metrics = Waiting(), ListSink(), Metrics()
    pipeline([source], [sink], engine, metrics=metrics).run()
    assert max(engine.encoded) >= 193  # the newest that was due is what is looked at
    assert max(sink.frames("cam")) >= 185
    assert len(sink.predictions) <= 3

    def count(name: str, **labels: str) -> float:
        return metrics.registry.get_sample_value(name, {"stream": "cam", **labels}) or 0

    due, dropped = (
        count("ecolite_frames_due_total"),
        count("ecolite_frames_dropped_total", cause="engine busy"),
    )
    assert count("ecolite_frames_read_total") == 200
    assert due < 100
    assert len(engine.encoded) == count("ecolite_frames_encoded_total") == due - dropped
    (record,) = caplog.records
    assert record.getMessage() == f"cam: {dropped:.0f} due frames were dropped to keep up"


def test_frames_that_nobody_wants_are_not_dropped(caplog: pytest.LogCaptureFixture) -> None:
    source = ListSource("cam", frames(200, 5000, "cam"), live=True)
    run(source)
    assert [r for r in caplog.records if "dropped" in r.getMessage()] == []


def test_a_failing_sink_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise BrokenPipeError("gone")

    good, metrics = ListSink(), Metrics()
    watching = pipeline(
        [ListSource("s", frames(100, 25))], [good, ListSink(before=fail)], metrics=metrics
    )
    threading.Timer(1.0, watching.stop).start()  # or it would try again for a while
    watching.run()
    assert good.frames("s") == [10, 25, 35, 50, 60, 75, 85]
    assert any("ListSink failed: gone; trying again" in r.getMessage() for r in caplog.records)
    failures = metrics.registry.get_sample_value(
        "ecolite_sink_failures_total", {"sink": "ListSink"}
    )
    assert failures is not None and failures >= 1


def test_latency_tells_how_old_the_frame_is_when_its_label_comes_out() -> None:
    """Slow sinks included."""
    start_s = time.monotonic()
    late = [dataclasses.replace(f, arrived_s=start_s - 60) for f in frames(30, 25)]
    sink = ListSink()
    pipeline([ListSource("s", late)], [sink]).run()
    assert all((p.latency_ms or 0) >= 60_000 for p in sink.predictions)


def test_old_labels_of_a_live_stream_are_dropped_where_a_sink_is_slow() -> None:
    shown = threading.Event()
    sink = ListSink(before=lambda: shown.wait(10))
    metrics = Metrics()
    source = ListSource(
        "cam", frames(25 * 60, 25, "cam"), live=True, at_end=lambda: (time.sleep(0.3), shown.set())
    )
    pipeline([source], [sink], config=StreamConfig(every_s=0.1), metrics=metrics).run()
    assert sink.frames("cam")[-1] >= 1490
    assert len(sink.predictions) <= 2


def test_many_recordings_lose_nothing_where_a_sink_is_slow() -> None:
    names = [f"film {number}" for number in range(100)]
    sinks = [ListSink(), ListSink(before=lambda: time.sleep(0.001))]
    sources = [ListSource(name, frames(40, 25, name)) for name in names]
    metrics = Metrics()
    pipeline(sources, sinks, metrics=metrics).run()
    for sink in sinks:
        assert len({len(sink.frames(name)) for name in names}) == 1
    labels = {"sink": "ListSink", "cause": "sink too slow"}
    assert not metrics.registry.get_sample_value("ecolite_sink_dropped_total", labels)


def test_a_sink_that_is_stuck_keeps_no_other_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a webhook whose server does not answer must not spoil a clip."""
    monkeypatch.setattr("ecolite_stream.pipeline.pipeline.SHUTDOWN_S", 1.0)
    released, stuck, closed = threading.Event(), threading.Event(), threading.Event()

    class Closing(OutputSink):
        def close(self) -> None:
            time.sleep(0.2)  # a file to finish
            closed.set()

    blocked, last = ListSink(before=lambda: (stuck.set(), released.wait(20))), Closing()
    watching = pipeline(
        [ListSource("s", frames(50, 25), live=True, at_end=lambda: released.wait(20))],
        [ListSink(), blocked, last],
        config=ALWAYS,
    )
    threading.Thread(target=lambda: (stuck.wait(10), watching.stop())).start()
    watching.run()
    assert closed.is_set()
    assert [event.kind for event in last.events("s")][-1] == "end"
    released.set()


class Paced(Source):
    """A live source of numbered pictures; knows which was shown when."""

    live = True

    def __init__(self, num_frames: int, fps: float, name: str = "cam") -> None:
        self.name = name
        self.shown_s: list[float] = []
        self._num_frames = num_frames
        self._fps = fps

    def __next__(self) -> Frame:
        number = len(self.shown_s)
        if number == self._num_frames:
            raise StopIteration
        if number:
            time.sleep(max(0.0, self.shown_s[0] + number / self._fps - time.monotonic()))
        self.shown_s.append(time.monotonic())
        image = numbered_image(number, (64, 64))
        return Frame(self.name, number, number / self._fps, image, self.shown_s[-1])

    def close(self) -> None:
        pass


class Timed(DrawnNumberEngine):
    """Takes some time for a step, and notes the number in the picture that each label is from."""

    def __init__(self, spec: ModelSpec, step_s: float) -> None:
        super().__init__(spec)
        self.behind: list[int] = []
        self.steps_s: list[float] = []
        self._step_s = step_s
        self._began_s = 0.0

    def encode(self, images: FloatArray) -> FloatArray:
        self._began_s = time.monotonic()
        return super().encode(images)

    def classify(self, features: FloatArray) -> FloatArray:
        time.sleep(self._step_s)
        self.behind.append(self.numbers[-1])
        self.steps_s.append(time.monotonic() - self._began_s)
        return super().classify(features)


class Delays(threading.Thread):
    """How late this machine lets a thread go on that had slept: what no pipeline can help."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.longest_s = 0.0
        self._done = threading.Event()

    def __enter__(self) -> Delays:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        while not self._done.is_set():
            began_s = time.monotonic()
            time.sleep(0.005)
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)


@pytest.mark.parametrize(("engine_periods", "sink_periods"), [(10, 0), (0, 10), (0, 0)])
def test_a_label_of_a_live_stream_is_never_older_than_a_period_and_a_step(
    engine_periods: int, sink_periods: int
) -> None:
    """With an engine or a sink ten times too slow, by the numbers in the pictures."""
    every_s, frame_s = 0.1, 1 / 25  # labels are due at frames
    spec = dataclasses.replace(spec_of(), preprocessing=Preprocessing(64, framing="whole"))
    source, engine = Paced(150, 25), Timed(spec, engine_periods * every_s)
    ages_s: list[float] = []

    class Slow(ListSink):
        def send(self, prediction: Prediction) -> None:
            super().send(prediction)
            # Behind the newest frame there is: once the source has ended there is no newer one.
            ages_s.append(source.shown_s[-1] - source.shown_s[prediction.frame])
            time.sleep(sink_periods * every_s)

    sink = Slow()
    with Delays() as delays:
        pipeline([source], [sink], engine, spec, StreamConfig(every_s=every_s)).run()
    assert set(sink.frames("cam")) <= set(engine.behind)
    assert len(ages_s) >= 3
    # A frame goes through four threads, each of which may have to wait for the processor.
    most_s = every_s + frame_s + max(engine.steps_s) + 4 * delays.longest_s
    assert max(ages_s) <= most_s


def test_overload_is_shared_and_counted() -> None:
    """An engine that is four times too slow; the first stream has four times the frames."""
    spec = dataclasses.replace(spec_of(), preprocessing=Preprocessing(64, framing="whole"))
    sources = [Paced(400, 100, "a"), *(Paced(100, 25, name) for name in "bcd")]
    engine, sink, metrics = Timed(spec, 0.4), ListSink(), Metrics()
    config = StreamConfig(every_s=0.1)
    pipeline(sources, [sink], engine, spec, config, metrics).run()
    counts = [len(sink.frames(name)) for name in "abcd"]
    assert min(counts) >= 4
    assert max(counts) - min(counts) <= 2
    for name in "abcd":
        labels = {"stream": name, "cause": "engine busy"}
        assert metrics.registry.get_sample_value("ecolite_frames_dropped_total", labels)
