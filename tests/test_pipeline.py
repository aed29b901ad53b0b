from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecolite_stream.config import StreamConfig
from ecolite_stream.errors import EngineError, SourceError
from ecolite_stream.pipeline import Pipeline, distinct_names, open_sources
from ecolite_stream.preprocess import Preprocessing
from ecolite_stream.recognizer import Recognizer
from ecolite_stream.sources import FileSource
from ecolite_stream.types import FloatArray, Frame
from tests.fakes import (
    DrawnNumberEngine,
    ListSink,
    ListSource,
    NumberEngine,
    frame,
    frames,
    spec_of,
)
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(30)


class FailingEngine(NumberEngine):
    """Fails at the n-th frame."""

    def __init__(self, error: Exception, at: int) -> None:
        super().__init__()
        self._error = error
        self._at = at

    def encode(self, images: FloatArray) -> FloatArray:
        if sum(self.encoded.values()) == self._at:
            raise self._error
        return super().encode(images)


def run(*sources: ListSource, engine: NumberEngine | None = None) -> ListSink:
    sink = ListSink()
    Pipeline(sources, Recognizer(engine or NumberEngine(), spec_of()), [sink]).run()
    return sink


def endless(name: str) -> Iterator[Frame]:
    return (frame(i % 1000, i / 25, name) for i in itertools.count())


def threads_of(*names: str) -> list[str]:
    """Threads of the pipeline that still run."""
    wanted = {*names, *(f"read {name}" for name in names)}
    return [thread.name for thread in threading.enumerate() if thread.name in wanted]


def test_labels_reach_every_sink_in_order() -> None:
    sinks = [ListSink(), ListSink()]
    source = ListSource("s", frames(100, 25))
    clock = itertools.count(step=0.25)
    recognizer = Recognizer(NumberEngine(), spec_of())
    Pipeline([source], recognizer, sinks, clock=lambda: next(clock)).run()
    assert sinks[0].frames("s") == [12, 25, 37, 50, 62, 75, 87]
    assert sinks[0].predictions == sinks[1].predictions
    assert {p.latency_ms for p in sinks[0].predictions} == {250}
    assert source.closed
    assert threads_of("s") == []


def test_a_file_loses_nothing_to_a_slow_engine_or_a_slow_sink(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "film.avi", 120)
    spec = dataclasses.replace(spec_of(), preprocessing=Preprocessing(64, framing="whole"))
    engine = DrawnNumberEngine(spec, before=lambda: time.sleep(0.002))
    sink = ListSink(before=lambda: time.sleep(0.002))
    config = StreamConfig(every_s=0.01)  # at every frame
    Pipeline([FileSource(path, name="s")], Recognizer(engine, spec, config), [sink]).run()
    assert engine.numbers == list(range(120))
    assert sink.frames("s") == list(range(1, 120))


def test_a_live_source_drops_what_a_slow_engine_cannot_take(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The engine waits until the source has shown all it has."""
    shown = threading.Event()
    source = ListSource("cam", frames(200, 25, "cam"), live=True, at_end=shown.set)

    class Waiting(NumberEngine):
        def encode(self, images: FloatArray) -> FloatArray:
            assert shown.wait(10)
            return super().encode(images)

    engine = Waiting()
    run(source, engine=engine)
    assert 199 in engine.encoded  # the newest is what is looked at
    assert len(engine.encoded) <= 3
    (record,) = caplog.records
    assert record.getMessage() == (
        f"cam: {200 - len(engine.encoded)} frames were dropped to keep up"
    )


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
        Pipeline([source], Recognizer(NumberEngine(), spec_of()), [sink]).run()
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
        Pipeline(sources, Recognizer(NumberEngine(), spec_of()), [sink]).run()
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
    recognizer = Recognizer(FailingEngine(error, at=40), spec_of())
    with pytest.raises(type(error)) as caught:
        Pipeline(sources, recognizer, [sink]).run()
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
        Pipeline([source], Recognizer(NumberEngine(), spec_of()), [ListSink(fail)]).run()
    assert source.closed
    assert threads_of("s") == []


def test_stopping_from_another_thread() -> None:
    source = ListSource("s", endless("s"))
    sink = ListSink(before=lambda: pipeline.stop() if len(sink.predictions) > 3 else None)
    pipeline = Pipeline([source], Recognizer(NumberEngine(), spec_of()), [sink])
    pipeline.run()
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


def test_a_source_that_cannot_be_opened_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    path = str(write_numbered_video(tmp_path / "film.avi", 20))
    missing = str(tmp_path / "none.avi")
    sources = open_sources([missing, path, path])
    assert [source.name for source in sources] == [missing, path, f"{path}#2"]
    assert len(list(sources[1])) == len(list(sources[2])) == 20
    with pytest.raises(SourceError, match="no such file"):
        next(sources[0])
    sources[0].close()


def test_when_nothing_can_be_opened_all_reasons_are_given(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        open_sources([str(tmp_path / "one.avi"), "camera:x"])
    assert "one.avi: no such file" in str(caught.value)
    assert "; camera:x: the camera is 'x'" in str(caught.value)


def test_names_have_no_credentials() -> None:
    with pytest.raises(SourceError) as caught:
        open_sources(["gopher://me:secret@host/a"])
    assert "secret" not in str(caught.value)
