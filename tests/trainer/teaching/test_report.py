"""What teaching prints, from made-up verdicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ecolite_stream.bench.accuracy.samples import Samples
from trainer.teaching.clips import TaughtClip
from trainer.teaching.groups import Grouping
from trainer.teaching.held_out import HeldOut, Verdict
from trainer.teaching.report import Comparison, Findings

EMPTY = Samples(np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros(0, np.int64))
NAMES = [f"{label}/{n}.mp4" for label in ("fall", "sit") for n in range(30)]


def held_out(framing: str, wrong: int, unjudged: tuple[str, ...] = ()) -> HeldOut:
    verdicts = tuple(
        Verdict(name, name.partition("/")[0], "sit" if n < wrong else name.partition("/")[0], 0.9)
        for n, name in enumerate(NAMES)
    )
    return HeldOut(framing, ("fall", "sit"), verdicts, unjudged, EMPTY, EMPTY)


def text(by_framing: dict[str, HeldOut], chosen: str, comparison: Comparison | None = None) -> str:
    clips = [TaughtClip(name, name.partition("/")[0], {}) for name in NAMES]
    grouping = Grouping("each clip", {name: [name] for name in NAMES}, [[n] for n in NAMES])
    return "\n".join(Findings(clips, grouping, by_framing, chosen, "center", comparison).lines())


def test_the_score_has_its_interval_and_what_went_wrong() -> None:
    found = text({"center": held_out("center", 25)}, "center")
    assert "held out: 35 of 60 clips right, 58.3 %" in found
    assert "46 to 70 % (95 % Wilson interval)" in found
    assert "fall                   5/30 right; taken for sit 25" in found
    assert "look at fall/0.mp4: sit, 90 %" in found
    assert "and 5 more" in found


def test_clips_of_a_group_count_together() -> None:
    """Two people of 15 clips of each action: all of one are right, and five of the other."""
    clips = [TaughtClip(name, name.partition("/")[0], {}) for name in NAMES]
    groups = {"ann": NAMES[:30], "bob": NAMES[30:]}
    grouping = Grouping("people", groups, [NAMES[:30], NAMES[30:]])
    found = Findings(clips, grouping, {"center": held_out("center", 25)}, "center", "center")
    assert "counted by groups, whose clips are often right or wrong together: 10 to 95 %" in (
        "\n".join(found.lines())
    )
    low, high = found.to_json()["interval_95_by_groups"]
    assert low < 0.1 < 0.9 < high
    assert "counted by groups" not in text({"center": held_out("center", 25)}, "center")


def test_framings_are_compared_and_the_choice_explained() -> None:
    judged = {"center": held_out("center", 9), "follow": held_out("follow", 3)}
    found = text(judged, "follow")
    assert "framing center   51/60 clips right  (the bundle's own)" in found
    assert "framing follow is used: most clips right" in found
    same = {"center": held_out("center", 3), "follow": held_out("follow", 3)}
    assert "framing center is used: no other has more" in text(same, "center")


def test_worse_than_what_runs_now_is_said() -> None:
    judged = held_out("center", 9)
    now = held_out("center", 2).verdicts
    comparison = Comparison("running", ("fall", "sit"), judged.verdicts, now)
    found = text({"center": judged}, "center", comparison)
    assert "WORSE than running, which has 58 of 60 clips right of fall, sit" in found
    assert "taught and held out 51 of 60" in found


def test_what_could_not_be_judged_is_named() -> None:
    found = text({"center": held_out("center", 0, ("wave/1.mp4",))}, "center")
    assert "not judged: 1 clips of wave, which no other group shows" in found


def test_the_thorough_way_is_compared_with_the_quick_way_on_the_clips_that_both_judged() -> None:
    clips = [TaughtClip(name, name.partition("/")[0], {}) for name in NAMES]
    grouping = Grouping("each clip", {name: [name] for name in NAMES}, [NAMES])
    quick, trained = held_out("center", 9), held_out("center", 2)
    trained = replace(trained, verdicts=trained.verdicts[:40])
    found = Findings(clips, grouping, {"center": quick}, "center", "center", thorough=trained)
    text = "\n".join(found.lines())
    assert "held out: 38 of 40 clips right" in text
    assert "better than the quick way, which has 31 of 40 clips right of fall, sit" in text
    assert "60 of the clips held out once" in text
    compared = found.to_json()["quick"]
    assert (compared["taught"], compared["now"], compared["clips"]) == (38, 31, 40)
    nothing = replace(found, thorough=replace(trained, verdicts=()))
    assert nothing.to_json()["quick"] is None
    assert "the quick way" not in "\n".join(nothing.lines())
