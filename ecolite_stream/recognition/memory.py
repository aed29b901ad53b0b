"""The working memory of segment features: what a stream remembers between predictions.

A memory holds features and their stream times, nothing else: no engine, no clock, no thread. Every
stream has its own. Three policies decide what is kept:

    window    the last `span_s` seconds, evenly in time
    paper     Algorithm 1 of the ECO paper: half from what is new, half from the memory before
    pyramid   the authors' script: a half, a quarter, an eighth ... of the newest blocks

Each has a time scale of its own, and keeps it: where the stream had not begun, or did not come for
a while, the nearest frame stands in. `fill` tells how many of the N segments are real.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ecolite_stream.config.choices import POLICIES
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.sampling import FloatTimes, evenly, nearest, segment_frames, segment_times
from ecolite_stream.types import FloatArray

_ROUNDING_S = 1e-6  # timestamps are rounded


@dataclass(frozen=True, eq=False)
class Remembered:
    """The feature of one frame, (C, h, w) float32, and the stream time of that frame."""

    feature: FloatArray
    time_s: float


class Memory(Protocol):
    """The features of one stream.

    Attributes:
        num_segments: N.
        sample_period_s: seconds of stream time between two frames that it wants encoded.
    """

    num_segments: int
    sample_period_s: float

    @property
    def fill(self) -> float:
        """The share of the N segments, 0 to 1, that have a sample within half a segment.

        A segment's time is what it would stand for in a stream without a hole.
        """

    def add(self, feature: FloatArray, time_s: float) -> None:
        """Remember the feature of a frame; times ascend."""

    def recall(self) -> FloatArray:
        """The N features to predict from, (N, *feature_shape) float32, oldest first.

        A prediction also ends the block of new features it was made from. At least one feature
        must have been added.
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


def empty_memory(spec: ModelSpec, config: StreamConfig) -> Memory:
    """The memory that a configuration asks for with a bundle."""
    memory = config.memory
    span_s = memory.span_s or spec.clip_seconds
    return make_memory(memory.policy, spec.num_segments, span_s, config.every_s)


class WindowMemory:
    """The last `span_s` seconds, always all of them: N features evenly in time.

    Features are chosen by their times, so neither dropped frames nor a stream that has just begun
    change the time scale; `sampling.segment_times` is the rule, and training follows it too. The
    sampling period either divides a segment's length, so that all predictions share their frames,
    and is at most half of `every_s`, so that a sample is near to where a prediction is due; or it
    divides `every_s` and is fine enough for every segment to find a sample within an eighth of its
    length: whichever is longer. Of samples closer together than a quarter of a segment only some
    are kept.
    """

    def __init__(self, num_segments: int, span_s: float, every_s: float) -> None:
        segment_s = span_s / num_segments
        self.num_segments = num_segments
        self.sample_period_s = max(
            segment_s / math.ceil(2 * segment_s / every_s - _ROUNDING_S),
            every_s / _samples_per_prediction(num_segments, segment_s, every_s),
        )
        self._span_s = span_s
        self._segment_s = segment_s
        self._samples: deque[Remembered] = deque()

    @property
    def fill(self) -> float:
        if not self._samples:
            return 0.0
        targets_s = self._segment_times()
        chosen_s = self._times()[nearest(self._times(), targets_s)]
        return _share_near(chosen_s - targets_s, self._segment_s / 2)

    def add(self, feature: FloatArray, time_s: float) -> None:
        samples = self._samples
        if len(samples) > 1 and time_s - samples[-2].time_s <= self._segment_s / 4:
            samples.pop()  # its neighbours are close enough to stand for it
        samples.append(Remembered(feature, time_s))
        # One from before the window stays: it may be the nearest to the window's start.
        oldest_s = self._segment_times()[0]
        while len(samples) > 1 and samples[1].time_s <= oldest_s:
            samples.popleft()

    def recall(self) -> FloatArray:
        chosen = nearest(self._times(), self._segment_times())
        return np.stack([self._samples[position].feature for position in chosen])

    def _times(self) -> FloatTimes:
        return np.array([sample.time_s for sample in self._samples])

    def _segment_times(self) -> FloatTimes:
        return segment_times(self._samples[-1].time_s, self._span_s, self.num_segments)


def _samples_per_prediction(num_segments: int, segment_s: float, every_s: float) -> int:
    """Into how many equal parts to cut `every_s`: the fewest that serve every segment."""
    ages_s = np.arange(num_segments) * segment_s
    fewest = math.ceil(every_s / segment_s - _ROUNDING_S)
    most = math.ceil(4 * every_s / segment_s)
    for parts in range(fewest, most):
        beside_s = np.abs(ages_s - np.round(ages_s * parts / every_s) * every_s / parts)
        if beside_s.max() <= segment_s / 8 + _ROUNDING_S:
            return parts
    return most


def cheaper_period_s(num_segments: int, span_s: float, every_s: float) -> float | None:
    """A period beside `every_s` for which a window needs no more than a frame a segment.

    It is a multiple of the segment's length.

    Returns:
        The nearest, in seconds; None if it is more than a quarter off, or spares next to nothing.
    """
    segment_s = span_s / num_segments
    thrifty_s = max(1, round(every_s / segment_s - _ROUNDING_S)) * segment_s
    spares = segment_s / WindowMemory(num_segments, span_s, every_s).sample_period_s > 1.2
    return thrifty_s if spares and abs(thrifty_s - every_s) <= every_s / 4 else None


