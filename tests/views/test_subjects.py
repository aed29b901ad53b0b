"""Identities of subjects: kept while they meet, stand and hide; ended when they left."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from ecolite_stream.types import Luma
from ecolite_stream.views.motion import LOOK_S, Motion
from ecolite_stream.views.subjects import CONFIRM_LOOKS, GONE_S, Subject, SubjectTracker
from tests.views.scenes import HEIGHT, WIDTH, film, looks, room, with_person

Place = Callable[[float], float]
"""Time in seconds to the column of a person's middle; nan where there is nobody."""


def people(*places: Place, cover: tuple[int, int] | None = None) -> Callable[[float], Luma]:
    """A room with people, and a wall in front of them between two columns."""
    background = room()

    def picture(time_s: float) -> Luma:
        image = background
        for number, place in enumerate(places):
            if not math.isnan(place(time_s)):
                image = with_person(image, place(time_s), time_s, level=225 - 10 * number)
        if cover:
            image = image.copy()
            image[:, cover[0] : cover[1]] = background[:, cover[0] : cover[1]]
        return image

    return picture


def tracked(
    seconds: float, picture: Callable[[float], Luma], most: int = 4
) -> list[tuple[float, list[Subject]]]:
    tracker = SubjectTracker(most)
    return [(motion.time_s, tracker.track(motion)) for motion in looks(film(seconds, picture))]


def column(subject: Subject) -> float:
    return (subject.box.x + subject.box.width / 2) * WIDTH


def at(found: list[tuple[float, list[Subject]]], time_s: float) -> list[Subject]:
    """The subjects of the look next to a time."""
    return min(found, key=lambda look: abs(look[0] - time_s))[1]


def ids(found: list[tuple[float, list[Subject]]]) -> set[int]:
    return {subject.id for _, subjects in found for subject in subjects}


def test_one_person_is_one_subject_with_a_square_around():
    found = tracked(5, people(lambda t: 60 + 40 * t))
    assert ids(found) == {1}
    for time_s, subjects in found:
        if time_s > 0.7:
            (subject,) = subjects
            assert abs(column(subject) - (60 + 40 * time_s)) < 30
            assert subject.box.width * WIDTH == pytest.approx(subject.box.height * HEIGHT)
            assert 110 <= subject.box.height * HEIGHT <= 190
            assert 0 < time_s - subject.age_s < 0.3


def test_two_who_walk_side_by_side_have_two_squares():
    found = tracked(5, people(lambda t: 40 + 30 * t, lambda t: 130 + 30 * t))
    assert ids(found) == {1, 2}
    for time_s, subjects in found:
        if time_s > 1.3:
            places = sorted(map(column, subjects))
            np.testing.assert_allclose(places, [40 + 30 * time_s, 130 + 30 * time_s], atol=35)


@pytest.mark.parametrize(("left", "right"), [(45, -45), (60, -30), (30, -60), (75, -75)])
def test_two_who_pass_each_other_keep_their_identities(left: float, right: float):
    found = tracked(5, people(lambda t: 50 + left * t, lambda t: 270 + right * t))
    assert ids(found) == {1, 2}
    first = {s.id: column(s) for s in at(found, 1.0)}
    meet_s = 220 / (left - right)
    last_s = min(meet_s + 1.2, 4.9)
    last = {s.id: column(s) for s in at(found, last_s)}
    assert len(first) == len(last) == 2
    going_right, going_left = sorted(first, key=lambda who: first[who])
    assert abs(last[going_right] - (50 + left * last_s)) < 40
    assert abs(last[going_left] - (270 + right * last_s)) < 40


def test_an_identity_lasts_through_a_second_of_standing_still():
    def place(time_s: float) -> float:
        return 80 + 40 * (min(time_s, 2) + max(time_s - 3, 0))

    background = room()

    def picture(time_s: float) -> Luma:
        walked_s = min(time_s, 2) + max(time_s - 3, 0)
        return with_person(background, place(time_s), walked_s)

    found = tracked(5, picture)
    assert ids(found) == {1}
    assert abs(column(at(found, 2.9)[0]) - 160) < 20
    assert abs(column(at(found, 4.8)[0]) - place(4.8)) < 30


def test_an_identity_lasts_through_a_second_of_hiding():
    found = tracked(5, people(lambda t: 30 + 45 * t, cover=(120, 190)))
    assert ids(found) == {1}
    assert abs(column(at(found, 4.8)[0]) - 246) < 30


def test_who_left_ends_and_who_comes_later_has_a_new_identity():
    def place(time_s: float) -> float:
        return (
            200 + 90 * time_s if time_s < 3 else math.nan if time_s < 4 else 30 + 40 * (time_s - 4)
        )

    tracker, ended = SubjectTracker(4), []
    seen: list[tuple[float, list[int]]] = []
    for motion in looks(film(7, people(place))):
        seen.append((motion.time_s, [s.id for s in tracker.track(motion)]))
        ended += [(who, motion.time_s) for who in tracker.ended]
    ((who, at_s),) = ended
    assert who == 1
    gone_s = max(time_s for time_s, present in seen if 1 in present)
    assert gone_s < at_s <= gone_s + 2 * LOOK_S
    # They were out of the picture at 1.7 s; what they uncovered is active for a moment.
    assert 1.5 + GONE_S < at_s < 2.4 + GONE_S
    assert seen[-1][1] == [2]


