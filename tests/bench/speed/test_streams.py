"""Cameras that a machine sustains: the search, the rule, and a real run of a single one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ecolite_stream.bench.speed import streams
from ecolite_stream.bench.speed.streams import (
    Load,
    Outcome,
    most_sustained,
    run_processes,
    write_camera_video,
)
from ecolite_stream.model.bundle import Bundle
from tests.bench.measuring.test_peak import CHILD_MB, InAnotherProcess

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 5, 8, 13, 20, 99])
def test_the_search_finds_the_greatest_count(limit: int) -> None:
    tried: list[int] = []

    def holds(count: int) -> bool:
        tried.append(count)
        return count <= limit

    assert most_sustained(holds, 20) == min(limit, 20)
    assert len(tried) == len(set(tried)) <= 11
    assert max(tried) <= 20


@pytest.mark.parametrize(
    ("labels", "late_s", "expected"),
    [
        ((15, 16), 0.2, True),
        ((14, 16), 0.2, False),  # one of them was not labelled all the time
        ((15, 16), 1.5, False),  # decoding did not keep up
    ],
)
def test_what_is_sustained(labels: tuple[int, ...], late_s: float, expected: bool) -> None:
    load = Load(Path("b"), "auto", Path("v"), video_s=8)
    assert Outcome(labels, late_s, 100).sustained(load) is expected


def test_a_camera_may_ask_for_more_labels() -> None:
    load = Load(Path("b"), "auto", Path("v"), video_s=8, every_s=0.25)
    assert not Outcome((16, 16), 0.2, 100).sustained(load)
    assert Outcome((31, 30), 0.2, 100).sustained(load)


def test_a_process_is_told_the_whole_load() -> None:
    load = Load(Path("b"), "openvino", Path("v"), 8, 0.25, "bf16")
    assert Load.from_json(load.command(3)[-2]) == load


def test_cameras_of_two_processes(bundle: Bundle, tmp_path: Path) -> None:
    video = tmp_path / "camera.mp4"
    write_camera_video(video, 1.2)
    outcome = run_processes(Load(bundle.path, "auto", video, 1.2, every_s=0.25), [2, 1])
    assert len(outcome.labels) == 3
    assert all(1 <= labels <= 4 for labels in outcome.labels)
    assert outcome.latency_ms > 0
    assert outcome.cpu_s > 0
    assert outcome.peak_mb is None or outcome.peak_mb > 10


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
def test_what_an_engine_has_in_another_process_counts(bundle: Bundle) -> None:
    engine = streams.Measured(InAnotherProcess(bundle))
    engine.close()
    assert engine.peak_mb is not None and engine.peak_mb > CHILD_MB + 10
    assert engine.cpu_s > 0


def test_each_trial_is_told_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    def run(load: Load, processes: list[int]) -> Outcome:
        told.append(processes)
        sustained = sum(processes) <= len(processes) + 1
        return Outcome((16,), 0.0 if sustained else 9.0, 100)

    monkeypatch.setattr(streams, "run_processes", run)
    load = Load(Path("b"), "auto", Path("v"), 8)
    found = streams.compare(load, 2, lambda name, count: told.append((name, count)))
    assert {name: count for name, (count, _) in found.items()} == {"one": 2, "one each": 2}
    assert told == [("one", 1), [1], ("one", 2), [2], ("one each", 1), [1], ("one each", 2), [1, 1]]
