"""What dividing recordings among processes costs: a real run of two clips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecolite_stream.archive.tasks import Results
from ecolite_stream.bench.speed import archive
from ecolite_stream.bench.speed.archive import Run, compare, cost_of, run_archive
from ecolite_stream.bench.speed.archive_nodes import Cost, simulated_s
from ecolite_stream.bench.speed.streams import write_camera_video
from ecolite_stream.errors import ConfigError, EcoliteError
from tests.conftest import installed

pytestmark = pytest.mark.timeout(100)
NONE = Results(b"", b"")


def test_a_run_is_measured_and_leaves_nothing(tmp_path: Path) -> None:
    installed("openvino")
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    write_camera_video(clips / "a.mp4", 1.2)
    run = run_archive(clips, out, 1, "--engine", "openvino")
    assert run.wall_s > 0
    assert run.cpu_s > 0
    assert json.loads(run.results.predictions.splitlines()[0])["latency_ms"] is None
    assert not out.exists()


def test_a_run_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(EcoliteError, match="no recordings in"):
        run_archive(tmp_path, tmp_path / "out", 1)


def test_the_quickest_run_of_each_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([9.0, 5.0, 8.0, 6.0])
    monkeypatch.setattr(archive, "usable_cores", lambda: [0, 1])
    monkeypatch.setattr(
        archive, "run_archive", lambda clips, out, workers: Run(next(taken), 10.0 * workers, NONE)
    )
    found = compare(Path("c"), Path("o"), 2)
    assert found == {1: Run(8.0, 10.0, NONE), 2: Run(5.0, 20.0, NONE)}


def test_one_core_has_nothing_to_divide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "usable_cores", lambda: [0])
    with pytest.raises(ConfigError, match="one core only"):
        archive.main(1)
    monkeypatch.setattr(archive, "usable_cores", lambda: [0, 1])
    with pytest.raises(ConfigError, match="2 clips are too few for 2 cores"):
        archive.main(2)


def test_the_cost_of_starting_and_of_a_clip() -> None:
    """Two cores: 3 s to start, 2 s a clip on each."""
    cost = cost_of(Run(3.0 + 2.0 * 5, 0.0, NONE), Run(5.0, 0.0, NONE), clips=10, cores=2)
    assert (cost.start_s, cost.clip_s) == (3.0, 2.0)


def test_simulated_machines_share_the_clips_evenly(tmp_path: Path) -> None:
    """Far more of the simulated time is skipped than the schedule and the disk may take."""
    cost = Cost(start_s=100.0, clip_s=1000.0, results=Results(b"{}\n", b""))
    for workers, clips_each in ((2, 12), (8, 3), (16, 2), (24, 1), (40, 1)):
        taken_s = simulated_s(cost, 24, workers, tmp_path)
        assert taken_s == pytest.approx(100 + 1000 * clips_each, abs=50)
    assert list(tmp_path.iterdir()) == []
