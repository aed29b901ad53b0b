"""The simulation of a large fleet."""

from __future__ import annotations

import random

import pytest

from ecolite_stream.bench.speed.assigner import STEPS, main, make_fleet, simulate


def test_cameras_are_watched_while_machines_come_and_go() -> None:
    cameras, machines = make_fleet(500, 20, random.Random(1))
    steps = simulate(cameras, machines)
    assert [step.lost for step in steps] == [0] + STEPS * [1]
    for step in steps:
        assert step.taken_s > 0
        pinned = {camera.name for camera in cameras if camera.needs.on}
        assert set(step.plan.unwatched) <= pinned
        assert len(step.plan.machine_of) + len(step.plan.unwatched) == 500
        assert len(step.plan.machine_of.keys()) > 490


def test_a_line_for_each_plan(capsys: pytest.CaptureFixture[str]) -> None:
    main(50, 5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == STEPS + 2
    assert lines[1].startswith("0 machines lost: ")
