from __future__ import annotations

import dataclasses
import functools
import itertools
import threading
import time
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import pytest

from ecolite_stream.bundle import ModelSpec
from ecolite_stream.config import EventConfig, StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import EngineError, SourceError
from ecolite_stream.metrics import Metrics
from ecolite_stream.pipeline import Pipeline, distinct_names, stream_inputs
from ecolite_stream.preprocess import Preprocessing
from ecolite_stream.reader import Reader, StreamInput, opened
from ecolite_stream.sinks import FrameSink, Sink
from ecolite_stream.sources import FileSource, Source
from ecolite_stream.types import Event, FloatArray, Frame, Prediction
from tests.fakes import (
    DrawnNumberEngine,
    ListSink,
    ListSource,
    NumberEngine,
    OutputSink,
    frame,
    frames,
    spec_of,
)
from tests.videos import numbered_image, write_numbered_video

pytestmark = pytest.mark.timeout(30)


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


def test_labels_reach_every_sink_in_order() -> None:
    sinks = [ListSink(), ListSink()]
    source = ListSource("s", frames(100, 25))
    pipeline([source], sinks).run()
    assert sinks[0].frames("s") == [12, 25, 37, 50, 62, 75, 87]
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
    assert max(sink.frames("cam")) >= 187
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
    assert good.frames("s") == [12, 25, 37, 50, 62, 75, 87]
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
    monkeypatch.setattr("ecolite_stream.pipeline.SHUTDOWN_S", 1.0)
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


def test_the_engine_is_open_before_the_sources() -> None:
    order: list[str] = []

    def open_source() -> Source:
        order.append("source")
        return ListSource("s", frames(20, 25))

    def open_engine() -> Engine:
        order.append("engine")
        return NumberEngine()

    streams = [StreamInput("s", open_source), StreamInput("t", open_source)]
    with pytest.raises(KeyError):  # the second gives frames of the first's name
        Pipeline(streams[1:], open_engine, spec_of(), [ListSink()]).run()
    assert order == ["engine", "source"]


def test_sources_open_at_the_same_time() -> None:
    """Were they opened one after another, the barrier would break."""
    barrier = threading.Barrier(5)

    def open_source(name: str) -> Source:
        barrier.wait(10)
        return ListSource(name, frames(20, 25, name))

    sink = ListSink()
    streams = [StreamInput(n, functools.partial(open_source, n)) for n in "abcde"]
    Pipeline(streams, NumberEngine, spec_of(), [sink]).run()
    assert {p.stream for p in sink.predictions} == set("abcde")


