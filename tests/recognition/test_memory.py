from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.config.choices import POLICIES
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.sampling import Ticker, nearest, segment_times
from ecolite_stream.recognition.memory import (
    Memory,
    Remembered,
    cheaper_period_s,
    make_memory,
    pyramid_shares,
)


def add(memory: Memory, *numbers: float, per_s: float = 1.0) -> None:
    """Frames whose feature is their number, `per_s` of them a second."""
    for number in numbers:
        memory.add(np.full((1, 1, 1), number, np.float32), number / per_s)


def recall(memory: Memory) -> list[int]:
    features = memory.recall()
    assert features.dtype == np.float32
    assert features.shape == (memory.num_segments, 1, 1, 1)
    return features.ravel().astype(int).tolist()


def stored(memory: Memory) -> int:
    """How many features it holds on to, in whatever it keeps them."""
    total = 0
    for value in vars(memory).values():
        for item in value if hasattr(value, "__iter__") else ():
            total += len(item) if isinstance(item, list) else isinstance(item, Remembered)
    return total


def test_window_is_even_in_time() -> None:
    memory = make_memory("window", 4, span_s=4, every_s=0.5)  # 3 s from the oldest to the newest
    add(memory, *range(21), per_s=2)
    assert recall(memory) == [14, 16, 18, 20]
    assert recall(memory) == [14, 16, 18, 20]  # looking changes nothing


@pytest.mark.parametrize(
    ("what", "seen", "expected"),
    [
        ("the first frame", [0], [0, 0, 0, 0]),
        ("the first stands in where nothing had been", [0, 1], [0, 0, 0, 1]),
        ("at its own pace from the start", [0, 1, 2, 3], [0, 0, 1, 3]),
        ("just full", range(7), [0, 2, 4, 6]),
        ("dropped frames leave the time scale", [0, 1, 2, 3, 8, 9, 14], [8, 9, 14, 14]),
        ("the one before the window is nearest", [0, 1, 7, 13, 14], [7, 7, 13, 14]),
        ("after a long hole there is only the new", [0, 1, 2, 3, 30], [30, 30, 30, 30]),
    ],
)
def test_window_chooses_by_time(what: str, seen: list[int], expected: list[int]) -> None:
    memory = make_memory("window", 4, span_s=4, every_s=0.5)
    add(memory, *seen, per_s=2)
    assert recall(memory) == expected, what


def test_window_shares_its_samples_or_has_one_near_every_segment() -> None:
    """A period divides the segment's length or `every_s`."""
    for span_s, every_s, expected in [
        (1.6, 0.5, 0.2),  # half a segment; a whole one would be late by half of 0.4 s
        (0.8, 0.5, 0.2),
        (1.6, 0.4, 0.4),
        (4, 0.5, 0.5),
        (2, 5, 0.5),
        (1.2, 0.5, 0.15),
        (3.2, 0.6, 0.3),
    ]:
        memory = make_memory("window", 4, span_s, every_s)
        assert memory.sample_period_s == pytest.approx(expected)


@pytest.mark.parametrize(
    ("every_s", "expected"),
    [
        (0.25, 0.2),  # 10 frames a second are 5
        (0.17, 0.2),
        (0.4, None),  # is such a period itself
        (0.5, None),  # longer ones share their frames
        (0.55, None),
        (2.0, None),
        (0.3, None),  # 0.2 and 0.4 are too far off
        (0.05, None),
    ],
)
def test_a_period_that_shares_all_frames(every_s: float, expected: float | None) -> None:
    assert cheaper_period_s(8, 1.6, every_s) == (expected and pytest.approx(expected))


def test_paper_is_algorithm_1() -> None:
    memory = make_memory("paper", 4, span_s=9, every_s=2)
    assert memory.sample_period_s == 1
    add(memory, 0, 1, 2, 3)
    assert recall(memory) == [0, 1, 2, 3]  # the first N
    add(memory, 4, 5)
    assert recall(memory) == [1, 3, 4, 5]  # half of S, and Q
    add(memory, 6, 7, 8, 9)
    assert recall(memory) == [3, 5, 7, 9]  # half of S, and half of Q
    assert recall(memory) == [3, 5, 7, 9]