def motion_of(time_s: float, *boxes: tuple[int, int, int, int], looked: bool = True) -> Motion:
    """A look at (left, top, width, height) rectangles that move, in a picture of 160 x 120."""
    mask = np.zeros((120, 160), np.uint8)
    for x, y, width, height in boxes:
        cv2.rectangle(mask, (x, y), (x + width - 1, y + height - 1), 1, -1)
    return Motion(time_s, mask, mask, looked=looked)


def run(tracker: SubjectTracker, begin: int, num_looks: int, *boxes: tuple[int, int, int, int]):
    """Looks with the same motion, 0.08 s apart; the subjects at the last."""
    found: list[Subject] = []
    for look in range(begin, begin + num_looks):
        found = tracker.track(motion_of(look * 0.08, *boxes))
    return found


def test_limbs_around_a_trunk_at_rest_are_one_subject():
    arms = (58, 40, 9, 16), (81, 41, 9, 14)
    tracker = SubjectTracker(4)
    for round_ in range(6):
        assert len(run(tracker, 16 * round_, 8, *arms)) <= 1
        (subject,) = run(tracker, 16 * round_ + 8, 8, (58, 30, 34, 20))
        assert subject.id == 1


def test_parts_of_one_who_turned_out_to_be_two_part():
    tracker = SubjectTracker(4)
    assert [s.id for s in run(tracker, 0, 10, (60, 40, 40, 50))] == [1]
    found = run(tracker, 10, 20, (40, 40, 16, 50), (110, 40, 16, 50))
    assert [s.id for s in found] == [1, 2]


def test_two_who_never_part_again_become_one():
    tracker = SubjectTracker(4)
    apart = (30, 40, 16, 50), (110, 40, 16, 50)
    assert [s.id for s in run(tracker, 0, 40, *apart)] == [1, 2]
    for step in range(8):
        run(tracker, 40 + step, 1, (30 + 4 * step, 40, 16, 50), (110 - 4 * step, 40, 16, 50))
    assert [s.id for s in run(tracker, 48, 40, (58, 40, 40, 50))] == [1]


def test_no_more_subjects_than_asked_for_and_the_largest_first():
    boxes = [(10 + 60 * n, 20, 8 + 3 * n, 30 + 10 * n) for n in range(3)]
    (found,) = run(SubjectTracker(1), 0, 60, *boxes)
    assert found.id == 1
    assert found.box.x * 160 == pytest.approx(160 - 1.35 * 50, abs=2)
    assert len(run(SubjectTracker(3), 0, 60, *boxes)) == 3


def test_specks_and_single_looks_are_no_subjects():
    tracker = SubjectTracker(4)
    assert run(tracker, 0, 20, (10, 10, 3, 3)) == []
    assert run(tracker, 20, CONFIRM_LOOKS - 1, (50, 20, 20, 50)) == []
    assert run(tracker, 20 + CONFIRM_LOOKS - 1, 10) == []


def test_a_repeated_look_changes_nothing():
    tracker = SubjectTracker(4)
    found = run(tracker, 0, 10, (50, 20, 20, 50))
    assert tracker.track(motion_of(0.76, (90, 20, 20, 50), looked=False)) == found


def test_who_is_there_after_a_gap_in_the_stream_is_somebody_else():
    tracker = SubjectTracker(4)
    run(tracker, 0, 10, (50, 20, 20, 50))
    assert tracker.track(motion_of(20.0, (50, 20, 20, 50))) == []
    assert tracker.ended == (1,)
    assert [s.id for s in run(tracker, 251, 10, (50, 20, 20, 50))] == [2]


def test_a_turning_camera_finds_nobody_and_ends_nobody_at_once():
    tracker = SubjectTracker(4)
    run(tracker, 0, 10, (50, 20, 20, 50))
    nothing = np.zeros((120, 160), np.uint8)
    for look in range(10, 20):
        found = tracker.track(Motion(look * 0.08, nothing, nothing, everywhere=True))
        assert [s.id for s in found] == [1]
    for look in range(20, 40):
        found = tracker.track(Motion(look * 0.08, nothing, nothing, everywhere=True))
    assert found == []


def test_a_picture_of_another_size_begins_again():
    tracker = SubjectTracker(4)
    run(tracker, 0, 10, (50, 20, 20, 50))
    small = np.zeros((60, 80), np.uint8)
    assert tracker.track(Motion(0.8, small, small)) == []
    assert tracker.ended == (1,)
    assert [s.id for s in run(tracker, 11, 10, (50, 20, 20, 50))] == [2]


@pytest.mark.parametrize("most", [0, 17, -1])
def test_the_number_of_subjects_has_bounds(most: int):
    with pytest.raises(ValueError, match=f"expected 1 to 16, got {most}"):
        SubjectTracker(most)


def test_thousands_who_come_and_go_leave_no_trace():
    rng = np.random.default_rng(5)
    tracker = SubjectTracker(4)
    held, began, ended = [], set(), []
    for look in range(40_000):
        # Up to three at a time, each for eight looks somewhere; then nobody for two seconds.
        if look % 32 == 0:
            boxes = [
                (int(rng.integers(40)) + 50 * n, int(rng.integers(60)), 14, 40)
                for n in range(rng.integers(1, 4))
            ]
        found = tracker.track(motion_of(look * 0.08, *(boxes if look % 32 < 8 else ())))
        began |= {s.id for s in found}
        ended += tracker.ended
        held.append(len(tracker._tracks))
    assert len(began) > 1500
    assert began == set(range(1, len(began) + 1))
    assert ended == sorted(set(ended))
    assert len(began) - len(ended) <= 4
    assert max(held) <= 8
    assert held[31::32] == [0] * len(held[31::32])
