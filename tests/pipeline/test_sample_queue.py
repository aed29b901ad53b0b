"""Recordings wait, live streams keep the newest, and what a dropped sample was for is not lost."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.pipeline.sample_queue import SampleQueue, StreamQueue
from ecolite_stream.pipeline.wall_clock import WallClock
from ecolite_stream.types import Sample, StreamAnchor

pytestmark = pytest.mark.timeout(30)
NOTHING = np.empty(0, np.float32)


def sample(number: int, predicts: bool = False, afresh: bool = False, stream: str = "s") -> Sample:
    return Sample(stream, number, number / 10, None, NOTHING, predicts, afresh)


def facts(samples: list[Sample]) -> list[tuple[int, bool, bool]]:
    return [(s.frame, s.predicts, s.reset_state) for s in samples]


def live_slot(capacity: int) -> tuple[StreamQueue, Counter[str]]:
    dropped: Counter[str] = Counter()
    return StreamQueue(capacity, True, lambda cause: dropped.update([cause])), dropped


def test_a_live_slot_keeps_the_newest_and_counts() -> None:
    stream_queue, dropped = live_slot(2)
    for number in range(5):
        stream_queue.put(sample(number))
    assert facts(stream_queue.pop_step()) == [(3, False, False), (4, False, False)]
    assert dropped == {"engine busy": 3}


def test_only_the_newest_prediction_waits() -> None:
    stream_queue, dropped = live_slot(4)
    for number in range(4):
        stream_queue.put(sample(number, predicts=number in (1, 3)))
    assert facts(stream_queue.pop_step()) == [
        (0, False, False),
        (1, False, False),
        (2, False, False),
        (3, True, False),
    ]
    assert not dropped


def test_what_a_dropped_sample_was_for_is_done_by_the_next() -> None:
    stream_queue, _ = live_slot(1)
    stream_queue.put(sample(0, predicts=True, afresh=True))
    stream_queue.put(sample(1))
    assert facts(stream_queue.pop_step()) == [(1, True, True)]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1), st.integers(1, 5))
def test_no_prediction_and_no_fresh_start_is_lost(
    flags: list[tuple[bool, bool]], capacity: int
) -> None:
    stream_queue, _ = live_slot(capacity)
    for number, (predicts, afresh) in enumerate(flags):
        stream_queue.put(sample(number, predicts, afresh))
    held = list(stream_queue.samples)
    assert held[-1].frame == len(flags) - 1
    assert len(held) == min(capacity, len(flags))
    assert sum(s.predicts for s in held) == any(predicts for predicts, _ in flags)
    assert any(s.reset_state for s in held) == any(afresh for _, afresh in flags)


def test_a_recording_waits_for_room_and_its_steps_are_the_same_whoever_is_faster() -> None:
    queue = SampleQueue()
    queue.expect("s")
    queue.open("s", StreamQueue(4, False, lambda cause: None))

    def read() -> None:
        for number in range(30):
            assert queue.put(sample(number, predicts=number % 3 == 2))
        queue.end("s")

    reader = threading.Thread(target=read)
    reader.start()
    steps = []
    while ready := queue.pop_steps():
        steps.append([s.frame for s in ready["s"]])
    reader.join(10)
    assert steps == [*([i, i + 1, i + 2] for i in range(0, 30, 3)), []]


def test_recordings_wait_where_nobody_has_room_and_live_streams_do_not() -> None:
    queue = SampleQueue()
    queue.expect("film")
    queue.expect("cam")
    queue.open("film", StreamQueue(4, False, lambda cause: None))
    queue.open("cam", StreamQueue(4, True, lambda cause: None))
    for stream in ("film", "cam"):
        queue.put(sample(0, predicts=True, stream=stream))
    assert set(queue.pop_steps(recordings_wait=lambda: True)) == {"cam"}
    assert set(queue.pop_steps(recordings_wait=lambda: False)) == {"film"}


def test_closing_wakes_everybody() -> None:
    queue = SampleQueue()
    queue.expect("s")
    queue.open("s", StreamQueue(1, False, lambda cause: None))
    assert queue.put(sample(0))
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(queue.put(sample(1)))),
        threading.Thread(target=lambda: results.append(queue.pop_steps(lambda: True))),
    ]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, results)) == ["False", "{}"]


def test_it_ends_when_all_streams_have() -> None:
    queue = SampleQueue()
    queue.expect("a")
    queue.expect("b")
    queue.end("a")  # it could not be opened
    queue.open("b", StreamQueue(2, True, lambda cause: None))
    queue.put(sample(0, stream="b"))
    queue.end("b")
    assert {name: len(step) for name, step in queue.pop_steps().items()} == {"a": 0, "b": 1}
    assert queue.pop_steps() == {"b": []}  # its end
    assert queue.pop_steps() == {}


def test_frames_that_a_camera_had_in_store_give_no_times_in_the_future() -> None:
    now_s = 50.0
    queue = SampleQueue(WallClock(lambda: 1_000_000 + now_s, lambda: now_s))
    queue.expect("s")
    queue.open("s", StreamQueue(100, True, lambda cause: None))

    def times(numbers: range) -> list[tuple[str, int]]:
        """(seed, time of day) of each sample as it is put."""
        for number in numbers:
            queue.put(replace(sample(number), arrived_s=now_s))
            anchors.extend(queue.pop_notes()[1])
            found.append((anchors[-1].seed, anchors[-1].unix_ms(number / 10)))
        return found[-len(numbers) :]

    anchors: list[StreamAnchor] = []
    found: list[tuple[str, int]] = []
    burst = times(range(31))  # 3 s of video
    assert all(at_ms - 1_000_050_000 in range(51) for _, at_ms in burst)
    now_s += 0.1
    assert times(range(31, 32))[0][1] - 1_000_050_100 in range(51)
    now_s += 2.1  # a late one keeps its time
    assert times(range(32, 33))[0][1] - 1_000_050_200 in range(51)
    assert len({seed for seed, _ in found}) == 1
    assert [at_ms for _, at_ms in found] == sorted(at_ms for _, at_ms in found)
