"""A training that has become slow is noticed, once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from trainer.loop.pace import Pace, Waiting


def warnings(durations_s: list[float]) -> list[tuple[int, str]]:
    pace = Pace()
    said = [(step, pace.step(seconds)) for step, seconds in enumerate(durations_s, start=1)]
    return [(step, text) for step, text in said if text]


@pytest.mark.parametrize(
    "durations_s",
    [
        [60.0] + [0.5] * 100,  # the first compiles
        [0.5, 1.9] * 50,
        ([0.5] * 9 + [30.0]) * 10,  # one slow step now and then
        [0.5] * 20 + [5.0] * 9,  # too early to say
        [0.5] * 50 + [5.0] * 9,
        [],
    ],
)
def test_says_nothing_where_nothing_is_slow(durations_s: list[float]) -> None:
    assert warnings(durations_s) == []


def test_warns_once_and_says_what_to_do() -> None:
    [(step, text)] = warnings([0.5] * 40 + [5.0] * 30 + [0.5] * 40 + [9.0] * 40)
    assert 40 + 10 < step <= 40 + 12
    assert "a step now takes 5 s, the quickest took 0.5 s" in text
    assert "train alone" in text and "nice" in text


def test_a_slow_beginning_is_noticed_as_soon_as_may_be() -> None:
    [(step, _)] = warnings([0.5] * 3 + [5.0] * 60)
    assert step == 30


def test_waiting_counts_what_comes_late_and_passes_everything_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def late() -> Iterator[int]:
        for number in range(3):
            now[0] += 2.0
            yield number

    waiting = Waiting()
    seen = []
    for number in waiting.over(late()):
        now[0] += 10.0  # the work
        seen.append(number)
    assert (seen, waiting.seconds) == ([0, 1, 2], 6.0)