def test_paper_with_blocks_as_published() -> None:
    """N frames a block, of which half go to S."""
    memory = make_memory("paper", 8, span_s=9, every_s=1)
    clips = []
    for block in range(3):
        add(memory, *range(8 * block, 8 * block + 8))
        clips.append(recall(memory))
    assert clips == [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [1, 3, 5, 7, 9, 11, 13, 15],
        [3, 7, 11, 15, 17, 19, 21, 23],
    ]


def test_paper_forgets_though_frames_are_dropped() -> None:
    memory = make_memory("paper", 4, span_s=9, every_s=2)
    clips = []
    for number in range(5):  # one frame a block, where there should be two
        add(memory, number)
        clips.append(recall(memory))
    assert clips == [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 2, 2], [1, 2, 3, 3], [2, 3, 4, 4]]


@pytest.mark.parametrize(
    ("num_segments", "expected"),
    [
        (16, [8, 4, 2, 1, 1]),
        (4, [2, 1, 1]),
        (8, [4, 2, 1, 1]),
        (12, [6, 3, 1, 1, 1]),
        (20, [10, 5, 2, 1, 1, 1]),
        (32, [16, 8, 4, 2, 1, 1]),
        (1, [1]),
    ],
)
def test_pyramid_shares(num_segments: int, expected: list[int]) -> None:
    assert pyramid_shares(num_segments) == expected
    assert sum(expected) == num_segments


def test_pyramid_is_the_published_script() -> None:
    memory = make_memory("pyramid", 16, span_s=9, every_s=2)
    assert memory.sample_period_s == 0.25
    for block in range(7):
        add(memory, *range(16 * block, 16 * block + 16))  # blocks of 16, as published
        clip = recall(memory)
    assert clip == [
        *[47],  # one of block 2
        *[63],  # one of block 3
        *[71, 79],  # two of block 4
        *[83, 87, 91, 95],  # four of block 5
        *[97, 99, 101, 103, 105, 107, 109, 111],  # eight of the newest
    ]


def test_pyramid_starts_with_what_there_is() -> None:
    memory = make_memory("pyramid", 4, span_s=9, every_s=2)
    clips = []
    for block in ([0], [1, 2], [3, 4], [5, 6], [7, 8]):
        add(memory, *block)
        clips.append(recall(memory))
    assert clips == [[0, 0, 0, 0], [0, 1, 1, 2], [0, 2, 3, 4], [2, 4, 5, 6], [4, 6, 7, 8]]


def test_a_thin_block_keeps_its_share_of_the_pyramid() -> None:
    memory = make_memory("pyramid", 8, span_s=9, every_s=2)
    for block in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12]):
        add(memory, *block)
        clip = recall(memory)
    assert clip == [3, 7, 9, 11, 12, 12, 12, 12]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("window", [2, 4, 4, 4]),  # quarters, at 1, 3, 5, 7 s
        ("paper", [1, 4, 4, 4]),  # the first block, repeated, is half as fast as it should be
        ("pyramid", [1, 2, 4, 4]),
    ],
)
def test_fill_counts_the_segments_that_are_real(policy: str, expected: list[int]) -> None:
    memory = make_memory(policy, 4, span_s=4, every_s=2)
    assert memory.fill == 0
    fills = []
    for number in range(0, 8, 2):
        add(memory, number, number + 1)
        fills.append(memory.fill)
        memory.recall()
    assert fills == [quarters / 4 for quarters in expected]


@pytest.mark.parametrize("policy", POLICIES)
def test_after_a_long_silence_one_frame_fills_one_segment(policy: str) -> None:
    memory = make_memory(policy, 8, span_s=1.6, every_s=0.5)
    for block in range(12):
        add(memory, *range(4 * block, 4 * block + 4), per_s=8)
        memory.recall()
    assert memory.fill == 1
    add(memory, 148 * 8, per_s=8)  # a hundred seconds later
    assert memory.fill == 1 / 8
    assert recall(memory)[-1] == 148 * 8


def test_the_window_keeps_only_what_can_be_told_apart() -> None:
    memory = make_memory("window", 8, span_s=60, every_s=0.1)
    add(memory, *range(3000), per_s=10)
    assert stored(memory) <= 4 * 8 + 2
    targets = segment_times(299.9, 60, 8) * 10
    assert np.abs(np.array(recall(memory)) - targets).max() <= 75 / 8


