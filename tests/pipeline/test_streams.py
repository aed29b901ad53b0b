"""Streams side by side: how they open, end, break and are stopped, and what they are called."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import threading
import time
from pathlib import Path

import cv2
import pytest

from ecolite_stream.app.build import distinct_names, stream_inputs
from ecolite_stream.config.schema import ReconnectConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import EngineError, SourceError
from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline import reader as reader_module
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import Reader, StreamInput
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.sources import Source
from ecolite_stream.types import Frame, Image, Sample
from tests.fakes import DrawnNumberEngine, ListSink, ListSource, NumberEngine, frames, spec_of
from tests.pipeline.runs import FailingEngine, endless, pipeline, run, threads_of
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(30)


def test_the_engine_is_open_before_the_sources() -> None:
    order: list[str] = []

    def open_source() -> Source:
        order.append("source")
        return ListSource("s", frames(20, 25))

    def open_engine() -> Engine:
        order.append("engine")
        return NumberEngine()

    streams = [StreamInput("s", open_source), StreamInput("t", open_source)]
    with pytest.raises(SourceError, match="KeyError"):  # its frames have another name
        Pipeline(streams[1:], open_engine, spec_of(), [ListSink()]).run()
    assert order == ["engine", "source"]


def test_readers_sample_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would otherwise be in the middle of a sample while the others are."""
    inside, most = 0, 0
    sample = StreamSampler.sample

    def slow(self: StreamSampler, frame: Frame) -> list[Sample]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.002)
        inside -= 1
        return sample(self, frame)

    monkeypatch.setattr(reader_module, "_SAMPLING", threading.Semaphore(1))
    monkeypatch.setattr(StreamSampler, "sample", slow)
    streams = [StreamInput(n, functools.partial(ListSource, n, frames(20, 25, n))) for n in "abcde"]
    sink = ListSink()
    Pipeline(streams, NumberEngine, spec_of(), [sink]).run()
    assert {p.stream for p in sink.predictions} == set("abcde")
    assert most == 1


def test_opencv_runs_with_one_thread() -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(4)
        source = StreamInput("s", lambda: ListSource("s", frames(20, 25)))
        Pipeline([source], NumberEngine, spec_of(), [ListSink()]).run()
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


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
    monkeypatch.setattr("ecolite_stream.pipeline.pipeline.SHUTDOWN_S", 0.2)
    join = Reader.join

    def noted(reader: Reader, timeout_s: float) -> None:
        waits_s.append(timeout_s)
        join(reader, timeout_s)

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
    assert sink.frames("s") == [10, 25]


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
    assert message.startswith("2 of 3 sources failed before their end: ")
    assert {"bad", "worse"} < set(message.replace(",", "").replace(";", "").split())
    assert sorted(record.getMessage() for record in caplog.records) == [
        "bad: unplugged",
        "worse: no picture",
    ]
    assert len(sink.frames("good")) == 7
    assert sink.frames("bad") == [10, 25]


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


def unusable(item: Frame, error: Exception) -> Frame:
    """The frame with a picture that cannot be made."""

    def fail() -> Image:
        raise error

    return dataclasses.replace(item, pixels=fail)


UNUSABLE = [SourceError("s: cannot be turned into BGR"), MemoryError(), ValueError("bad shape")]


@pytest.mark.parametrize("error", UNUSABLE)
@pytest.mark.parametrize("live", [False, True])
def test_an_unusable_picture_is_skipped(
    error: Exception, live: bool, caplog: pytest.LogCaptureFixture
) -> None:
    items = frames(60, 25)
    items[:30] = [unusable(item, error) for item in items[:30]]
    metrics = Metrics()
    sink = ListSink()
    pipeline([ListSource("s", items, live=live)], [sink], metrics=metrics).run()
    assert sink.predictions
    assert min(sink.frames("s")) >= 30
    warnings = [r.getMessage() for r in caplog.records if "unusable picture" in r.getMessage()]
    assert len(warnings) == 1
    assert metrics.registry.get_sample_value(
        "ecolite_frames_dropped_total", {"stream": "s", "cause": "unusable"}
    )


def test_a_recording_without_one_usable_picture_is_an_error() -> None:
    items = [unusable(item, ValueError("bad shape")) for item in frames(30, 25)]
    with pytest.raises(SourceError, match="s: no picture is usable"):
        pipeline([ListSource("s", items)], [ListSink()]).run()


def test_a_source_with_nothing_but_unusable_pictures_ends_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = ListSink()
    bad = (unusable(item, ValueError("bad shape")) for item in endless("bad"))
    good = ListSource("good", frames(100, 25, "good"))
    with pytest.raises(SourceError, match=r"1 of 2 .*: bad"):
        pipeline([ListSource("bad", bad), good], [sink]).run()
    assert "bad: 25 pictures in a row are unusable: bad shape" in caplog.text
    assert "to keep up" not in caplog.text
    assert sink.frames("good")[-1] > 80


@pytest.mark.parametrize("error", [ZeroDivisionError("bug"), MemoryError()])
def test_an_unexpected_error_of_a_source_ends_that_stream_alone(error: Exception) -> None:
    sink = ListSink()
    bad = ListSource("bad", frames(5, 25, "bad"), error=error)
    with pytest.raises(SourceError, match=r"1 of 2 .*: bad"):
        pipeline([bad, ListSource("good", frames(100, 25, "good"))], [sink]).run()
    assert sink.frames("good")[-1] > 80


def test_a_live_source_of_unusable_pictures_is_opened_again() -> None:
    """Such a connection counts as lost; the next one gives good pictures, and labels."""
    bad = [unusable(item, SourceError("s: no such colour")) for item in frames(800, 25)]
    later = itertools.chain([ListSource("s", bad, live=True)], [ListSource("s", frames(100, 25))])
    reconnect = ReconnectConfig(first_wait_s=0.01)
    sink = ListSink()
    stream = StreamInput("s", lambda: next(later), reconnect)
    Pipeline([stream], NumberEngine, spec_of(), [sink]).run()
    assert sink.predictions
