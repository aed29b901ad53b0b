"""Held-out clips from made-up features: who is judged, by what, and what is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.teaching.clips import TaughtClip
from trainer.teaching.features import VARIANTS, Windows
from trainer.teaching.held_out import choose_framing, judge, wilson, wilson_by_groups

LABELS = ["fall", "sit"]


def clip(name: str, shown: str | None = None, framing: str = "center") -> TaughtClip:
    """Windows that look like the action `shown`, which is the clip's own unless it is given."""
    label = name.partition("/")[0]
    rng = np.random.default_rng([*name.encode()])
    middle = np.zeros(4)
    middle[LABELS.index(shown or label)] = 5
    pooled = (middle + rng.normal(size=(6, 4))).astype(np.float32)
    windows = Windows(pooled, np.array([0.5, 0.5, 1, 1, 1, 1], np.float32))
    return TaughtClip(name, label, {framing: dict.fromkeys(VARIANTS, windows)})


def test_clips_are_judged_by_what_the_others_teach() -> None:
    clips = [clip(f"{label}/{n}.mp4") for label in LABELS for n in range(4)]
    folds = [[f"{label}/{n}.mp4" for label in LABELS] for n in range(4)]
    found = judge(clips, folds, LABELS, "center")
    assert (found.right, found.total, found.unjudged) == (8, 8, ())
    assert found.samples.logits.shape == (32, 2)  # windows of a full memory alone
    assert found.half_full.logits.shape == (48, 2)
    assert sorted(set(found.samples.clips.tolist())) == list(range(8))


def test_a_clip_never_teaches_its_own_verdict() -> None:
    odd = clip("fall/odd.mp4", shown="sit")
    clips = [*(clip(f"{label}/{n}.mp4") for label in LABELS for n in range(3)), odd]
    found = judge(clips, [[one.name] for one in clips], LABELS, "center")
    assert [(v.name, v.taken_for) for v in found.wrong] == [("fall/odd.mp4", "sit")]
    assert found.confusion()["fall", "sit"] == 1


def test_an_action_of_one_group_is_not_judged() -> None:
    clips = [clip("fall/0.mp4"), *(clip(f"sit/{n}.mp4") for n in range(3))]
    clips += [clip("fall/1.mp4")]
    folds = [["fall/0.mp4", "fall/1.mp4", "sit/0.mp4"], ["sit/1.mp4"], ["sit/2.mp4"]]
    found = judge(clips, folds, LABELS, "center")
    assert found.unjudged == ("fall/0.mp4", "fall/1.mp4", "sit/0.mp4")
    assert found.total == 2


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_the_interval_is_that_of_wilson(right: int, total: int, low: float, high: float) -> None:
    """The last from Newcombe, Two-sided Confidence Intervals for the Single Proportion (1998)."""
    assert wilson(right, total) == pytest.approx((low, high), abs=1e-4)


def test_of_no_clip_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson_by_groups([]) == (0.0, 1.0)
    assert wilson_by_groups([(9, 10)]) == (0.0, 1.0)  # how groups differ is not known


def test_groups_count_as_the_independent_clips_that_would_vary_like_them() -> None:
    alone = [(1, 1)] * 60 + [(0, 1)] * 40
    assert wilson_by_groups(alone) == pytest.approx(wilson(0.6 * 99, 99))
    together = [(10, 10)] * 6 + [(0, 10)] * 4  # ten groups, each right or wrong as a whole
    assert wilson_by_groups(together) == pytest.approx(wilson(0.6 * 9, 9))
    assert wilson_by_groups([(6, 10)] * 10) == wilson(60, 100)  # groups do not differ
    assert wilson_by_groups([(10, 10)] * 5) == wilson(5, 5)  # all right: five groups say so


def test_another_framing_must_have_more_clips_right() -> None:
    good = [clip(f"{label}/{n}.mp4") for label in LABELS for n in range(3)]
    names = [[one.name] for one in good]
    bad = [clip(one.name, shown="sit") if one.name == "fall/0.mp4" else one for one in good]
    by_center, by_worse = (judge(some, names, LABELS, "center") for some in (good, bad))
    assert choose_framing({"center": by_center, "follow": by_center}, "follow") == "follow"
    assert choose_framing({"center": by_center, "follow": by_worse}, "follow") == "center"
    assert choose_framing({"center": by_worse, "follow": by_center}, "center") == "follow"
