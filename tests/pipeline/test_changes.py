"""Streams that join, leave and pause while a run goes on; the others do not notice."""

from __future__ import annotations

import itertools
import threading

import pytest

from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks import FrameSink
from ecolite_stream.types import Event, Frame
from ecolite_stream.web.page_state import PageState
from tests.pipeline.runs import ALWAYS, Running, stream, threads_of

pytestmark = pytest.mark.timeout(60)


def test_a_stream_joins() -> None:
    with Running("a") as run:
        run.wait_for_more("a")
        run.pipeline.add(stream("b"))
        run.wait_for_more("b")
        run.wait_for_more("a")
        assert run.pipeline.streams == {"a": "watched", "b": "watched"}


def test_a_stream_leaves_and_its_name_is_free_again() -> None:
    with Running("a", "b") as run:
        run.wait_for_more("b")
        run.pipeline.remove("b")
        assert run.pipeline.streams == {"a": "watched"}
        run.pipeline.add(stream("b"))
        run.wait_for_more("b")
        run.wait_for_more("a")


def test_the_memory_of_the_others_is_kept() -> None:
    """Frame numbers in the clips of `a` go on: nothing was forgotten when `b` left."""
    with Running("a", "b") as run:
        run.wait("a full memory", lambda: any(p.memory_fill == 1 for p in run.sink.predictions))
        run.wait_for_more("b")
        run.pipeline.remove("b")
        run.wait_for_more("a")
        full = [p.memory_fill for p in run.sink.predictions if p.stream == "a"]
        first = full.index(1.0)
        assert set(full[first:]) == {1.0}


def test_a_paused_stream_is_closed_and_comes_back() -> None:
    with Running("a") as run:
        run.wait_for_more("a")
        run.pipeline.pause("a")
        assert run.pipeline.streams == {"a": "paused"}
        labels = {"ecolite_stream_state": "paused", "stream": "a"}
        assert run.metrics.registry.get_sample_value("ecolite_stream_state", labels) == 1
        run.pipeline.resume("a")
        run.wait_for_more("a")


def test_a_stream_has_settings_of_its_own() -> None:
    often = StreamConfig(every_s=0.1)
    with Running("a", config=StreamConfig(every_s=1.0)) as run:
        run.pipeline.add(stream("b", often))
        run.wait("labels of both", lambda: run.count("a") > 3 and run.count("b") > 3)
        times_s = {n: [p.time_s for p in run.sink.predictions if p.stream == n] for n in "ab"}
        steps = {n: min(b - a for a, b in itertools.pairwise(t)) for n, t in times_s.items()}
        assert steps["a"] > 0.7
        assert steps["b"] < 0.3


def test_what_cannot_be_done_is_said() -> None:
    with Running("a") as run:
        run.wait_for_more("a")
        with pytest.raises(ConfigError, match="there is a stream 'a' already"):
            run.pipeline.add(stream("a"))
        with pytest.raises(ConfigError, match="no stream 'b'; streams: a"):
            run.pipeline.remove("b")
        with pytest.raises(ConfigError, match="'a' is not paused"):
            run.pipeline.resume("a")
        run.pipeline.pause("a")
        with pytest.raises(ConfigError, match="paused already"):
            run.pipeline.pause("a")


def test_a_stream_that_cannot_come_back_yet_stays_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Running("a") as run:
        run.wait_for_more("a")
        run.pipeline.pause("a")
        with monkeypatch.context() as patch:
            patch.setattr(run.pipeline._queue, "wait_for_end", lambda name, timeout_s: False)
            with pytest.raises(ConfigError, match="still being removed; try again"):
                run.pipeline.resume("a")
        assert run.pipeline.streams == {"a": "paused"}
        run.pipeline.resume("a")
        run.wait_for_more("a")


def test_two_threads_add_a_stream_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Running("a", "b") as run:
        run.wait_for_more("b")
        run.pipeline.remove("b")
        wait_for_end = run.pipeline._queue.wait_for_end

        def other_thread_first(name: str, timeout_s: float) -> bool:
            monkeypatch.undo()
            run.pipeline.add(stream("b"))
            return wait_for_end(name, 0) or True

        monkeypatch.setattr(run.pipeline._queue, "wait_for_end", other_thread_first)
        with pytest.raises(ConfigError, match="there is a stream 'b' already"):
            run.pipeline.add(stream("b"))
        run.wait_for_more("b")
        assert threads_of("b").count("read b") == 1


