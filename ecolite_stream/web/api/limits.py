"""How many requests an address may make."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_BURST_S = 3.0
_MOST_REMEMBERED = 1000


class RateLimit:
    """A bucket of tokens for each address: it fills at a rate, and each request takes one.

    Args:
        per_s: requests a second, on average; three seconds' worth may come at once.
        clock: seconds, monotonic.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._most = max(1.0, per_s * _BURST_S)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, when

    def wait_s(self, address: str) -> int:
        """Take a token: 0 where there is one, else whole seconds until there is."""
        now_s = self._clock()
        left, at_s = self._buckets.pop(address, (self._most, now_s))
        left = min(self._most, left + (now_s - at_s) * self._per_s)
        is_allowed = left >= 1
        self._buckets[address] = (left - 1 if is_allowed else left), now_s
        while len(self._buckets) > _MOST_REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        return 0 if is_allowed else max(1, math.ceil((1 - left) / self._per_s))
