"""Streams that join, leave and pause while a run goes on; the others do not notice."""

from __future__ import annotations

import itertools

import pytest

from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.types import Event
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
