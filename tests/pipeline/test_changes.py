"""Streams that join, leave and pause while a run goes on; the others do not notice."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.sources import Source
from ecolite_stream.types import Event, Frame
from tests.fakes import ListSink, ListSource, NumberEngine, OutputSink, frame, spec_of
from tests.pipeline.runs import ALWAYS

pytestmark = pytest.mark.timeout(60)


def paced(name: str) -> Iterator[Frame]:
    """Frames without an end, some 500 a second."""
    for number in itertools.count():
        time.sleep(0.002)
        yield frame(number % 60_000, number / 25, name)


def live(name: str) -> Source:
    return ListSource(name, paced(name), live=True)


def stream(name: str, settings: StreamConfig | None = None) -> StreamInput:
    return StreamInput(name, functools.partial(live, name), settings=settings)


class Running:
    """A pipeline that runs in a thread of its own."""

    def __init__(self, *names: str, config: StreamConfig | None = None) -> None:
        self.sink, self.outputs = ListSink(), OutputSink()
        self.metrics = Metrics()
        self.pipeline = Pipeline(
            [stream(name) for name in names],
            NumberEngine,
            spec_of(),
            [self.sink, self.outputs],
            config,
            self.metrics,
        )
        self._thread = threading.Thread(target=self.pipeline.run)

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *what: object) -> None:
        self.pipeline.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def count(self, name: str) -> int:
        return sum(p.stream == name for p in list(self.sink.predictions))

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline_s, f"waited in vain for {what}"
            time.sleep(0.01)

    def wait_for_more(self, name: str) -> None:
        before = self.count(name)
        self.wait(f"predictions of {name}", lambda: self.count(name) >= before + 2)


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


def test_a_run_ends_when_its_last_stream_leaves() -> None:
    run = Running("a", config=ALWAYS)
    with run:
        run.wait_for_more("a")
        run.pipeline.remove("a")
        run.wait("the end of the run", lambda: not run._thread.is_alive())


def test_a_stream_that_joins_has_its_own_events() -> None:
    quiet = StreamConfig(events=EventConfig(ignore=("a", "b", "c")))
    with Running("a", config=ALWAYS) as run:
        run.pipeline.add(stream("b", quiet))
        for name in ("a", "b"):
            run.wait(f"labels of {name}", lambda name=name: run.count(name) > 5)
    events = [output for output in run.outputs.outputs if isinstance(output, Event)]
    assert {event.stream for event in events} == {"a"}
