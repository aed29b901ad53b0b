from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
import pytest

from ecolite_stream.sources import Paced, Source, open_source
from ecolite_stream.types import Frame


class ListedSource(Source):
    """Frames at given times."""

    def __init__(self, times_s: Iterable[float]) -> None:
        self.name = "listed"
        self.live = False
        self.closed = False
        image = np.zeros((2, 2, 3), np.uint8)
        self._frames = iter([Frame(self.name, i, t, image) for i, t in enumerate(times_s)])

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        self.closed = True


class Clock:
    """A clock that waiting moves on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> bool:
        self.now_s += seconds
        return False


def test_frames_come_at_their_times() -> None:
    clock = Clock()
    source = Paced(ListedSource([0.0, 0.5, 2.0]), clock=clock, wait=clock.wait)
    arrivals = [(clock.now_s - 1000, frame.time_s) for frame in source]
    assert arrivals == [(0.0, 0.0), (0.5, 0.5), (2.0, 2.0)]
    assert not source.live


def test_frames_arrive_when_they_are_handed_over() -> None:
    clock = Clock()
    source = Paced(ListedSource([0.0, 0.5, 2.0]), clock=clock, wait=clock.wait)
    assert [frame.arrived_s for frame in source] == [1000.0, 1000.5, 1002.0]


def test_late_frames_are_not_held_back_further() -> None:
    clock = Clock()
    source = Paced(ListedSource([0.0, 0.5, 1.0, 4.0]), clock=clock, wait=clock.wait)
    next(source)
    clock.now_s += 3.0  # a slow consumer
    assert [(clock.now_s - 1000, frame.time_s) for frame in source] == [
        (3.0, 0.5),
        (3.0, 1.0),
        (4.0, 4.0),
    ]


@pytest.mark.timeout(20)
def test_closing_ends_the_waiting() -> None:
    inner = ListedSource([0.0, 1e6])
    source = Paced(inner)
    next(source)
    threading.Timer(0.05, source.close).start()
    with pytest.raises(StopIteration):
        next(source)
    assert inner.closed


def test_open_source_paces_what_is_not_live() -> None:
    with open_source("pattern:seconds=0.08", realtime=True) as source:
        assert isinstance(source, Paced)
        assert source.name == "pattern:seconds=0.08"
        assert len(list(source)) == 2