class _BlockMemory(ABC):
    """What the paper and pyramid policies share: blocks, and what they would hold without a hole.

    A block is the time between two predictions, in which N / 2 frames are sampled. A block
    always fills its share of the memory: frames are repeated where some were dropped, so that the
    time scale stays.
    """

    def __init__(self, num_segments: int, every_s: float) -> None:
        self.num_segments = num_segments
        self.sample_period_s = every_s / (num_segments / 2)
        self._queue: list[Remembered] = []  # what came in since the last prediction
        self._segment_ages_s = self._ages_without_a_hole(every_s)
        gaps_s = -np.diff(self._segment_ages_s)  # from each segment to the next newer one
        self._tolerances_s = np.append(gaps_s, self.sample_period_s) / 2

    @property
    def fill(self) -> float:
        samples = self._recalled()
        if not samples:
            return 0.0
        times_s = np.array([sample.time_s for sample in samples])
        beside_s = times_s[-1] - times_s - self._segment_ages_s
        return _share_near(beside_s, self._tolerances_s)

    def add(self, feature: FloatArray, time_s: float) -> None:
        self._queue.append(Remembered(feature, time_s))

    def recall(self) -> FloatArray:
        samples = self._recalled()
        self._end_block()
        return np.stack([sample.feature for sample in samples])

    @abstractmethod
    def _recalled(self) -> list[Remembered]:
        """The N samples of a prediction made now, oldest first; none if there is none."""

    @abstractmethod
    def _end_block(self) -> None:
        """Let the queue become part of the memory."""

    def _ages_without_a_hole(self, every_s: float) -> FloatTimes:
        """Ages of the N segments, oldest first, in a stream that was sampled as asked for."""
        nothing = np.empty(0, np.float32)
        per_block = max(1, round(every_s / self.sample_period_s))
        samples: list[Remembered] = []
        for number in range(per_block * (self.num_segments + 1)):  # far longer than any remembers
            self._queue.append(Remembered(nothing, number * self.sample_period_s))
            if len(self._queue) == per_block:
                samples = self._recalled()
                self._end_block()
        self._forget()
        newest_s = samples[-1].time_s
        return np.array([newest_s - sample.time_s for sample in samples])

    @abstractmethod
    def _forget(self) -> None:
        """Be empty again."""


class PaperMemory(_BlockMemory):
    """Algorithm 1 of the paper: S = half from the queue Q, half from the old S, in time order.

    Q is what came in since the last prediction; the paper counts frames, here it is a block.
    The running average of Algorithm 1 is not the memory's: see `StreamState`.
    """

    def __init__(self, num_segments: int, every_s: float) -> None:
        self._memory: list[Remembered] = []  # S: none, or N
        super().__init__(num_segments, every_s)

    def _recalled(self) -> list[Remembered]:
        if not self._queue:
            return self._memory
        from_memory = self.num_segments // 2 if self._memory else 0
        old = _resample(self._memory, from_memory)
        return old + _resample(self._queue, self.num_segments - from_memory)

    def _end_block(self) -> None:
        self._memory, self._queue = self._recalled(), []

    def _forget(self) -> None:
        self._memory = []


class PyramidMemory(_BlockMemory):
    """The published online script: newest block first 8, 4, 2, 1, 1 of 16, here for any N."""

    def __init__(self, num_segments: int, every_s: float) -> None:
        self._shares = pyramid_shares(num_segments)
        self._blocks: list[list[Remembered]] = []  # newest first
        super().__init__(num_segments, every_s)

    def _recalled(self) -> list[Remembered]:
        samples = [sample for block in reversed(self._shared()) for sample in block]
        return _resample(samples, self.num_segments) if samples else []

    def _end_block(self) -> None:
        self._blocks, self._queue = self._shared(), []

    def _shared(self) -> list[list[Remembered]]:
        """Each block's share, newest block first."""
        blocks = [self._queue, *self._blocks] if self._queue else self._blocks
        return [_resample(b, share) for b, share in zip(blocks, self._shares, strict=False)]

    def _forget(self) -> None:
        self._blocks = []


def pyramid_shares(num_segments: int) -> list[int]:
    """Features kept of each block, newest first: 8, 4, 2, 1, 1 for 16 segments."""
    shares: list[int] = []
    while (left := num_segments - sum(shares)) > 0:
        shares.append(max(1, left // 2))
    return shares


def _share_near(beside_s: FloatTimes, tolerance_s: FloatTimes | float) -> float:
    return float(np.mean(np.abs(beside_s) <= tolerance_s + _ROUNDING_S))


def _resample(samples: Sequence[Remembered], wanted: int) -> list[Remembered]:
    """As many samples as wanted, in order, the newest among them; repeated where too few."""
    rule = evenly if wanted <= len(samples) else segment_frames
    return [samples[position] for position in rule(len(samples), wanted)]
