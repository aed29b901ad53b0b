"""Repeated timing in turns.

All quantities of all engines take turns, so that a slow spell of the machine hits them alike.
Ratios are more reliable than times.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Clock = Callable[[], float]
Calls = Mapping[str, Callable[[], object]]

TURNS = 8


@dataclass(frozen=True)
class Timing:
    """Repeated measurements of one quantity, in milliseconds."""

    samples_ms: tuple[float, ...]

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.samples_ms)

    @property
    def p95_ms(self) -> float:
        return float(np.percentile(self.samples_ms, 95))

    @property
    def p99_ms(self) -> float:
        return float(np.percentile(self.samples_ms, 99))

    def __str__(self) -> str:
        return f"{self.p50_ms:.2f} / {self.p95_ms:.2f} / {self.p99_ms:.2f}"

    def to_json(self) -> dict[str, float | int]:
        """Plain containers."""
        return {
            "p50_ms": round(self.p50_ms, 4),
            "p95_ms": round(self.p95_ms, 4),
            "p99_ms": round(self.p99_ms, 4),
            "repetitions": len(self.samples_ms),
        }


def time_in_turns(
    calls: Mapping[str, Calls],
    seconds: float,
    turns: int = TURNS,
    clock: Clock = time.perf_counter,
    on_turn: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Timing]]:
    """Time every call of every engine for `seconds` in all, in `turns` rounds over all of them.

    A turn starts with a call that does not count: it warms caches and lets the previous engine's
    threads rest. At least one call a turn counts.

    Args:
        calls: by engine and quantity.
        seconds: for each call.
        turns: number of rounds.
        clock: wall-clock seconds.
        on_turn: called after each turn of one call.
    """
    samples: dict[str, dict[str, list[float]]] = {
        name: {what: [] for what in own} for name, own in calls.items()
    }
    for _ in range(turns):
        for name, own in calls.items():
            for what, call in own.items():
                call()
                samples[name][what] += repeat_for(call, seconds / turns, clock)
                on_turn()
    return {
        name: {what: Timing(tuple(times_ms)) for what, times_ms in own.items()}
        for name, own in samples.items()
    }


def repeat_for(call: Callable[[], object], seconds: float, clock: Clock) -> list[float]:
    """Repeat a call for `seconds`; return the time of each, in ms."""
    times_ms: list[float] = []
    start_s = before_s = clock()
    while not times_ms or before_s - start_s < seconds:
        call()
        after_s = clock()
        times_ms.append(1e3 * (after_s - before_s))
        before_s = after_s
    return times_ms
