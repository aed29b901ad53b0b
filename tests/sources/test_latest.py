from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np
import pytest

from ecolite_stream.errors import SourceError
from ecolite_stream.sources import ReadAhead, Source, close_all
from ecolite_stream.types import Frame
from tests.fakes import BlockedSource

pytestmark = pytest.mark.timeout(30)

IMAGE = np.zeros((2, 2, 3), np.uint8)
LIMIT_S = 20.0


class ScriptedSource(Source):
    """Gives so many frames, then ends as told."""

    def __init__(
        self,
        num_frames: int,
        *,
        live: bool = False,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self.name = "scripted"
        self.live = live
        self.num_read = 0
        self.closed = threading.Event()
        self.exhausted = threading.Event()
        self._num_frames = num_frames
        self._at_end = at_end

    def __next__(self) -> Frame:
        if self.num_read == self._num_frames:
            self.exhausted.set()
            if self._at_end:
                self._at_end()
            raise StopIteration
        self.num_read += 1
        return Frame(self.name, self.num_read - 1, 0.1 * (self.num_read - 1), IMAGE)

    def close(self) -> None:
        self.closed.set()


def fail() -> None:
    raise SourceError("scripted: the cable was cut; plug it in")


def test_a_file_loses_and_reorders_nothing() -> None:
    with ReadAhead(ScriptedSource(500), capacity=3) as source:
        assert [frame.index for frame in source] == list(range(500))
        assert source.frames_dropped == 0
        assert not source.live


def test_a_file_is_not_read_further_than_the_capacity() -> None:
    inner = ScriptedSource(500)
    with ReadAhead(inner, capacity=3) as source:
        for _ in range(10):
            frame = next(source)
            assert inner.num_read <= frame.index + 1 + 3 + 1  # three wait, one is in hand


def test_a_live_source_keeps_the_newest_and_counts_the_rest() -> None:
    inner = ScriptedSource(100, live=True)
    with ReadAhead(inner) as source:
        assert inner.exhausted.wait(LIMIT_S)  # nobody took a frame meanwhile
        assert [frame.index for frame in source] == [99]
        assert source.frames_dropped == 99
        assert source.live


def test_a_live_source_may_keep_several() -> None:
    inner = ScriptedSource(100, live=True)
    with ReadAhead(inner, capacity=4) as source:
        assert inner.exhausted.wait(LIMIT_S)
        assert [frame.index for frame in source] == [96, 97, 98, 99]
        assert source.frames_dropped == 96


def test_dropped_and_taken_frames_are_all_there_are() -> None:
    with ReadAhead(ScriptedSource(5000, live=True)) as source:
        taken = [frame.index for frame in source]
        assert taken == sorted(set(taken))
        assert taken[-1] == 4999
        assert len(taken) + source.frames_dropped == 5000


def test_the_policy_can_be_chosen() -> None:
    with ReadAhead(ScriptedSource(50, live=True), drop_oldest=False) as source:
        assert [frame.index for frame in source] == list(range(50))


def test_an_error_of_the_thread_surfaces_after_the_frames_before_it() -> None:
    inner = ScriptedSource(3, at_end=fail)
    seen = []
    with ReadAhead(inner) as source:
        with pytest.raises(SourceError, match="the cable was cut"):
            for frame in source:
                seen.append(frame.index)
        assert list(source) == []
    assert seen == [0, 1, 2]
    assert inner.closed.is_set()


def test_the_end_closes_the_source() -> None:
    inner = ScriptedSource(1)
    source = ReadAhead(inner)
    assert len(list(source)) == 1
    assert inner.closed.wait(LIMIT_S)
    source.close()
    source.close()


@pytest.mark.parametrize("live", [True, False])
def test_closing_early_ends_the_thread(live: bool) -> None:
    inner = ScriptedSource(10**9, live=live)
    source = ReadAhead(inner)
    next(source)
    source.close()
    assert inner.closed.is_set()
    assert not source._thread.is_alive()
    assert list(source) == []


def test_closing_wakes_a_consumer_that_waits() -> None:
    blocked = threading.Event()
    source = ReadAhead(ScriptedSource(0, at_end=lambda: void(blocked.wait(LIMIT_S))))
    threading.Timer(0.05, source.close).start()
    assert list(source) == []
    blocked.set()


def test_a_blocked_read_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    blocked = threading.Event()
    inner = ScriptedSource(0, live=True, at_end=lambda: void(blocked.wait(LIMIT_S)))
    source = ReadAhead(inner, close_timeout_s=0.01)
    assert inner.exhausted.wait(LIMIT_S)
    with caplog.at_level(logging.WARNING):
        source.close()
    assert "still blocked" in caplog.text
    assert source._thread.daemon
    blocked.set()
    source._thread.join(LIMIT_S)
    assert not source._thread.is_alive()


class Joins:
    """A clock that only joining a thread that never ends moves on, as `threading` would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        self.waited_s: list[float] = []
        monkeypatch.setattr(threading.Thread, "join", self._join)

    def __call__(self) -> float:
        return self.now_s

    def _join(self, timeout_s: float) -> None:
        self.waited_s.append(timeout_s)
        self.now_s += timeout_s


def test_many_blocked_reads_delay_closing_once(caplog: pytest.LogCaptureFixture) -> None:
    sources = [BlockedSource(f"camera:{number}") for number in range(5)]
    with pytest.MonkeyPatch.context() as patch:
        clock = Joins(patch)
        readers = [ReadAhead(source, clock=clock) for source in sources]
        assert all(source.reading.wait(LIMIT_S) for source in sources)
        close_all(readers, 2.0, clock=clock)
        assert all(source.closed.is_set() for source in sources)
        assert clock.waited_s == [2.0, 0.0, 0.0, 0.0, 0.0]
    assert [record.getMessage() for record in caplog.records] == [
        f"camera:{n}: still blocked in a read after closing; left behind" for n in range(5)
    ]
    for source, reader in zip(sources, readers, strict=True):
        source.release.set()
        assert reader.join(reader._clock() + LIMIT_S)


def test_stopping_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = BlockedSource()
    clock = Joins(monkeypatch)
    reader = ReadAhead(inner, clock=clock)
    assert inner.reading.wait(LIMIT_S)
    reader.stop()
    reader.stop()
    assert inner.closed.is_set()
    assert not clock.waited_s
    assert list(reader) == []
    assert not reader.join(clock() + 1.5)
    assert clock.waited_s == [1.5]
    inner.release.set()


def test_an_impossible_capacity_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        ReadAhead(ScriptedSource(1), capacity=0)


def void(_: object) -> None:
    """For lambdas that must not return what they call."""
