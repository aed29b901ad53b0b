"""Recordings wait, live streams keep the newest, and what a dropped sample was for is not lost."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.inbox import Inbox, Slot
from ecolite_stream.types import Sample

pytestmark = pytest.mark.timeout(30)
NOTHING = np.empty(0, np.float32)


def sample(number: int, predicts: bool = False, afresh: bool = False, stream: str = "s") -> Sample:
    return Sample(stream, number, number / 10, None, NOTHING, predicts, afresh)


def facts(samples: list[Sample]) -> list[tuple[int, bool, bool]]:
    return [(s.frame, s.predicts, s.starts_afresh) for s in samples]


def live_slot(capacity: int) -> tuple[Slot, Counter[str]]:
    dropped: Counter[str] = Counter()
    return Slot(capacity, True, lambda cause: dropped.update([cause])), dropped


def test_a_live_slot_keeps_the_newest_and_counts() -> None:
    slot, dropped = live_slot(2)
    for number in range(5):
        slot.put(sample(number))
    assert facts(slot.take()) == [(3, False, False), (4, False, False)]
    assert dropped == {"engine busy": 3}


def test_only_the_newest_prediction_waits() -> None:
    slot, dropped = live_slot(4)
    for number in range(4):
        slot.put(sample(number, predicts=number in (1, 3)))
    assert facts(slot.take()) == [
        (0, False, False),
        (1, False, False),
        (2, False, False),
        (3, True, False),
    ]
    assert not dropped


def test_what_a_dropped_sample_was_for_is_done_by_the_next() -> None:
    slot, _ = live_slot(1)
    slot.put(sample(0, predicts=True, afresh=True))
    slot.put(sample(1))
    assert facts(slot.take()) == [(1, True, True)]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1), st.integers(1, 5))
def test_no_prediction_and_no_fresh_start_is_lost(
    flags: list[tuple[bool, bool]], capacity: int
) -> None:
    slot, _ = live_slot(capacity)
    for number, (predicts, afresh) in enumerate(flags):
        slot.put(sample(number, predicts, afresh))
    held = list(slot.samples)
    assert held[-1].frame == len(flags) - 1
    assert len(held) == min(capacity, len(flags))
    assert sum(s.predicts for s in held) == any(predicts for predicts, _ in flags)
    assert any(s.starts_afresh for s in held) == any(afresh for _, afresh in flags)


def test_a_recording_waits_for_room_and_its_steps_are_the_same_whoever_is_faster() -> None:
    inbox = Inbox()
    inbox.expect(1)
    inbox.open("s", Slot(4, False, lambda cause: None))

    def read() -> None:
        for number in range(30):
            assert inbox.put(sample(number, predicts=number % 3 == 2))
        inbox.end("s")

    reader = threading.Thread(target=read)
    reader.start()
    steps = []
    while ready := inbox.take():
        steps.append([s.frame for s in ready["s"]])
    reader.join(10)
    assert steps == [*([i, i + 1, i + 2] for i in range(0, 30, 3)), []]


def test_recordings_wait_where_nobody_has_room_and_live_streams_do_not() -> None:
    inbox = Inbox()
    inbox.expect(2)
    inbox.open("film", Slot(4, False, lambda cause: None))
    inbox.open("cam", Slot(4, True, lambda cause: None))
    for stream in ("film", "cam"):
        inbox.put(sample(0, predicts=True, stream=stream))
    assert set(inbox.take(recordings_wait=lambda: True)) == {"cam"}
    assert set(inbox.take(recordings_wait=lambda: False)) == {"film"}


def test_closing_wakes_everybody() -> None:
    inbox = Inbox()
    inbox.expect(1)
    inbox.open("s", Slot(1, False, lambda cause: None))
    assert inbox.put(sample(0))
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(inbox.put(sample(1)))),
        threading.Thread(target=lambda: results.append(inbox.take(lambda: True))),
    ]
    for thread in threads:
        thread.start()
    inbox.close()
    for thread in threads:
        thread.join(10)
    assert sorted(map(str, results)) == ["False", "{}"]


def test_it_ends_when_all_streams_have() -> None:
    inbox = Inbox()
    inbox.expect(2)
    inbox.end("a")  # it could not be opened
    inbox.open("b", Slot(2, True, lambda cause: None))
    inbox.put(sample(0, stream="b"))
    inbox.end("b")
    assert {name: len(step) for name, step in inbox.take().items()} == {"a": 0, "b": 1}
    assert inbox.take() == {"b": []}  # its end
    assert inbox.take() == {}