def test_a_run_ends_when_its_last_stream_leaves() -> None:
    run = Running("a", config=ALWAYS)
    with run:
        run.wait_for_more("a")
        run.pipeline.remove("a")
        run.wait("the end of the run", lambda: not run.thread.is_alive())


def test_a_stream_that_joins_has_its_own_events() -> None:
    quiet = StreamConfig(events=EventConfig(ignore=("a", "b", "c")))
    with Running("a", config=ALWAYS) as run:
        run.pipeline.add(stream("b", quiet))
        for name in ("a", "b"):
            run.wait(f"labels of {name}", lambda name=name: run.count(name) > 5)
    events = [output for output in run.outputs.outputs if isinstance(output, Event)]
    assert {event.stream for event in events} == {"a"}


class _FrameKeeper(FrameSink):
    """Keeps the newest frame of each stream, and counts removals."""

    def __init__(self) -> None:
        self.newest: dict[str, Frame] = {}
        self.removed: list[str] = []

    def show(self, frame: Frame, live: bool) -> bool:
        self.newest[frame.stream] = frame
        return True

    def hurry(self) -> None:
        pass

    def remove_stream(self, name: str) -> None:
        self.newest.pop(name, None)
        self.removed.append(name)


def test_nothing_is_left_of_streams_that_were_removed() -> None:
    """200 streams of other names come and go; what is kept is as much as at the start."""
    board, keeper = PageState(["a"]), _FrameKeeper()
    with Running("a", config=ALWAYS, sinks=[board, keeper]) as run:
        run.wait_for_more("a")
        anchors = run.pipeline._engine_thread._batch_step._anchors
        for number in range(200):
            name = f"b{number}"
            run.pipeline.add(stream(name))
            if number % 20 == 0:
                run.wait(f"an event of {name}", lambda name=name: run.outputs.events(name))
                assert name in board.streams
                assert name in _streams_with_series(run)
            run.pipeline.remove(name)
        run.wait("the last removal", lambda: len(keeper.removed) == 200)
        run.wait("the end of their threads", lambda: not _threads_of_removed())
        run.wait_for_more("a")
        assert run.pipeline._streams.readers.keys() == {"a"}
        assert run.pipeline._streams._per_batch.keys() == {"a"}
        assert run.pipeline._queue._queues.keys() == {"a"}
        assert anchors.keys() == {"a"}
        assert not run.pipeline._leaving
        assert keeper.newest.keys() == {"a"}
        assert board.streams == ("a",)
        changes = board.since(0)
        assert {one["stream"] for one in [*changes.predictions, *changes.events]} == {0}
        assert _streams_with_series(run) == {"a"}


def _threads_of_removed() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("read b")]


def _streams_with_series(run: Running) -> set[str]:
    families = list(run.metrics.registry.collect())
    names = (one.labels.get("stream") for family in families for one in family.samples)
    return {name for name in names if name is not None}


def test_counters_of_a_stream_that_was_removed_start_at_0_again() -> None:
    labels, read = {"stream": "b"}, "ecolite_frames_read_total"
    with Running("a", "b") as run:
        run.wait_for_more("b")
        run.wait("many frames", lambda: run.metrics.registry.get_sample_value(read, labels) > 100)
        run.pipeline.remove("b")
        run.pipeline.add(stream("b", ending=already_set()))
        run.wait("its end", lambda: "read b" not in threads_of("b"))
        assert run.metrics.registry.get_sample_value(read, labels) == 0
        run.pipeline.pause("a")
        before = run.metrics.registry.get_sample_value(read, {"stream": "a"})
        run.pipeline.resume("a")
        run.wait_for_more("a")
        after = run.metrics.registry.get_sample_value(read, {"stream": "a"})
        assert after > before > 0  # a pause is no removal


@pytest.mark.parametrize("how", ["ended", "paused"])
def test_a_stream_that_ended_before_it_is_removed_leaves_nothing(how: str) -> None:
    ending = threading.Event()
    with Running("a") as run:
        run.pipeline.add(stream("b", ending=ending))
        run.wait_for_more("b")
        if how == "paused":
            run.pipeline.pause("b")
        else:
            ending.set()
        run.wait("its end", lambda: "read b" not in threads_of("b"))
        run.pipeline.remove("b")
        run.wait("its removal", lambda: _streams_with_series(run) == {"a"})
        run.wait("its name is free", lambda: run.pipeline._streams.readers.keys() == {"a"})
        run.pipeline.add(stream("b"))
        run.wait_for_more("b")


def already_set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
