from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.sources.timing import Ascending, LiveTimes, RecordedTimes


@dataclass
class Picture:
    pts: int | None
    dts: int | None = None


def times(*ticks: int | None, use_dts: bool = False) -> list[float]:
    clock = RecordedTimes("film", Fraction(1, 10), Fraction(10), use_dts=use_dts)
    pictures: list[Any] = [Picture(None, t) if use_dts else Picture(t) for t in ticks]
    return [clock.time_s(picture, 0.0) for picture in pictures]


def test_times_count_from_the_first_timestamp() -> None:
    assert times(100, 101, 105) == [0.0, 0.1, 0.5]


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ((None, None, None), [0.0, 0.1, 0.2]),
        ((7, None, 9, 10), [0.0, 0.1, 0.2, 0.3]),
        ((None, 7, 8), [0.0, 0.1, 0.2]),
        ((7, 7, 9), [0.0, 0.1, 0.2]),  # doubled
        ((0, 2, 1, 5), [0.0, 0.2, 0.3, 0.5]),  # out of order
        ((0, 30, 60, 0, 30), [0.0, 3.0, 6.0, 6.1, 9.1]),  # two recordings joined
        ((0, 1, 2, 3, 4, 5, 1, 3, 6), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0]),  # by less
    ],
)
def test_bad_timestamps_are_repaired_and_said_once(
    ticks: tuple[int | None, ...], expected: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    assert times(*ticks) == pytest.approx(expected)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "film: timestamps" in caplog.text


def test_decoding_times_may_be_missing_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    assert times(3, 4, None, use_dts=True) == pytest.approx([0.0, 0.1, 0.2])
    assert not caplog.records


@given(st.lists(st.none() | st.integers(-50, 50)))
def test_recorded_times_ascend_whatever_the_timestamps(ticks: list[int | None]) -> None:
    assert all(a < b for a, b in pairwise(times(*ticks)))


def test_no_time_is_given_twice() -> None:
    ascending = Ascending()
    stamps_s = [0.0, 0.0, 0.0005, 1.0, 0.5, float("nan"), 2.0]
    checked = [ascending.checked(time_s) for time_s in stamps_s]
    assert checked == pytest.approx([0.0, 0.001, 0.002, 1.0, 1.001, 1.002, 2.0])


START_S = 5000.0


def live(pictures: Iterable[tuple[float | None, float]]) -> list[float]:
    """Times of pictures with (timestamp, arrival), both in seconds."""
    clock, ascending = LiveTimes("door", Fraction(1, 90_000)), Ascending()
    times_s = []
    for stamp_s, arrived_s in pictures:
        picture: Any = Picture(None if stamp_s is None else round(stamp_s * 90_000))
        times_s.append(ascending.checked(clock.time_s(picture, START_S + arrived_s)))
    assert all(a < b for a, b in pairwise(times_s))
    return times_s


def at_rate(fps: float, seconds: float, start_s: float = 0.0) -> list[float]:
    return [start_s + n / fps for n in range(round(fps * seconds))]


def test_a_burst_keeps_its_spacing(caplog: pytest.LogCaptureFixture) -> None:
    stamps_s = at_rate(25, 12)
    # 2 s of video in time, a stall of 6 s, what was missed in 0.4 s, then in time again.
    arrivals_s = [s if s < 2 or s > 8.4 else 8 + (s - 2) / 16 for s in stamps_s]
    times_s = live((77 + s, a) for s, a in zip(stamps_s, arrivals_s, strict=True))
    assert times_s == pytest.approx(stamps_s, abs=0.01)
    assert not caplog.records


def test_a_store_that_comes_at_once_keeps_its_spacing(caplog: pytest.LogCaptureFixture) -> None:
    stamps_s = at_rate(25, 60)
    # As segments of a playlist: three of them at once, then one every 6 s.
    times_s = live((s, 1e-3 * s + max(0, s // 6 - 2) * 6) for s in stamps_s)
    assert times_s == pytest.approx(stamps_s, abs=0.2)  # what is ahead is slewed away slowly
    assert [b - a for a, b in pairwise(times_s)] == pytest.approx([0.04] * 1499, rel=0.003)
    assert not caplog.records


def test_a_slow_camera_may_burst_too(caplog: pytest.LogCaptureFixture) -> None:
    stamps_s = at_rate(0.25, 60)
    times_s = live((s, s if s < 20 or s > 40 else 40 + s / 100) for s in stamps_s)
    assert times_s == pytest.approx(stamps_s, abs=0.2)
    assert not caplog.records


def test_jitter_of_arrival_is_not_seen() -> None:
    stamps_s = at_rate(25, 30)
    times_s = live((s, s + 0.03 * (n % 5)) for n, s in enumerate(stamps_s))
    assert [b - a for a, b in pairwise(times_s)] == pytest.approx([0.04] * 749, rel=0.003)


@pytest.mark.parametrize("speed", [0.9995, 1.0005])
def test_times_follow_the_drift_of_the_cameras_clock(
    speed: float, caplog: pytest.LogCaptureFixture
) -> None:
    arrivals_s = at_rate(5, 4 * 3600)
    times_s = live((speed * a, a) for a in arrivals_s)
    assert times_s == pytest.approx(arrivals_s, abs=0.05)  # without steering, 7 s in the end
    assert not caplog.records


@pytest.mark.parametrize("jump_s", [-3.0, -4000.0, 3.0, 1e6])
def test_a_jump_of_the_timestamps_is_a_new_anchor(
    jump_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    arrivals_s = at_rate(10, 20)
    times_s = live((9000 + a + (jump_s if a >= 8 else 0), a) for a in arrivals_s)
    assert times_s == pytest.approx(arrivals_s, abs=0.01)
    (record,) = caplog.records
    assert record.getMessage() == "door: timestamps jump at 8.0 s; times go on from the clock"


def test_a_camera_that_starts_again_after_a_stall() -> None:
    times_s = live([(50.0, 0.0), (50.1, 0.1), (0.0, 7.0), (0.1, 7.0), (0.2, 7.0)])
    assert times_s == pytest.approx([0.0, 0.1, 7.0, 7.1, 7.2], abs=0.01)


def test_a_small_step_back_that_stays() -> None:
    arrivals_s = at_rate(10, 4)
    times_s = live((9 + a - (0.5 if a >= 2 else 0), a) for a in arrivals_s)
    assert times_s == pytest.approx(arrivals_s, abs=0.01)


def test_timestamps_that_stood_still_catch_up_with_the_clock() -> None:
    arrivals_s = at_rate(10, 5) + at_rate(10, 25, start_s=11)
    stamps_s = at_rate(10, 30)
    times_s = live(zip(stamps_s, arrivals_s, strict=True))
    assert times_s[60] == pytest.approx(stamps_s[60], abs=0.05)  # it might be a stall
    assert times_s[200:] == pytest.approx(arrivals_s[200:], abs=0.05)


def test_a_slow_line_is_not_hurried_while_it_catches_up(caplog: pytest.LogCaptureFixture) -> None:
    stamps_s = at_rate(10, 60)
    times_s = live((s, max(s, 10 + s / 1.2) if s > 4 else s) for s in stamps_s)
    assert [b - a for a, b in pairwise(times_s)] == pytest.approx([0.1] * 599, rel=0.003)
    assert not caplog.records


def test_single_missing_timestamps_keep_a_burst_in_shape() -> None:
    stamps_s = at_rate(25, 6)
    times_s = live((None if n % 7 == 3 else s, 1e-4 * n) for n, s in enumerate(stamps_s))
    known = [n for n in range(150) if n % 7 != 3]
    assert [times_s[n] for n in known] == pytest.approx([stamps_s[n] for n in known], abs=0.01)


@pytest.mark.parametrize("stamp_s", [None, 0.0])
def test_useless_timestamps_leave_the_times_of_arrival(
    stamp_s: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    arrivals_s = [0.0, 0.5, 2.0, 2.1, 30.0]
    assert live((stamp_s, a) for a in arrivals_s) == pytest.approx(arrivals_s)
    assert not caplog.records


def test_a_format_without_timestamps_has_the_times_of_arrival() -> None:
    clock = LiveTimes("door", None)
    pictures: list[Any] = [Picture(n) for n in range(3)]
    assert [clock.time_s(p, 50.0 + 3 * p.pts) for p in pictures] == [0.0, 3.0, 6.0]


@pytest.mark.parametrize("fps", [10, 50])
def test_timestamps_made_up_at_another_rate_are_given_up(
    fps: int, caplog: pytest.LogCaptureFixture
) -> None:
    arrivals_s = at_rate(fps, 200)
    times_s = live((n / 25, a) for n, a in enumerate(arrivals_s))
    late = [b - a for a, b in pairwise(times_s[-fps * 100 :])]
    assert late == pytest.approx([1 / fps] * len(late))
    assert "timestamps do not run with the clock" in caplog.records[-1].getMessage()


arrivals = st.lists(st.tuples(st.none() | st.floats(-100, 100), st.floats(0, 20)), max_size=60)


@given(arrivals)
def test_live_times_ascend_whatever_comes(steps: list[tuple[float | None, float]]) -> None:
    now_s = 0.0
    pictures = []
    for stamp_s, step_s in steps:
        now_s += step_s
        pictures.append((stamp_s, now_s))
    live(pictures)


def test_what_a_server_had_in_store_is_not_slewed_away() -> None:
    stamps_s = at_rate(8, 3600)
    # A camera over RTSP: 3 s of video wait until the connection is open.
    times_s = live((s, max(3.0, s)) for s in stamps_s)
    assert times_s == pytest.approx(stamps_s, abs=0.01)
