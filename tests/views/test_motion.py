"""What counts as motion, and when a frame is looked at."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest

from ecolite_stream.model.preprocess import shrink_luma
from ecolite_stream.types import Box, Frame, Image, Luma
from ecolite_stream.views.motion import LOOK_S, MotionDetector
from ecolite_stream.views.views import StreamViews
from tests.views.scenes import HEIGHT, WIDTH, film, looks, room, with_person


def test_brightness_is_read_only_for_looks():
    reads: list[float] = []

    def frame(index: int) -> Frame:
        def luma(long_side: int) -> Luma:
            reads.append(index / 50)
            return shrink_luma(room(), long_side)

        return Frame("a", index, index / 50, np.zeros((2, 2, 3), np.uint8), luma=luma)

    detector = MotionDetector()
    motions = [detector.look(frame(index)) for index in range(20)]
    assert reads == [motion.time_s for motion in motions if motion.looked]
    assert np.min(np.diff(reads)) >= LOOK_S
    assert len(reads) == 5
    for before, motion in itertools.pairwise(motions):
        if not motion.looked:
            assert motion.active is before.active


def test_a_picture_without_a_plane_gives_the_same_motion():
    def colours(luma: Luma) -> Image:
        return np.repeat(luma[..., None], 3, axis=2)

    detector = MotionDetector()
    scene = list(film(1, lambda time_s: with_person(room(), 60 + 60 * time_s, time_s)))
    of_planes = list(looks(scene))
    of_colours = [detector.look(Frame("a", 0, time_s, colours(luma))) for time_s, luma in scene]
    for one, other in zip(of_planes, (m for m in of_colours if m.looked), strict=True):
        assert np.array_equal(one.moving, other.moving)
    assert of_planes[-1].moving.any()


@pytest.mark.parametrize("level", [225, 20])
def test_what_moves_is_where_the_person_is(level: int):
    for motion in looks(film(2, lambda t: with_person(room(), 60 + 60 * t, t, level=level))):
        if motion.time_s > 0.2:
            middle = (60 + 60 * motion.time_s) / WIDTH
            around = Box(middle - 0.15, 90 / HEIGHT, 0.3, 130 / HEIGHT)
            assert motion.within(around) > 0.05
            inside = motion.within(around) * around.width * around.height
            assert inside > 0.95 * motion.within(None)


def test_two_who_walk_the_same_way_are_not_a_turning_camera():
    """A shift explains both of them; the faint texture of the wall tells."""
    wall = room(seed=8)
    wall = np.clip(128 + (wall.astype(np.int16) - 128) // 8, 0, 255).astype(np.uint8)

    def picture(time_s: float) -> Luma:
        first = with_person(wall, 50 + 40 * time_s, time_s, tall=180, feet=220)
        return with_person(first, 190 + 40 * time_s, time_s, tall=180, feet=220)

    found = list(looks(film(3, picture)))
    assert not any(motion.everywhere for motion in found)
    assert all(motion.moving.mean() > 0.02 for motion in found[3:])


def test_motion_under_a_mask_does_not_count():
    views = StreamViews("center", mask=((0, 0, 0.5, 1),))
    still_s = {}
    for time_s, luma in film(3, lambda t: with_person(room(), 60 + 60 * t, t)):
        frame = Frame(
            "s", 0, time_s, np.zeros((1, 1, 3), np.uint8), luma=partial(shrink_luma, luma)
        )
        still_s[time_s] = views.look(frame)[0].still_s
    assert all(still == time_s for time_s, still in still_s.items() if time_s < 1)
    assert all(still < 0.2 for time_s, still in still_s.items() if time_s > 2.3)


def test_noise_without_any_correlation_is_no_turn(recwarn: pytest.WarningsRecorder):
    random = np.random.default_rng(0)
    detector = MotionDetector()
    for index in range(150):
        pixels = random.integers(0, 256, (240, 320, 3), np.uint8)
        detector.look(Frame("a", index, index / 25, pixels))
    assert not [str(warning.message) for warning in recwarn]
