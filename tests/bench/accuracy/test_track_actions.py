"""Actions of a recording, looked at as clips are; by hand."""

from __future__ import annotations

import dataclasses

from ecolite_stream.bench.accuracy.live import right_after
from ecolite_stream.bench.accuracy.online import Moment
from ecolite_stream.bench.accuracy.track import Action, agreement
from ecolite_stream.bench.accuracy.track_actions import action_figures, action_tables, actions_of

TRACK = [Action(0, 4, "walk"), Action(4, 14, "wave"), Action(20, 30, "walk")]
MOMENTS = [
    *(Moment(float(t), "walk", 0.75, 1.0) for t in (1, 2, 5)),
    *(Moment(float(t), "wave", 0.75, 1.0) for t in (8, 13, 17, 25)),
]
FOUND = dataclasses.replace(
    agreement("v.mp4", "window", MOMENTS, TRACK, 1.6), encoded=9, engine_ms=48.0
)


def test_each_action_begins_anew() -> None:
    walk, wave, last = actions_of(FOUND)
    assert [m.time_s for m in walk.moments] == [1, 2]
    assert [(m.time_s, m.label) for m in wave.moments] == [(1, "walk"), (4, "wave"), (9, "wave")]
    assert [m.time_s for m in last.moments] == [5]  # 17 s is of no action
    assert (wave.stream_s, wave.label, wave.name) == (10, "wave", "v.mp4@4")
    assert str(right_after([walk, wave, last], 30)).startswith("1/3")
    assert str(right_after([walk, wave, last], 40)).startswith("2/3")


def test_policies_are_side_by_side() -> None:
    other = dataclasses.replace(FOUND, policy="paper", moments=())
    seen, cost, *bins = action_tables([FOUND, other, FOUND])
    assert seen.columns == ("seen", "window", "paper")
    assert seen.rows[-1][1:] == ("4/6  66.7 %", "0/3   0.0 %")
    # walk after 1 s, wave after 4; 8 of 12 of the recordings' predictions are right.
    assert cost.rows[0] == ("window", "2.50", "2 of 6", "0.0833", 18, "2.0")
    assert cost.rows[1] == ("paper", None, "3 of 3", None, 9, "2.0")
    assert [table.title.rpartition(" ")[2] for table in bins] == ["window", "paper"]


def test_no_recording_is_no_figure() -> None:
    assert not action_figures([])
    assert set(action_figures([FOUND])) == {"seen_tracks.png", "reliability_tracks.png"}
