from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.model.sampling import Ticker, evenly, nearest, segment_frames, segment_times

counts = st.integers(1, 400)
num_segments = st.sampled_from([1, 4, 8, 12, 16, 20, 24, 32])


@pytest.mark.parametrize(
    ("num_frames", "segments", "expected"),
    [
        (16, 4, [2, 6, 10, 14]),
        (10, 4, [1, 3, 6, 8]),
        (34, 4, [4, 12, 21, 29]),
        (100, 8, [6, 18, 31, 43, 56, 68, 81, 93]),
        (4, 4, [0, 1, 2, 3]),
        (3, 4, [0, 1, 1, 2]),
        (1, 4, [0, 0, 0, 0]),
        (7, 1, [3]),
    ],
)
def test_published_test_rule(num_frames: int, segments: int, expected: list[int]) -> None:
    assert segment_frames(num_frames, segments) == expected


@given(counts, num_segments)
def test_test_rule_takes_the_middle_of_each_segment(num_frames: int, n: int) -> None:
    chosen = segment_frames(num_frames, n)
    assert len(chosen) == n
    for i, index in enumerate(chosen):
        assert 0 <= index < num_frames
        assert index == math.floor(Fraction(num_frames, n) / 2 + i * Fraction(num_frames, n))


@pytest.mark.parametrize(
    ("newest_s", "span_s", "n", "expected"),
    [
        (10, 1.6, 4, [8.8, 9.2, 9.6, 10.0]),
        (0.5, 2.0, 4, [-1.0, -0.5, 0.0, 0.5]),
        (3, 2.0, 1, [3.0]),
    ],
)
def test_a_window_always_spans_its_full_seconds(
    newest_s: float, span_s: float, n: int, expected: list[float]
) -> None:
    assert segment_times(newest_s, span_s, n) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("available", "wanted", "expected"),
    [
        (4, 2, [1, 3]),
        (5, 2, [1, 4]),
        (9, 4, [1, 3, 5, 8]),
        (3, 5, [0, 1, 2]),
        (3, 0, []),
        (0, 2, []),
    ],
)
def test_evenly(available: int, wanted: int, expected: list[int]) -> None:
    assert evenly(available, wanted) == expected


@given(counts, counts)
def test_evenly_ascends_and_has_the_newest(available: int, wanted: int) -> None:
    positions = evenly(available, wanted)
    assert len(positions) == min(available, wanted)
    assert positions[-1] == available - 1
    assert all(a < b for a, b in pairwise(positions))
    if wanted < available:
        steps = {b - a for a, b in pairwise(positions)}
        assert steps <= {available // wanted, available // wanted + 1}


def test_nearest() -> None:
    assert nearest([0.0, 1.0, 4.0], [-1, 0.4, 0.5, 2.4, 2.6, 9]) == [0, 0, 0, 1, 2, 2]


def taken(ticker: Ticker, times_s: list[float]) -> list[float]:
    return [time_s for time_s in times_s if ticker.due(time_s)]


@pytest.mark.parametrize(
    ("what", "ticker", "times_s", "expected"),
    [
        ("on the grid", Ticker(0.5), [0, 0.25, 0.5, 0.75, 1.0], [0, 0.5, 1.0]),
        ("the nearest of 0.4 and 0.6", Ticker(0.49), [0, 0.2, 0.4, 0.6, 0.8], [0, 0.4]),
        ("the nearest of 0.4 and 0.6", Ticker(0.51), [0, 0.2, 0.4, 0.6, 0.8], [0, 0.6]),
        ("a late frame leaves the grid", Ticker(1), [0, 0.5, 1.3, 1.8, 2.1], [0, 1.3, 1.8]),
        ("a hole is not made up for", Ticker(1), [0, 0.5, 4.1, 4.2, 4.3, 5.0], [0, 4.1, 5.0]),
        ("slower than the ticks: all", Ticker(0.1), [0, 0.5, 1.0, 1.5], [0, 0.5, 1.0, 1.5]),
        ("a first tick later", Ticker(2, 0.5), [0, 0.5, 1, 2, 2.5, 3], [0.5, 2.5]),
        ("it starts with the first frame", Ticker(1, 1), [7.2, 7.7, 8.2, 9.2], [8.2, 9.2]),
        ("rounded timestamps", Ticker(0.5, 0.5), [0, 0.4999999, 1.0000001], [0.4999999, 1.0000001]),
        ("one frame", Ticker(1), [3.0], [3.0]),
        ("the same time twice", Ticker(1), [0, 0, 1, 1], [0, 1]),
    ],
)
def test_ticker(what: str, ticker: Ticker, times_s: list[float], expected: list[float]) -> None:
    assert taken(ticker, times_s) == expected, what


intervals = st.lists(st.floats(0.001, 0.2), min_size=1, max_size=200)
periods = st.floats(0.02, 3)


@given(intervals, periods, st.floats(0, 2))
def test_each_tick_is_taken_once_and_in_time(
    intervals_s: list[float], period_s: float, first_s: float
) -> None:
    """However uneven the frames are, a tick is taken within one frame interval of its time."""
    times_s = np.cumsum([5.0, *intervals_s]).tolist()
    longest_s = max(intervals_s)
    chosen = taken(Ticker(period_s, first_s), times_s)
    seen_s = times_s[-1] - times_s[0] - first_s
    assert len(chosen) <= max(0, seen_s + longest_s) / period_s + 1
    if longest_s > period_s:
        return
    ticks_s = times_s[0] + first_s + period_s * np.arange(max(0, int(seen_s / period_s) + 1))
    for tick_s in ticks_s[ticks_s < times_s[-1]]:
        assert min(abs(tick_s - time_s) for time_s in chosen) <= longest_s + 1e-6


@given(st.sets(st.integers(1, 299), max_size=250), st.floats(0.1, 2))
def test_dropped_frames_do_not_shift_the_grid(dropped: set[int], period_s: float) -> None:
    all_s = [i / 25 for i in range(400)]
    some_s = [time_s for i, time_s in enumerate(all_s) if i not in dropped]
    whole, holes = taken(Ticker(period_s), all_s), taken(Ticker(period_s), some_s)
    after = 301 / 25 + period_s  # everything is there again
    assert [t for t in whole if t > after] == [t for t in holes if t > after]
