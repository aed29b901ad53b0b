"""Watch the pace of a training: warn when it slows down, and measure its waits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from statistics import median_low
from typing import TypeVar

FIRST_STEPS = 30
RECENT_STEPS = 20
MUCH_SLOWER = 4.0
Item = TypeVar("Item")


class Pace:
    """Compares the median of the last `RECENT_STEPS` steps with the quickest so far; warns once.

    The first steps also compile, so the quickest one is the reference. The median ignores single
    slow steps.
    """

    def __init__(self) -> None:
        self._quickest_s = float("inf")
        self._recent_s: deque[float] = deque(maxlen=RECENT_STEPS)
        self._steps = 0
        self._warned = False

    def step(self, seconds: float) -> str | None:
        """Record the seconds of a step; return a warning the first time it is due."""
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


class Waiting:
    """Seconds that a loop waits for its items."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items and add up the time spent waiting for each."""
        source = iter(items)
        while True:
            begun_s = time.monotonic()
            try:
                item = next(source)
            except StopIteration:
                return
            finally:
                self.seconds += time.monotonic() - begun_s
            yield item
