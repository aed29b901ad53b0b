"""Notices when a training has become many times slower than it can be."""

from __future__ import annotations

from collections import deque
from statistics import median_low

FIRST_STEPS = 30
RECENT_STEPS = 20
MUCH_SLOWER = 4.0


class Pace:
    """Compares the last steps with the quickest so far; warns once.

    The quickest, not the first: the first steps also compile. Against one slow step now and then
    (a busy disk, the clock) stands the median of `RECENT_STEPS`.
    """

    def __init__(self) -> None:
        self._quickest_s = float("inf")
        self._recent_s: deque[float] = deque(maxlen=RECENT_STEPS)
        self._steps = 0
        self._warned = False

    def step(self, seconds: float) -> str | None:
        """Take note of a step that took so many seconds; a warning, the first time it is due."""
        self._steps += 1
        self._quickest_s = min(self._quickest_s, seconds)
        self._recent_s.append(seconds)
        if self._warned or self._steps < FIRST_STEPS:
            return None
        recent_s = median_low(self._recent_s)
        if recent_s <= MUCH_SLOWER * self._quickest_s:
            return None
        self._warned = True
        return (
            f"a step now takes {recent_s:.3g} s, the quickest took {self._quickest_s:.3g} s: "
            "something else keeps the machine busy; train alone, or start the rest under nice -n 19"
        )