def test_an_unknown_policy() -> None:
    with pytest.raises(ConfigError, match="'fifo'; expected window, paper, pyramid"):
        make_memory("fifo", 4, 1, 1)


segments = st.sampled_from([1, 3, 4, 8, 12, 16, 20, 32])
policies = st.sampled_from(POLICIES)


@given(
    policies,
    segments,
    st.floats(0.2, 8),
    st.floats(0.1, 5),
    st.lists(st.floats(0.005, 1), min_size=1, max_size=150),
)
def test_any_stream(
    policy: str, num_segments: int, span_s: float, every_s: float, intervals_s: list[float]
) -> None:
    """N features in time order, the newest last, and a bounded number of them held."""
    memory = make_memory(policy, num_segments, span_s, every_s)
    samples, predictions = Ticker(memory.sample_period_s), Ticker(every_s)
    limit = 2 * num_segments + (span_s + every_s) / memory.sample_period_s + 4
    for number, time_s in enumerate(np.cumsum(intervals_s).tolist()):
        predicts = predictions.due(time_s)
        if samples.due(time_s) or predicts:
            memory.add(np.full((1, 1, 1), number, np.float32), time_s)
        if predicts:
            clip = recall(memory)
            assert len(clip) == num_segments
            assert clip[-1] == number
            assert all(a <= b for a, b in pairwise(clip))
        assert 0 <= memory.fill <= 1
        assert stored(memory) <= limit


@pytest.mark.parametrize("policy", POLICIES)
def test_size_is_bounded_for_ever(policy: str) -> None:
    memory = make_memory(policy, 8, span_s=2, every_s=0.5)
    sizes = []
    for block in range(3000):
        add(memory, *range(4 * block, 4 * block + 4), per_s=8)
        recall(memory)
        sizes.append(stored(memory))
    assert max(sizes[100:]) == max(sizes[:100]) <= 18


@given(st.sets(st.integers(0, 398), max_size=300), segments)
def test_dropping_frames_does_not_change_the_windows_time_scale(
    dropped: set[int], num_segments: int
) -> None:
    """What stands for a moment is the nearest frame that was not dropped."""
    memory = make_memory("window", num_segments, span_s=3, every_s=0.1)
    kept = [number for number in range(400) if number not in dropped]
    add(memory, *kept, per_s=100)
    targets = segment_times(3.99, 3, num_segments) * 100
    chosen = recall(memory)
    assert chosen[-1] == kept[-1]
    # Samples closer than a quarter of a segment stand for each other.
    slack = 300 / num_segments / 8 + 1e-6
    targets = targets + kept[-1] - 399
    exact = np.array(kept)[nearest(kept, targets)]
    assert (np.abs(chosen - targets) <= np.abs(exact - targets) + slack).all()


@given(
    st.lists(st.floats(0.001, 0.3), min_size=1, max_size=200),
    st.lists(st.integers(0, 199), max_size=2),
    st.sampled_from([4, 8, 16]),
    st.floats(0.5, 4),
    st.floats(0.2, 2),
)
def test_streaming_equals_offline(
    intervals_s: list[float], holes: list[int], n: int, span_s: float, every_s: float
) -> None:
    """What a stream remembers, just begun or after gaps, is what `segment_times` says offline.

    Offline, all sampled frames are there to choose from; live, those that later windows can tell
    apart.
    """
    for hole in holes:
        if hole < len(intervals_s):
            intervals_s[hole] += 7.0
    memory = make_memory("window", n, span_s, every_s)
    times_s = np.cumsum([0.0, *intervals_s])
    segment_s = span_s / n
    for seen in range(1, len(times_s) + 1):
        memory.add(np.full((1, 1, 1), seen - 1, np.float32), times_s[seen - 1])
        targets_s = segment_times(times_s[seen - 1], span_s, n)
        live_s = times_s[recall(memory)]
        offline_s = times_s[:seen][nearest(times_s[:seen], targets_s)]
        beside_s, least_s = np.abs(live_s - targets_s), np.abs(offline_s - targets_s)
        assert (beside_s <= least_s + segment_s / 8 + 1e-6).all()
        real = least_s <= segment_s / 2 + 1e-6
        assert memory.fill <= real.mean() + 1e-9
        sure = least_s <= 3 / 8 * segment_s
        assert memory.fill >= sure.mean() - 1e-9
