"""The working memory of segment features: what a stream remembers between predictions.

A memory holds features and their stream times, nothing else: no engine, no clock, no thread. Every
stream has its own. Three policies decide what is kept:

    window    the last `span_s` seconds, evenly in time
    paper     Algorithm 1 of the ECO paper: half from what is new, half from the memory before
    pyramid   the authors' script: a half, a quarter, an eighth ... of the newest blocks
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ecolite_stream.errors import ConfigError
from ecolite_stream.sampling import evenly, nearest, segment_frames
from ecolite_stream.types import FloatArray

POLICIES = ("window", "paper", "pyramid")


class Memory(Protocol):
    """The features of one stream.

    Attributes:
        sample_period_s: seconds of stream time between two frames that it wants encoded.
    """

    sample_period_s: float

    @property
    def fill(self) -> float:
        """How much of what the memory can span it has seen, 0 to 1."""

    def add(self, feature: FloatArray, time_s: float) -> None:
        """Remember the feature of a frame; times ascend."""

    def recall(self) -> FloatArray:
        """The N features to predict from, (N, *feature_shape) float32, oldest first.

        A prediction also ends the block of new features it was made from. While fewer than N
        features are there, they are repeated in order. At least one must have been added.
        """


def make_memory(policy: str, num_segments: int, span_s: float, every_s: float) -> Memory:
    """A new, empty memory.

    Args:
        policy: one of `POLICIES`.
        num_segments: N.
        span_s: seconds that the window spans.
        every_s: seconds between two predictions: a block of the paper and pyramid policies.
    """
    if policy == "window":
        return WindowMemory(num_segments, span_s, every_s)
    if policy == "paper":
        return PaperMemory(num_segments, every_s)
    if policy == "pyramid":
        return PyramidMemory(num_segments, every_s)
    raise ConfigError(f"memory policy is {policy!r}; expected {', '.join(POLICIES)}")


class WindowMemory:
    """The last `span_s` seconds: N features as evenly in time as they were sampled.

    The sampling period divides `every_s`, so that the newest feature is fresh whenever a
    prediction is due, and is at most a segment's share of the window. Features are chosen by
    their times: a hole left by dropped frames does not change the time scale. At the start of
    a stream the window is as long as what has been seen.
    """

    def __init__(self, num_segments: int, span_s: float, every_s: float) -> None:
        segment_s = span_s / num_segments
        self.num_segments = num_segments
        self.sample_period_s = every_s / math.ceil(every_s / segment_s - 1e-6)
        self._reach_s = span_s - segment_s  # from the oldest segment to the newest
        self._features: deque[FloatArray] = deque()
        self._times_s: deque[float] = deque()

    @property
    def fill(self) -> float:
        return _share(self._times_s[-1] - self._times_s[0], self._reach_s) if self._times_s else 0.0

    def add(self, feature: FloatArray, time_s: float) -> None:
        self._features.append(feature)
        self._times_s.append(time_s)
        # One from before the window stays: it may be the nearest to the window's start.
        while len(self._times_s) > 1 and self._times_s[1] <= time_s - self._reach_s:
            self._features.popleft()
            self._times_s.popleft()

    def recall(self) -> FloatArray:
        newest_s = self._times_s[-1]
        oldest_s = max(self._times_s[0], newest_s - self._reach_s)
        targets_s = np.linspace(oldest_s, newest_s, self.num_segments)
        chosen = nearest(self._times_s, targets_s.tolist())
        return np.stack([self._features[position] for position in chosen])


class PaperMemory:
    """Algorithm 1 of the paper: S = half from the queue Q, half from the old S, in time order.

    Q is what came in since the last prediction. The paper counts frames; here a block is the
    time between two predictions, in which N / 2 frames are sampled. A block always fills its
    half: frames are repeated where some were dropped, so that the time scale stays. The running
    average of Algorithm 1 is the recognizer's.
    """

    def __init__(self, num_segments: int, every_s: float) -> None:
        self.num_segments = num_segments
        self.sample_period_s = every_s / (num_segments / 2)
        self._memory: list[FloatArray] = []  # S: none, or N
        self._queue: list[FloatArray] = []  # Q
        self._seen = _Span(2 * every_s - self.sample_period_s)

    @property
    def fill(self) -> float:
        return self._seen.share

    def add(self, feature: FloatArray, time_s: float) -> None:
        self._queue.append(feature)
        self._seen.reach(time_s)

    def recall(self) -> FloatArray:
        if self._queue:
            from_memory = self.num_segments // 2 if self._memory else 0
            old = _resample(self._memory, from_memory)
            self._memory = old + _resample(self._queue, self.num_segments - from_memory)
            self._queue = []
        return np.stack(self._memory)


class PyramidMemory:
    """The published online script: newest block first 8, 4, 2, 1, 1 of 16, here for any N.

    A block is the time between two predictions; N / 2 frames are sampled in it. As in
    `PaperMemory`, a block always fills its share.
    """

    def __init__(self, num_segments: int, every_s: float) -> None:
        self.num_segments = num_segments
        self.sample_period_s = every_s / (num_segments / 2)
        self._shares = pyramid_shares(num_segments)
        self._blocks: deque[list[FloatArray]] = deque(maxlen=len(self._shares))  # newest first
        self._queue: list[FloatArray] = []
        self._seen = _Span(every_s * len(self._shares) - self.sample_period_s)

    @property
    def fill(self) -> float:
        return self._seen.share

    def add(self, feature: FloatArray, time_s: float) -> None:
        self._queue.append(feature)
        self._seen.reach(time_s)

    def recall(self) -> FloatArray:
        if self._queue:
            self._blocks.appendleft(self._queue)
            self._queue = []
        for position, share in zip(range(len(self._blocks)), self._shares, strict=False):
            self._blocks[position] = _resample(self._blocks[position], share)
        features = [feature for block in reversed(self._blocks) for feature in block]
        return np.stack(_resample(features, self.num_segments))


def pyramid_shares(num_segments: int) -> list[int]:
    """Features kept of each block, newest first: 8, 4, 2, 1, 1 for 16 segments."""
    shares: list[int] = []
    while (left := num_segments - sum(shares)) > 0:
        shares.append(max(1, left // 2))
    return shares


class _Span:
    """How much of a span of time has been seen."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._first_s: float | None = None
        self._last_s = 0.0

    def reach(self, time_s: float) -> None:
        if self._first_s is None:
            self._first_s = time_s
        self._last_s = time_s

    @property
    def share(self) -> float:
        return (
            0.0 if self._first_s is None else _share(self._last_s - self._first_s, self._length_s)
        )


def _share(seen_s: float, span_s: float) -> float:
    return 1.0 if seen_s >= span_s - 1e-6 else seen_s / span_s


def _resample(features: Sequence[FloatArray], wanted: int) -> list[FloatArray]:
    """As many features as wanted, in order, the newest among them; repeated where too few."""
    rule = evenly if wanted <= len(features) else segment_frames
    return [features[position] for position in rule(len(features), wanted)]
