from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest

from ecolite_stream.sources.timing import ArrivalTimes, RecordedTimes


@dataclass
class Picture:
    pts: int | None
    dts: int | None = None


def times(*ticks: int | None, use_dts: bool = False) -> list[float]:
    clock = RecordedTimes("film", Fraction(1, 10), Fraction(10), use_dts=use_dts)
    pictures: list[Any] = [Picture(None, t) if use_dts else Picture(t) for t in ticks]
    return [clock.time_s(picture) for picture in pictures]


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


def test_arrival_times_are_those_of_the_clock() -> None:
    readings = iter([50.0, 50.5, 52.0])
    clock = ArrivalTimes(lambda: next(readings))
    picture: Any = Picture(None)
    assert [clock.time_s(picture) for _ in range(3)] == [0.0, 0.5, 2.0]