def test_stuck_reads_share_one_deadline(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    sources = [
        ListSource(name, [], live=True, at_end=lambda: released.wait(20)) for name in "abcde"
    ]
    waits_s: list[float] = []
    monkeypatch.setattr("ecolite_stream.pipeline.SHUTDOWN_S", 0.2)
    join = Reader.join

    def noted(reader: Reader, timeout_s: float) -> bool:
        waits_s.append(timeout_s)
        return join(reader, timeout_s)

    monkeypatch.setattr(Reader, "join", noted)
    watching = pipeline(sources, [ListSink()])
    threading.Timer(0.3, watching.stop).start()
    watching.run()
    released.set()
    assert sum(waits_s) <= 0.2 + 1e-6
    assert sum("still blocked in a read" in r.getMessage() for r in caplog.records) == 5


def test_several_streams_are_watched_at_once_each_as_if_alone() -> None:
    alone = {name: run(ListSource(name, frames(90, fps, name))) for name, fps in SPEEDS.items()}
    both = run(*(ListSource(name, frames(90, fps, name)) for name, fps in SPEEDS.items()))
    for name, sink in alone.items():
        assert both.frames(name) == sink.frames(name)
        assert [p.top for p in both.predictions if p.stream == name] == [
            p.top for p in sink.predictions
        ]


SPEEDS = {"a": 25, "b": 10}


def test_a_short_stream_gets_its_prediction() -> None:
    assert run(ListSource("s", frames(1, 25))).frames("s") == [0]


def test_an_empty_stream_gets_none() -> None:
    assert run(ListSource("s", [])).predictions == []


def test_a_source_that_breaks_ends_with_its_error_after_its_labels() -> None:
    sink = ListSink()
    error = SourceError("s: unplugged")
    source = ListSource("s", frames(30, 25), error=error)
    with pytest.raises(SourceError) as caught:
        pipeline([source], [sink]).run()
    assert caught.value is error
    assert sink.frames("s") == [12, 25]


def test_a_source_that_breaks_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    sink = ListSink()
    sources = [
        ListSource("good", frames(100, 25, "good")),
        ListSource("bad", frames(30, 25, "bad"), error=SourceError("bad: unplugged")),
        ListSource("worse", [], error=SourceError("worse: no picture")),
    ]
    with pytest.raises(SourceError) as caught:
        pipeline(sources, [sink]).run()
    message = str(caught.value)
    assert message.startswith("2 of 3 sources could not be watched to their ends: ")
    assert {"bad", "worse"} < set(message.replace(",", "").replace(";", "").split())
    assert sorted(record.getMessage() for record in caplog.records) == [
        "bad: unplugged",
        "worse: no picture",
    ]
    assert len(sink.frames("good")) == 7
    assert sink.frames("bad") == [12, 25]


@pytest.mark.parametrize("error", [EngineError("engine x failed: boom"), ZeroDivisionError("bug")])
def test_an_engine_that_fails_stops_everything(error: Exception) -> None:
    """A bug too surfaces where `run` was called, as it is."""
    sources = [ListSource("a", endless("a")), ListSource("b", endless("b"))]
    sink = ListSink()
    with pytest.raises(type(error)) as caught:
        pipeline(sources, [sink], FailingEngine(error, at=40)).run()
    assert caught.value is error
    assert sink.predictions
    assert all(source.closed for source in sources)
    assert threads_of("a", "b") == []


@pytest.mark.parametrize("error", [BrokenPipeError(), KeyboardInterrupt()])
def test_the_end_of_a_sink_is_the_end(error: BaseException) -> None:
    def fail() -> None:
        raise error

    source = ListSource("s", endless("s"))
    with pytest.raises(type(error)):
        pipeline([source], [ListSink(fail)]).run()
    assert source.closed
    assert threads_of("s") == []


def test_stopping_from_another_thread() -> None:
    source = ListSource("s", endless("s"))
    sink = ListSink(before=lambda: watching.stop() if len(sink.predictions) > 3 else None)
    watching = pipeline([source], [sink])
    watching.run()
    assert len(sink.predictions) > 3
    assert source.closed


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a#2", "a#3"]),
        (["a", "a#2", "a"], ["a", "a#2", "a#3"]),
        (["a#2", "a", "a"], ["a#2", "a", "a#3"]),
        ([], []),
    ],
)
def test_names_differ(specs: list[str], expected: list[str]) -> None:
    assert distinct_names(specs) == expected


def test_a_source_that_cannot_be_opened_does_not_keep_the_others_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = str(write_numbered_video(tmp_path / "film.avi", 20))
    missing = str(tmp_path / "none.avi")
    sink = ListSink()
    spec = dataclasses.replace(spec_of(), preprocessing=Preprocessing(64, framing="whole"))
    engine = DrawnNumberEngine(spec)
    streams = stream_inputs([missing, path, path])
    assert [stream.name for stream in streams] == [missing, path, f"{path}#2"]
    with pytest.raises(SourceError, match=r"1 of 3 sources .*none\.avi"):
        Pipeline(streams, lambda: engine, spec, [sink]).run()
    assert any("no such file" in record.getMessage() for record in caplog.records)
    assert {p.stream for p in sink.predictions} == {path, f"{path}#2"}


@pytest.mark.parametrize("live", [True, False])
def test_who_is_shown_due_frames_learns_whether_they_are_live(live: bool) -> None:
    source, shown = ListSource("s", frames(50, 25), live=live), []
    stream = StreamInput(
        "s", lambda: source, on_sampled=lambda frame, is_live: shown.append(is_live)
    )
    Pipeline([stream], NumberEngine, spec_of(), [ListSink()]).run()
    assert shown and set(shown) == {live}


def test_names_have_no_credentials() -> None:
    (stream,) = stream_inputs(["gopher://me:secret@host/a"])
    assert "secret" not in stream.name
    with pytest.raises(SourceError) as caught:
        stream.open()
    assert "secret" not in str(caught.value)


