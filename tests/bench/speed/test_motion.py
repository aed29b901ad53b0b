"""Arithmetic of what following costs, with a clock that moves by itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ecolite_stream.bench.speed.motion import (
    LOOP_S,
    TARGETS_MS,
    MotionCost,
    camera_planes,
    make_frame,
    measure_motion,
    motion_table,
)
from ecolite_stream.views.follow import LEAST_ACTIVE
from ecolite_stream.views.motion import MotionDetector


def test_a_turn_of_the_footage_is_so_many_seconds_of_a_camera():
    ticks = itertools.count(step=0.5)
    costs = measure_motion(1.2, lambda: float(next(ticks)))
    # Three turns of half a second each, for two camera's seconds each.
    assert [cost.ms_per_camera_s for cost in costs] == pytest.approx([500 / LOOP_S] * 6)
    assert [(cost.picture, cost.view, cost.target_ms) for cost in costs] == [
        ("320x240", "follow", 3.0),
        ("320x240", "follow, faint motion", 3.0),
        ("320x240", "subjects: 4", None),
        ("1920x1080", "follow", 10.0),
        ("1920x1080", "follow, faint motion", 10.0),
        ("1920x1080", "subjects: 4", None),
    ]
    assert costs[0].to_json() == {
        "picture": "320x240",
        "view": "follow",
        "ms_per_camera_s": pytest.approx(250),
        "target_ms": 3.0,
    }


@pytest.mark.parametrize("size", TARGETS_MS)
def test_faint_motion_is_in_the_other_footage(size: tuple[int, int]):
    detector, planes = MotionDetector(), camera_planes(*size, faint=True)
    frames = [make_frame(i, plane) for i, plane in enumerate([*planes, *planes])]
    motions = [detector.look(frame) for frame in frames]
    assert max(motion.active.mean() for motion in motions) < LEAST_ACTIVE
    assert np.mean([motion.faint is not None for motion in motions[25:]]) > 0.5


@pytest.mark.parametrize("size", TARGETS_MS)
def test_something_moves_in_the_footage_all_the_time(size: tuple[int, int]):
    detector, planes = MotionDetector(), camera_planes(*size)
    frames = [make_frame(i, plane) for i, plane in enumerate([*planes, *planes])]
    active = [detector.look(frame).active.mean() for frame in frames]
    assert np.min(active[3:]) > LEAST_ACTIVE
    assert np.max(active) < 0.3


def test_the_table_states_targets_where_there_are_some():
    rows = [MotionCost("320x240", "follow", 1.234, 3.0), MotionCost("320x240", "all", 5.0, None)]
    table = motion_table(rows)
    assert [tuple(row) for row in table.rows] == [
        ("320x240", "follow", "1.23", "3"),
        ("320x240", "all", "5.00", ""),
    ]
