from __future__ import annotations

import pytest

from ecolite_stream.bench.accuracy.track import Action
from ecolite_stream.bench.accuracy.track_events import EventMatch, match_events
from ecolite_stream.types import Event

TRACK = [
    Action(0, 4, "walk"),
    Action(4, 8, "idle"),
    Action(8, 10, "wave"),
    Action(10, 12, "wave"),
    Action(12, 16, "walk"),
]


def event(label: str, start_s: float, end_s: float) -> Event:
    return Event(f"s@{start_s}", "s", label, start_s, end_s, 0.9, 0.8, "end")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], EventMatch(3, 0, 0)),
        (
            [event("walk", 1, 5), event("wave", 9, 13), event("walk", 13, 16)],
            EventMatch(3, 3, 0),
        ),
        # Told twice, another label, and one in the idle stretch.
        ([event("walk", 1, 2), event("walk", 3, 4), event("jump", 9, 10)], EventMatch(3, 1, 2)),
        ([event("walk", 6.5, 7)], EventMatch(3, 0, 1)),
        # It begins when the action is over, but still remembered.
        ([event("walk", 4.5, 5)], EventMatch(3, 1, 0)),
        # One event of an action never stands for the next of that label.
        ([event("walk", 1, 15)], EventMatch(3, 1, 0)),
    ],
)
def test_each_action_is_to_be_told_once(events: list[Event], expected: EventMatch) -> None:
    assert match_events(events, TRACK, ("idle",), 1.6) == expected


def test_a_track_of_nothing_but_idle() -> None:
    track = [Action(0, 60, "idle")]
    assert str(match_events([event("walk", 5, 6)], track, ("idle",), 1.6)) == "0/0, 1 extra"
