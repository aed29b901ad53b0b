"""Measure the processor time of following motion, for one second of a camera."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecolite_stream.bench.measuring.timing import Clock
from ecolite_stream.bench.report.report import Table
from ecolite_stream.model.preprocess import shrink_luma
from ecolite_stream.types import Frame, Image, Luma
from ecolite_stream.views.follow import Follower
from ecolite_stream.views.motion import MotionDetector
from ecolite_stream.views.subjects import SubjectTracker

FPS = 25
LOOP_S = 2
"""Length of the footage, which repeats, in seconds."""
TARGETS_MS = {(320, 240): 3.0, (1920, 1080): 10.0}
"""Target in ms per second of a camera, by size of the picture."""
SUBJECTS = 4
FAINT = "follow, faint motion"
"""The view `follow`, of footage in which little moves."""


@dataclass(frozen=True)
class MotionCost:
    """Cost of one view at one size of the picture.

    Attributes:
        picture: width and height, `320x240`.
        view: `follow`, `FAINT` or `subjects: K`.
        ms_per_camera_s: milliseconds of processor for a second of `FPS` frames.
        target_ms: target of `follow`; None for subjects.
    """

    picture: str
    view: str
    ms_per_camera_s: float
    target_ms: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain containers."""
        return dict(vars(self))


def measure_motion(seconds: float, clock: Clock = time.process_time) -> list[MotionCost]:
    """Follow motion in synthetic brightness planes, each view for `seconds`.

    Decoding, and extracting the plane, is not counted.
    """
    costs = []
    for (width, height), target_ms in TARGETS_MS.items():
        planes = camera_planes(width, height)
        far = camera_planes(width, height, faint=True)
        for view in ("follow", FAINT, f"subjects: {SUBJECTS}"):
            seen = far if view == FAINT else planes
            cost_ms = _cost_ms(seen, view, seconds, clock)
            costs.append(
                MotionCost(
                    f"{width}x{height}",
                    view,
                    cost_ms,
                    None if view.startswith("subjects") else target_ms,
                )
            )
    return costs


def _cost_ms(planes: Sequence[Luma], view: str, seconds: float, clock: Clock) -> float:
    detector, follower, tracker = MotionDetector(), Follower(), SubjectTracker(SUBJECTS)
    index, spent_s = 0, 0.0
    while not index or spent_s < seconds:
        frames = [make_frame(index + step, plane) for step, plane in enumerate(planes)]
        begin_s = clock()
        for frame in frames:
            motion = detector.look(frame)
            if view in ("follow", FAINT):
                follower.follow(motion)
            else:
                tracker.track(motion)
        spent_s += clock() - begin_s
        index += len(planes)
    return 1e3 * spent_s * FPS / index


def make_frame(index: int, plane: Luma) -> Frame:
    """A camera's frame with a brightness plane only."""

    def no_colours() -> Image:
        raise RuntimeError("following converted a picture to BGR; it must use the plane it has")

    def luma(long_side: int) -> Luma:
        return shrink_luma(plane, long_side)

    return Frame("camera", index, index / FPS, no_colours, luma=luma)


def camera_planes(width: int, height: int, faint: bool = False) -> list[Luma]:
    """Two seconds of a grainy, still room in which a block of half its height moves to and fro.

    Args:
        width: of the picture in pixels.
        height: of the picture in pixels.
        faint: whether the block is small and hardly brighter than the room, as an arm far away.

    Returns:
        (h, w) uint8 planes, `FPS` a second.
    """
    rng = np.random.default_rng(0)
    still = rng.normal(110, 4, (height, width)).clip(0, 255).astype(np.uint8)
    still[height * 2 // 3 :] -= 40
    rows, wide, level = slice(height // 4, height * 3 // 4), width // 8, 210
    first, span = 0.1, 0.5
    if faint:
        rows, wide, level = slice(height // 2, height // 2 + height // 24), width // 80, 140
        first, span = 0.5, 0.02
    planes = []
    for index in range(LOOP_S * FPS):
        plane = still.copy()
        way = 1 - abs(2 * index / (LOOP_S * FPS) - 1)
        left = round(width * (first + span * way))
        plane[rows, left : left + wide] = level
        planes.append(plane)
    return planes


def motion_table(rows: Sequence[MotionCost]) -> Table:
    """Sizes and views below each other."""
    return Table(
        f"Following what moves: processor ms of a camera's second ({FPS} frames)",
        ("picture", "view", "ms", "target"),
        [
            (
                row.picture,
                row.view,
                f"{row.ms_per_camera_s:.2f}",
                "" if row.target_ms is None else f"{row.target_ms:g}",
            )
            for row in rows
        ],
        notes=("From the plane of brightness that the decoder has; decoding is not counted.",),
    )
