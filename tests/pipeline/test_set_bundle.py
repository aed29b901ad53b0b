"""Streams that change to another bundle while they run: no frame is lost, nothing else changes."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from ecolite_stream.config.schema import EventConfig, MemoryConfig, StreamConfig
from ecolite_stream.errors import ConfigError, EngineError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.recognition.models import Model
from ecolite_stream.sinks import Sink
from ecolite_stream.types import EngineBatch, Event, FloatArray, Frame, Prediction
from tests.fakes import ListSink, ListSource, NumberEngine, OutputSink, frame, spec_of
from tests.pipeline.runs import ALWAYS, Running, stream
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(60)

SAME = "the same features"


class Engine(NumberEngine):
    """Always predicts its last label; its features are frame numbers plus `offset`."""

    def __init__(self, labels: int = 3, offset: int = 0) -> None:
        super().__init__()
        self.labels, self.offset = labels, offset
        self.closed = threading.Event()

    def encode(self, images: FloatArray) -> FloatArray:
        assert not self.closed.is_set()
        return super().encode(images) + self.offset

    def classify(self, features: FloatArray) -> FloatArray:
        assert not self.closed.is_set()
        self.clips += features.reshape(len(features), -1).astype(int).tolist()
        return np.tile(np.arange(self.labels, dtype=np.float32), (len(features), 1))

    def close(self) -> None:
        self.closed.set()


def model(
    digest: str, labels: tuple[str, ...] = ("a", "b", "c"), features: str = "", **changes: object
) -> Model:
    spec = dataclasses.replace(spec_of(), labels=labels, **changes)  # type: ignore[arg-type]
    return Model(spec, digest, features or digest)


def test_twenty_changes_of_a_recording_lose_no_frame() -> None:
    """The samples are those of a run without a change: each due frame is encoded exactly once."""
    engines: list[Engine] = []
    pipeline: list[Pipeline] = []

    def opened() -> Engine:
        engines.append(Engine())
        return engines[-1]

    def swapping() -> object:
        for number in range(2000):
            if number and number % 95 == 0 and number // 95 <= 20:
                pipeline[0].set_bundle(model(str(number), features=SAME), opened)
            yield frame(number, number / 25)

    def run(frames: object) -> tuple[ListSink, list[int]]:
        engines.clear()
        sink = ListSink()
        source = ListSource("s", frames)  # type: ignore[arg-type]
        one = StreamInput("s", lambda: source)
        made = Pipeline([one], opened, model("0", features=SAME), [sink])
        pipeline[:] = [made]
        made.run()
        return sink, sorted(n for e in engines for n in e.encoded.elements())

    still, without = run(frame(number, number / 25) for number in range(2000))
    assert len(engines) == 1
    swapped, encoded = run(swapping())
    assert len(engines) == 21
    assert encoded == without
    assert [p.frame for p in swapped.predictions] == [p.frame for p in still.predictions]
    fills = [p.memory_fill for p in swapped.predictions]
    assert fills == [p.memory_fill for p in still.predictions]
    assert all(engine.encoded for engine in engines)
    assert all(engine.closed.is_set() for engine in engines)


def test_twenty_changes_of_live_streams_lose_no_frame() -> None:
    """Each due frame is encoded, or counted as dropped where the machine is too slow."""
    with Running("a", "b", config=ALWAYS, model=model("0")) as run:
        run.wait_for_more("a")
        for number in range(1, 21):
            run.pipeline.set_bundle(model(str(number)), Engine)
            for name in ("a", "b"):
                run.wait_for_more(name)
        assert run.pipeline.bundles == {"a": "20", "b": "20"}
        run.ending.set()
        run.wait("the end", lambda: not run.thread.is_alive())

    def count(what: str, **labels: str) -> float:
        name = f"ecolite_frames_{what}_total"
        return run.metrics.registry.get_sample_value(name, labels) or 0.0

    for name in ("a", "b"):
        dropped = count("dropped", stream=name, cause="engine busy")
        assert count("due", stream=name) == count("encoded", stream=name) + dropped > 20


def test_no_frame_is_mixed_with_features_of_another_encoder() -> None:
    new = Engine(offset=100_000)
    with Running("a", model=model("0")) as run:
        run.wait("a full memory", lambda: any(p.memory_fill == 1 for p in run.sink.predictions))
        run.pipeline.set_bundle(model("1"), lambda: new)
        run.wait("clips", lambda: len(new.clips) > 5)
        assert all(number >= 100_000 for clip in new.clips for number in clip)
    fills = [p.memory_fill for p in run.sink.predictions]
    assert min(fills[fills.index(1.0) :]) < 1  # it began again


def test_the_memory_is_kept_where_only_the_head_is_new() -> None:
    new = Engine(offset=100_000)
    with Running("a", model=model("0", features=SAME)) as run:
        run.wait("a full memory", lambda: any(p.memory_fill == 1 for p in run.sink.predictions))
        run.pipeline.set_bundle(model("1", ("x", "y", "z"), SAME), lambda: new)
        run.wait("clips", lambda: len(new.clips) > 5)
        assert new.clips[0][0] < 100_000  # a feature of the engine before
    fills = [p.memory_fill for p in run.sink.predictions]
    assert set(fills[fills.index(1.0) :]) == {1.0}


def test_labels_and_events_follow_the_new_bundle() -> None:
    """An event whose label is gone ends; later events carry the digest of the new bundle."""
    with Running("a", config=ALWAYS, model=model("old")) as run:
        run.wait("an event", lambda: bool(run.outputs.events("a")))
        run.pipeline.set_bundle(model("new", ("x", "y")), lambda: Engine(2))
        run.wait("another event", lambda: any(e.bundle == "new" for e in run.outputs.events("a")))
    events = run.outputs.events("a")
    assert all(event.bundle == "old" for event in events if event.label in "abc")
    assert {event.bundle for event in events if event.label in "xy"} == {"new"}
    kinds = [event.kind for event in events if event.bundle == "old"]
    assert kinds.count("start") == kinds.count("end") > 0
    labels = [p.label for p in run.sink.predictions]
    first = next(place for place, label in enumerate(labels) if label in "xy")
    assert set(labels[first:]) == {"y"}
    order = [o for o in run.outputs.outputs if isinstance(o, Event | Prediction)]
    places = [place for place, o in enumerate(order) if isinstance(o, Event) and o.bundle == "old"]
    after = [
        place for place, o in enumerate(order) if isinstance(o, Prediction) and o.label in "xy"
    ]
    assert max(places) < min(after)


def test_an_event_whose_label_stays_goes_on() -> None:
    with Running("a", config=ALWAYS, model=model("old", features=SAME)) as run:
        run.pipeline.set_bundle(model("1", features=SAME), Engine)
        run.wait("an event", lambda: bool(run.outputs.events("a")))
        run.pipeline.set_bundle(model("new", ("c", "d"), SAME), lambda: Engine(2))
        run.wait("new labels", lambda: any(p.label == "d" for p in run.sink.predictions))
    assert {e.label for e in run.outputs.events("a")} >= {"c"}


def test_some_streams_change_and_the_others_do_not() -> None:
    with Running("a", "b", model=model("old")) as run:
        run.wait_for_more("a")
        run.pipeline.set_bundle(model("new", ("x", "y")), lambda: Engine(2), ["b"])
        run.wait("a new label", lambda: any(p.label in "xy" for p in run.sink.predictions))
        run.wait_for_more("a")
        run.pipeline.add(stream("c"))
        run.wait_for_more("c")
        assert run.pipeline.bundles == {"a": "old", "b": "new", "c": "old"}
        run.pipeline.remove("b")
        run.pipeline.add(stream("b"))
        assert run.pipeline.bundles["b"] == "old"
    of = {n: {p.label for p in run.sink.predictions if p.stream == n} for n in "abc"}
    assert of["a"] <= set("abc")
    assert of["c"] <= set("abc")
    assert of["b"] & {"x", "y"}


def test_paused_and_added_streams_use_the_new_bundle() -> None:
    with Running("a", "b", model=model("old")) as run:
        run.wait_for_more("b")
        run.pipeline.pause("b")
        run.pipeline.set_bundle(model("new", ("x", "y")), lambda: Engine(2))
        before = run.count("b")
        run.pipeline.resume("b")
        run.wait("b", lambda: run.count("b") > before + 3)
        run.pipeline.add(stream("c"))
        run.wait_for_more("c")
        assert run.pipeline.bundles == {"a": "new", "b": "new", "c": "new"}
    assert {p.label for p in run.sink.predictions if p.stream == "c"} == {"y"}


def test_the_engine_before_is_closed_once_nothing_needs_it() -> None:
    first, second = Engine(), Engine()
    with Running("a", "b", model=model("0")) as run:
        run.pipeline.set_bundle(model("1"), lambda: first)
        run.wait("the first", lambda: bool(first.clips))
        run.pipeline.set_bundle(model("2"), lambda: second, ["a"])
        run.wait("the second", lambda: bool(second.clips))
        run.wait_for_more("b")
        assert not first.closed.is_set()
        run.pipeline.set_bundle(model("3"), Engine)
        for engine in (first, second):
            run.wait("a closed engine", engine.closed.is_set)
        run.wait_for_more("a")


def test_a_removed_stream_that_never_returns_keeps_no_engine() -> None:
    first, blocked, ends = Engine(), threading.Event(), threading.Event()

    def frames() -> Iterator[Frame]:
        yield frame(0, 0.0, "dead")
        blocked.set()
        ends.wait(30)

    dead = StreamInput("dead", lambda: ListSource("dead", frames(), live=True))
    try:
        with Running("a", model=model("0")) as run:
            run.pipeline.set_bundle(model("1"), lambda: first)
            run.pipeline.add(dead)
            assert blocked.wait(30)
            run.pipeline.remove("dead")
            run.pipeline.set_bundle(model("2"), Engine)
            run.wait("a closed engine", first.closed.is_set)
            run.wait_for_more("a")
            ends.set()
    finally:
        ends.set()


def failing() -> Engine:
    raise EngineError("engine fake disagrees with the bundle")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_segments": 8, "feature_shape": (1, 1, 1)}, "the bundle has 8 segments"),
        ({}, "disagrees with the bundle"),
    ],
)
def test_a_change_that_fails_changes_nothing(changes: dict[str, object], words: str) -> None:
    config = StreamConfig(memory=MemoryConfig(num_segments=4))
    with Running("a", config=config, model=model("old")) as run:
        run.wait("a full memory", lambda: any(p.memory_fill == 1 for p in run.sink.predictions))
        with pytest.raises((ConfigError, EngineError), match=words):
            run.pipeline.set_bundle(model("new", ("x", "y"), **changes), failing)
        run.wait_for_more("a")
        assert run.pipeline.bundles == {"a": "old"}
    fills = [p.memory_fill for p in run.sink.predictions]
    assert set(fills[fills.index(1.0) :]) == {1.0}
    assert {p.label for p in run.sink.predictions} <= set("abc")


def test_an_engine_that_is_refused_late_is_closed() -> None:
    """A stream with settings that contradict the bundle comes while the engine is opened."""
    engine = Engine()
    with Running("a", model=model("old")) as run:
        strict = StreamConfig(memory=MemoryConfig(num_segments=4))

        def opened() -> Engine:
            run.pipeline.add(stream("b", strict))
            return engine

        with pytest.raises(ConfigError, match="8 segments"):
            run.pipeline.set_bundle(model("new", num_segments=8), opened)
        assert engine.closed.is_set()
        assert run.pipeline.bundles == {"a": "old", "b": "old"}


def test_an_unknown_stream_is_refused() -> None:
    with Running("a") as run, pytest.raises(ConfigError, match="no stream 'z'; streams: a"):
        run.pipeline.set_bundle(model("new"), Engine, ["z"])


class Recorder(OutputSink):
    takes = (Prediction, EngineBatch)


def test_a_recorded_run_keeps_its_bundle() -> None:
    sinks: list[Sink] = [Recorder()]
    run = Pipeline([stream("a")], NumberEngine, spec_of(), sinks)
    with pytest.raises(ConfigError, match="this run is recorded"):
        run.set_bundle(model("new"), Engine)


@pytest.mark.parametrize("policy", ["window", "paper", "pyramid"])
def test_other_segments_span_and_picture_size(policy: str) -> None:
    """Samples that wait for the old engine have its size, those after them the new one's."""
    spec: ModelSpec = dataclasses.replace(
        spec_of(8, 3.2), preprocessing=dataclasses.replace(spec_of().preprocessing, image_size=32)
    )
    sizes: set[tuple[int, ...]] = set()

    class Small(Engine):
        def encode(self, images: FloatArray) -> FloatArray:
            sizes.add(images.shape[1:])
            return super().encode(images)

    new = Small()
    config = StreamConfig(memory=MemoryConfig(policy=policy))
    with Running("a", config=config, model=model("old")) as run:
        run.wait_for_more("a")
        run.pipeline.set_bundle(Model(spec, "new", "new"), lambda: new)
        run.wait("clips", lambda: len(new.clips) > 5)
    assert sizes == {(3, 32, 32)}
    assert {len(clip) for clip in new.clips if clip} == {8}


def test_a_still_view_is_encoded_anew_for_another_encoder() -> None:
    """Nothing moves, so the old features would be repeated; the new bundle's idle label counts."""
    quiet = StreamConfig(events=EventConfig(ignore=()))
    new = Engine(2)

    def still() -> object:
        for number in itertools.count():
            threading.Event().wait(0.002)
            yield Frame("s", number, number / 25, frame(7, 0).image)

    source = ListSource("s", still(), live=True)  # type: ignore[arg-type]
    old = model("old", ("a", "idle", "c"))
    sink = ListSink()
    run = Pipeline([StreamInput("s", lambda: source)], NumberEngine, old, [sink], quiet)
    thread = threading.Thread(target=run.run)
    thread.start()
    try:
        eventually(lambda: any(p.label == "idle" for p in sink.predictions))
        run.set_bundle(model("new", ("walk", "nothing")), lambda: new)
        eventually(lambda: any(p.label == "nothing" for p in sink.predictions))
    finally:
        run.stop()
        thread.join(20)
    assert new.encoded[7] >= 1
