"""Ids of events: unique, sortable, and the same in a replay."""

from __future__ import annotations

import dataclasses
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.recognition.event_id import event_id
from ecolite_stream.types import StreamAnchor, iso_utc, unix_ms_of

ANCHOR = StreamAnchor("door", 1_790_000_000_000, True, "0123456789abcdef" * 2)


def test_the_same_event_has_the_same_id_and_any_other_another() -> None:
    name = event_id(ANCHOR, "", 12.5)
    assert name == event_id(ANCHOR, "", 12.5)
    others = [
        event_id(dataclasses.replace(ANCHOR, seed="f" * 32), "", 12.5),
        event_id(dataclasses.replace(ANCHOR, stream="yard"), "", 12.5),
        event_id(ANCHOR, "left", 12.5),
        event_id(ANCHOR, "", 12.50001),  # in the same millisecond
        event_id(ANCHOR, "", 12.5, times_back=1),
    ]
    assert len({name, *others}) == 6


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_ids_are_uuids_of_version_7_that_sort_by_their_start(one_s: float, other_s: float) -> None:
    one, other = event_id(ANCHOR, "", one_s), event_id(ANCHOR, "", other_s)
    parsed = uuid.UUID(one)
    assert (str(parsed), parsed.version, parsed.variant) == (one, 7, uuid.RFC_4122)
    assert parsed.int >> 80 == ANCHOR.unix_ms(one_s)
    if ANCHOR.unix_ms(one_s) != ANCHOR.unix_ms(other_s):
        assert (one < other) == (one_s < other_s)


@given(st.integers(0, 4_000_000_000_000))
def test_times_of_day_come_back(unix_ms: int) -> None:
    assert unix_ms_of(iso_utc(unix_ms)) == unix_ms


def test_a_recording_has_no_time_of_day() -> None:
    assert ANCHOR.at(0.25) == "2026-09-21T14:13:20.250Z"
    assert dataclasses.replace(ANCHOR, live=False).at(0.25) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"zero_unix_ms": -1}, "zero_unix_ms is -1"),
        ({"seed": "x" * 32}, "expected 32 hexadecimal digits"),
        ({"seed": ""}, "expected 32 hexadecimal digits"),
    ],
)
def test_an_anchor_checks_its_values(values: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(ANCHOR, **values)  # type: ignore[arg-type]
