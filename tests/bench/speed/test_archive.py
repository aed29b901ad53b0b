"""What dividing recordings among processes costs: a real run of two clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.bench.speed import archive
from ecolite_stream.bench.speed.archive import Run, compare, run_archive
from ecolite_stream.bench.speed.streams import write_camera_video
from ecolite_stream.errors import ConfigError, EcoliteError
from tests.conftest import installed

pytestmark = pytest.mark.timeout(100)


def test_a_run_is_measured_and_leaves_nothing(tmp_path: Path) -> None:
    installed("openvino")
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    write_camera_video(clips / "a.mp4", 1.2)
    run = run_archive(clips, out, 1, "--engine", "openvino")
    assert run.wall_s > 0
    assert run.cpu_s > 0
    assert not out.exists()


def test_a_run_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(EcoliteError, match="no recordings in"):
        run_archive(tmp_path, tmp_path / "out", 1)


def test_the_quickest_run_of_each_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([9.0, 5.0, 8.0, 6.0])
    monkeypatch.setattr(archive, "usable_cores", lambda: [0, 1])
    monkeypatch.setattr(
        archive, "run_archive", lambda clips, out, workers: Run(next(taken), 10.0 * workers)
    )
    assert compare(Path("c"), Path("o"), 2) == {1: Run(8.0, 10.0), 2: Run(5.0, 20.0)}


def test_one_core_has_nothing_to_divide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "usable_cores", lambda: [0])
    with pytest.raises(ConfigError, match="one core only"):
        archive.main(1)