# Events

ALWAYS = StreamConfig(events=EventConfig(enter=0, leave=0, min_s=0, min_fill=0, ignore=()))
"""An event lasts as long as its stream."""


def test_events_follow_their_predictions_and_end_with_their_stream() -> None:
    sink = OutputSink()
    sources = [ListSource("a", frames(50, 25, "a")), ListSource("b", frames(100, 25, "b"))]
    metrics = Metrics()
    pipeline(sources, [sink], config=ALWAYS, metrics=metrics).run()
    for name, end_s in (("a", 37 / 25), ("b", 87 / 25)):
        start, *_, end = sink.events(name)
        assert (start.kind, start.start_s) == ("start", 12 / 25)
        assert (end.kind, end.id, end.end_s) == ("end", start.id, end_s)
        mine = [output for output in sink.outputs if output.stream == name]
        assert not isinstance(mine[0], Event)
        assert mine[1] == start
        assert mine[-1] == end
        labels = {"stream": name, "label": start.label}
        assert metrics.registry.get_sample_value("ecolite_events_total", labels) == 1


def test_an_event_ends_when_its_stream_does_though_others_go_on() -> None:
    ended = threading.Event()

    class Listening(OutputSink):
        def send(self, output: object) -> None:
            if isinstance(output, Event) and (output.stream, output.kind) == ("a", "end"):
                ended.set()

    waiting = ListSource("b", frames(20, 25, "b"), live=True, at_end=lambda: ended.wait(20))
    pipeline([ListSource("a", frames(50, 25, "a")), waiting], [Listening()], config=ALWAYS).run()
    assert ended.is_set()


@pytest.mark.parametrize("error", [None, EngineError("engine x failed: boom")])
def test_an_event_ends_however_the_run_does(error: Exception | None) -> None:
    sink = OutputSink()
    engine = NumberEngine() if error is None else FailingEngine(error, at=40)

    class Stopping(ListSink):
        def send(self, prediction: object) -> None:
            if error is None and len(sink.outputs) > 8:
                watching.stop()

    source = ListSource("s", endless("s"))
    watching = pipeline([source], [Stopping(), sink], engine, config=ALWAYS)
    if error is None:
        watching.run()
    else:
        with pytest.raises(EngineError):
            watching.run()
    kinds = [event.kind for event in sink.events("s")]
    assert (kinds.count("start"), kinds.count("end"), kinds[-1]) == (1, 1, "end")


# Sinks that are shown the frames


class Watcher(OutputSink, FrameSink):
    """Notes what it is shown; has no room for odd frames, and fails at some."""

    def __init__(self, fails: Container[int] = ()) -> None:
        super().__init__()
        self.shown: list[tuple[int, bool]] = []
        self._fails = fails

    def show(self, frame: Frame, live: bool) -> bool:
        self.shown.append((frame.index, live))
        if frame.index in self._fails:
            raise ValueError("no such colour")
        return frame.index % 2 == 0


@pytest.mark.parametrize("live", [False, True])
def test_sinks_see_every_frame_due_or_not(live: bool) -> None:
    watcher, metrics = Watcher(), Metrics()
    source = ListSource("s", frames(50, 25), live=live)
    pipeline([source], [ListSink(), watcher], metrics=metrics).run()
    assert watcher.shown == [(number, live) for number in range(50)]
    assert watcher.outputs
    labels = {"sink": "Watcher", "stream": "s"}
    name = "ecolite_sink_frames_dropped_total"
    assert metrics.registry.get_sample_value(name, labels) == 25


def test_a_sink_that_cannot_look_ends_no_stream(caplog: pytest.LogCaptureFixture) -> None:
    watcher, metrics, sink = Watcher(fails=range(10, 20)), Metrics(), ListSink()
    pipeline([ListSource("s", frames(50, 25))], [sink, watcher], metrics=metrics).run()
    assert len(watcher.shown) == 50
    assert sink.frames("s")[-1] >= 37
    assert caplog.text.count("Watcher cannot take pictures: no such colour") == 1
    labels = {"sink": "Watcher"}
    assert metrics.registry.get_sample_value("ecolite_sink_failures_total", labels) == 10
