"""The square that follows: the same boxes as trainings had, and what cameras do to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecolite_stream.types import Luma
from ecolite_stream.views.follow import LEAST_ACTIVE, WEAK_ACTIVE, Follower
from ecolite_stream.views.motion import Motion
from ecolite_stream.views.views import StreamViews
from tests.views.scenes import (
    HEIGHT,
    WIDTH,
    compressed,
    film,
    followed,
    frame_of,
    looks,
    noisy,
    room,
    with_person,
)

ROOM = room()


def walks(time_s: float) -> Luma:
    return with_person(ROOM, 60 + 70 * time_s, time_s)


def waves(time_s: float) -> Luma:
    image = with_person(ROOM, 220, 0)
    lift = 30 * math.sin(2 * math.pi * time_s)
    for side in (-1, 1):
        cv2.line(image, (220, 125), (220 + side * 35, round(125 - lift)), 225, 8)
    return image


def far_away(time_s: float) -> Luma:
    return with_person(ROOM, 250 - 20 * time_s, time_s, tall=50, feet=150)


PINNED = {
    walks: [
        (0.125, 0.0, 1.0),
        (0.0125, 0.3536, 0.6277),
        (0.1073, 0.3518, 0.6298),
        (0.2311, 0.3527, 0.6293),
        (0.3321, 0.3524, 0.6295),
        (0.436, 0.3523, 0.6295),
    ],
    waves: [
        (0.125, 0.0, 1.0),
        (0.5253, 0.2545, 0.45),
        (0.525, 0.3005, 0.45),
        (0.525, 0.3036, 0.45),
        (0.525, 0.3135, 0.45),
        (0.525, 0.3051, 0.45),
    ],
    far_away: [
        (0.125, 0.0, 1.0),
        (0.6612, 0.3883, 0.3007),
        (0.6325, 0.3859, 0.3035),
        (0.5981, 0.3883, 0.3017),
        (0.5721, 0.3906, 0.2993),
        (0.5402, 0.3861, 0.3033),
    ],
}
"""(x, y, side in heights) after 0, 0.5, 1, ... 2.5 s, as the embedded model was trained with."""


@pytest.mark.parametrize("picture", PINNED, ids=lambda picture: picture.__name__)
def test_boxes_on_clean_footage_are_those_of_trainings(picture: Callable[[float], Luma]):
    found = {round(m.time_s, 2): box for m, box in followed(film(3, picture))}
    boxes = [found[min(found, key=lambda t: abs(t - at_s))] for at_s in np.arange(6) / 2]
    for box, expected in zip(boxes, PINNED[picture], strict=True):
        assert (box.x, box.y, box.height) == pytest.approx(expected, abs=1 / 160)
        assert box.width * WIDTH == pytest.approx(box.height * HEIGHT)


def lit(image: Luma, gain: float) -> Luma:
    return np.clip(image.astype(np.float32) * gain, 0, 255).astype(np.uint8)


ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
LAMP = 1 + 1.2 * np.exp(-((COLUMNS - 80) ** 2 + (ROWS - 60) ** 2) / (2 * 70**2))


def shadow(image: Luma, time_s: float, soft_px: float) -> Luma:
    """A shadow whose edge moves 8 pixels a second, and is so many pixels soft."""
    edge = 1 / (1 + np.exp(-(COLUMNS - (40 + 8 * time_s)) / soft_px))
    return (image * (0.55 + 0.45 * edge)).astype(np.uint8)


Effect = Callable[[Luma, float], Luma]
EFFECTS: dict[str, Effect] = {
    "light off, on": lambda image, t: lit(image, 0.25 if 2 <= t < 4 else 1),
    "bright light on, off": lambda image, t: lit(image, 1.7 if 2 <= t < 4 else 1),
    "lamp on, off": lambda image, t: lit(image, LAMP if 2 <= t < 4 else 1),  # type: ignore[arg-type]
    "lamps that flicker": lambda image, t: lit(image, 1 + 0.12 * math.sin(2 * math.pi * 10.3 * t)),
    "cloud": lambda image, t: lit(image, 1 - 0.5 * min(max(t - 1, 0) / 3, 1)),
    "soft shadow": lambda image, t: shadow(image, t, 6),
    "sharp shadow": lambda image, t: shadow(image, t, 1),
    "exposure adapts": lambda image, t: lit(image, 1 + 0.6 * min(max(t - 2, 0) / 0.6, 1)),
}


def filmed(effect: str, somebody: bool, path: Path) -> Iterable[tuple[float, Luma]]:
    """Six seconds of a room, with or without somebody who walks in it."""

    def scene(time_s: float) -> Luma:
        return with_person(ROOM, 60 + 35 * time_s, time_s) if somebody else ROOM

    if effect in EFFECTS:
        return film(6, lambda time_s: EFFECTS[effect](scene(time_s), time_s))
    sigma = float(effect.rpartition(" ")[2])
    if effect.startswith("noise at night"):
        return noisy(film(6, lambda time_s: lit(scene(time_s), 0.3)), sigma)
    if effect.startswith("noise, small"):
        small = lambda t: cv2.resize(scene(t), (160, 120), interpolation=cv2.INTER_AREA)  # noqa: E731
        return noisy(film(6, small), sigma)
    if effect.startswith("noise"):
        return noisy(film(6, scene), sigma)
    return compressed(noisy(film(6, scene), sigma), path / "low.mp4", 60_000, 12)


ALL = [*EFFECTS, "noise 8", "noise 16", "noise, small 8", "noise at night 8", "compression 3"]


@pytest.mark.parametrize("effect", ALL)
def test_what_a_camera_does_to_an_empty_room_is_not_followed(effect: str, tmp_path: Path):
    for motion, box in followed(filmed(effect, False, tmp_path)):
        assert motion.active.mean() <= LEAST_ACTIVE, motion.time_s
        assert not motion.everywhere, motion.time_s
        assert box.as_list() == [0.125, 0, 0.75, 1]


@pytest.mark.parametrize("effect", ALL)
def test_whoever_walks_in_it_is_followed_all_the_same(effect: str, tmp_path: Path):
    for motion, box in followed(filmed(effect, True, tmp_path)):
        if motion.time_s < 1:
            continue
        column = (box.x + box.width / 2) * WIDTH
        assert abs(column - (60 + 35 * motion.time_s)) < 30, motion.time_s
        assert 110 <= box.height * HEIGHT <= 175, motion.time_s


@pytest.mark.parametrize("somebody", [False, True])
@pytest.mark.parametrize("px_per_s", [20, 60, 180])
def test_while_the_camera_turns_the_square_goes_to_the_middle(px_per_s: float, somebody: bool):
    wide = room(1400, HEIGHT, 5)

    def turning(time_s: float) -> Luma:
        left = px_per_s * max(time_s - 2, 0)
        image = cv2.warpAffine(wide, np.float32([[1, 0, -left], [0, 1, 0]]), (WIDTH, HEIGHT))
        return with_person(image, 60 + 35 * time_s, time_s) if somebody else image

    found = followed(film(5, turning))
    still = [motion for motion, _ in found if motion.time_s < 2]
    assert not any(motion.everywhere for motion in still)
    turns = [motion.everywhere for motion, _ in found if motion.time_s > 2.5]
    assert np.mean(turns) > 0.8
    _, last = found[-1]
    assert last.height > 0.95
    assert abs(last.x + last.width / 2 - 0.5) < 0.03


def test_motion_in_a_part_of_the_masks_is_followed_as_on_its_own():
    """Regions hand over slices of the masks."""
    rows, columns = slice(10, 100), slice(60, 150)
    whole, part = Follower(), Follower()
    for motion in looks(film(2, lambda time_s: with_person(ROOM, 150 + 40 * time_s, time_s))):
        moving, active = motion.moving[rows, columns], motion.active[rows, columns]
        sliced = Motion(motion.time_s, moving, active)
        copied = Motion(motion.time_s, moving.copy(), active.copy())
        assert part.follow(sliced) == whole.follow(copied)
    assert part.follow(sliced).width < 0.9


def waves_far_away(time_s: float) -> Luma:
    """Somebody of 30 pixels who stands still and waves."""
    image = with_person(ROOM, 250, 0, tall=30, feet=120)
    lift = round(7 * math.sin(2 * math.pi * 1.2 * time_s))
    cv2.line(image, (250, 97), (258, 97 - lift), 225, 1)
    return image


@pytest.mark.parametrize("sigma", [0, 2])
def test_faint_motion_far_away_is_followed(sigma: float):
    found = followed(noisy(film(5, waves_far_away), sigma))
    assert max(motion.active.mean() for motion, _ in found) < WEAK_ACTIVE
    for motion, box in found:
        if motion.time_s > 3:
            assert abs((box.x + box.width / 2) * WIDTH - 254) < 10
            assert abs((box.y + box.height / 2) * HEIGHT - 97) < 15
            assert box.height * HEIGHT < 60


def test_faint_motion_of_somebody_followed_does_not_move_the_square():
    """The square stays on the whole person who moves a hand, and does not shrink to the hand."""

    def fidgets(time_s: float) -> Luma:
        image = with_person(ROOM, 60 + 35 * min(time_s, 3), min(time_s, 3))
        if time_s > 3:
            lift = round(7 * math.sin(2 * math.pi * 1.2 * time_s))
            cv2.line(image, (180, 150), (188, 150 - lift), 225, 1)
        return image

    found = followed(film(10, fidgets))
    assert any(motion.faint is not None for motion, _ in found)
    boxes = [box for motion, box in found if motion.time_s > 4.5]
    assert all(box == boxes[0] for box in boxes)
    assert boxes[0].height * HEIGHT > 100


def test_faint_motion_under_a_mask_is_none():
    views = [StreamViews("follow", mask=mask) for mask in ((), ((0.7, 0.3, 0.2, 0.2),))]
    still = []
    for time_s, image in film(6, waves_far_away):
        frame = frame_of(image, time_s)
        still.append([of_one.look(frame)[0].still_s for of_one in views])
    assert max(seen for seen, _ in still[-25:]) < 1.0
    assert still[-1][1] > 5.0


@pytest.mark.parametrize("back_s", [4.0, 3600.0])
def test_the_square_begins_anew_where_the_time_goes_back(back_s: float):
    for picture in (waves, waves_far_away):
        before = [(back_s + time_s, image) for time_s, image in film(4, picture)]
        again = followed([*before, *film(4, picture)])[-50:]
        alone = followed(film(4, picture))
        assert [box for _, box in again] == [box for _, box in alone]
        assert any(motion.faint is not None for motion, _ in again) == (picture is waves_far_away)
