"""The curve over the number of clips, from made-up features."""

from __future__ import annotations

import pytest

from tests.trainer.teaching.test_held_out import LABELS, clip
from trainer.teaching.curve import COUNTS, DRAWS, Curve, CurvePoint, draw, trace
from trainer.teaching.groups import Grouping
from trainer.teaching.held_out import PENALTY

PEOPLE = "abcde"


def grouped(names: list[str]) -> Grouping:
    """By the first letter of the file, each held out alone."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition("/")[2][0], []).append(name)
    return Grouping("people", groups, list(groups.values()))


CLIPS = [clip(f"{label}/{who}{n}.mp4") for label in LABELS for who in PEOPLE for n in range(2)]
GROUP_OF = {one.name: one.name.partition("/")[2][0] for one in CLIPS}


@pytest.mark.parametrize("each", COUNTS)
def test_so_many_clips_of_an_action_are_drawn_from_as_many_people_as_can_be(each: int) -> None:
    drawn = [one.name for one in draw(CLIPS, GROUP_OF, each, seed=3)]
    people = {}
    for label in LABELS:
        own = [name for name in drawn if name.startswith(label)]
        people[label] = {GROUP_OF[name] for name in own}
        assert len(own) == len(set(own)) == each
        assert len(people[label]) == min(each, len(PEOPLE))
    assert people["fall"] == people["sit"]


def test_draws_differ_and_each_is_the_same_again() -> None:
    drawn = [tuple(one.name for one in draw(CLIPS, GROUP_OF, 2, seed)) for seed in range(5)]
    assert len(set(drawn)) > 1
    assert drawn == [tuple(one.name for one in draw(CLIPS, GROUP_OF, 2, s)) for s in range(5)]


def test_the_curve_ends_with_all_clips() -> None:
    """Of eight clips an action that teach, ten cannot be drawn."""
    points = list(trace(CLIPS, grouped(list(GROUP_OF)), "center", PENALTY))
    assert [point.each for point in points] == [1, 2, 3, 5, None]
    assert [len(point.right) for point in points] == [DRAWS] * 4 + [1]
    assert {point.total for point in points} == {20}
    assert points[-1].right == (20,)
    assert min(points[0].right) > 10  # made-up actions that lie far apart


def test_no_other_clip_teaches_than_those_that_are_drawn() -> None:
    """Half of the people show each action as the other one: whoever is drawn decides."""
    turned = {"fall": "sit", "sit": "fall"}
    odd = [clip(c.name, turned[c.label] if GROUP_OF[c.name] in "ab" else None) for c in CLIPS]
    one = next(iter(trace(odd, grouped(list(GROUP_OF)), "center", PENALTY)))
    assert min(one.right) < max(one.right)


def test_an_action_with_fewer_clips_is_named() -> None:
    some = [one for one in CLIPS if one.label == "fall" or one.name[-6:] in ("a0.mp4", "b0.mp4")]
    points = list(trace(some, grouped([one.name for one in some]), "center", PENALTY))
    assert [point.fewer for point in points[:2]] == [(), ("sit",)]
    assert "; fewer of sit" in str(points[1])


def test_a_line_says_the_mean_and_the_spread() -> None:
    line = str(CurvePoint(2, (8, 9, 10), 12))
    assert line == "  2 clips an action:    9.0 of 12 clips right  75.0 %, 8 to 10 in 3 draws"
    curve = Curve(grouped(list(GROUP_OF)), "center", (CurvePoint(None, (7,), 12),))
    assert list(curve.lines())[1] == "all clips an action:    7.0 of 12 clips right  58.3 %"
    assert curve.to_json()["curve"] == [{"each": None, "right": [7], "clips": 12, "fewer": []}]
