"""Files lose nothing, live sources drop; streams that are refused; several sources."""

from __future__ import annotations

import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecolite_stream.model.bundle import Bundle
from ecolite_stream.sources.camera import CAMERA_SYSTEMS, CameraSystem
from ecolite_stream.types import FloatArray
from tests.app.runs import Command, Result, start, unused_port, use
from tests.fakes import DrawnNumberEngine
from tests.videos import write_numbered_video

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def ungated(tmp_path: Path) -> Path:
    """A configuration with which every due frame is encoded."""
    path = tmp_path / "ungated.yaml"
    path.write_text("gate: false\n")
    return path


class Slow:
    """Engines that take `seconds` a frame; they are kept."""

    def __init__(self, seconds: float) -> None:
        self.made: list[DrawnNumberEngine] = []
        self._seconds = seconds

    def __call__(self, bundle: Bundle) -> DrawnNumberEngine:
        engine = DrawnNumberEngine(bundle.spec, lambda: time.sleep(self._seconds))
        self.made.append(engine)
        return engine


def test_a_file_loses_no_frame_to_a_slow_engine(
    ecolite: Command, film: Path, monkeypatch: pytest.MonkeyPatch, ungated: Path
) -> None:
    slow = Slow(0.005)
    use(monkeypatch, slow)
    result = ecolite("--config", ungated, "--source", film, "--every", 0.04)
    assert (result.exit_code, result.err) == (0, "")
    assert slow.made[0].numbers == list(range(75))


def virtual_camera(monkeypatch: pytest.MonkeyPatch, rate: int, seconds: float) -> None:
    """FFmpeg's test picture at the pace of a camera; the shift tells cameras apart."""
    location = f"testsrc=size=64x48:rate={rate}:duration={seconds},realtime,setpts=PTS+{{}}"
    system = CameraSystem("lavfi", location.format)
    monkeypatch.setitem(CAMERA_SYSTEMS, sys.platform, system)  # type: ignore[misc]


def test_a_camera(ecolite: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    virtual_camera(monkeypatch, 25, 1.2)
    result = ecolite("--source", "camera:1", "--json", "--no-reconnect")
    assert result.exit_code == 0
    assert {p["stream"] for p in result.predictions} == {"camera:1"}
    times_s = [p["time_s"] for p in result.predictions]
    assert 0 < times_s[0] <= 1
    assert times_s == sorted(times_s)


def test_a_camera_drops_what_a_slow_engine_cannot_take(
    ecolite: Command, monkeypatch: pytest.MonkeyPatch, ungated: Path
) -> None:
    class Blank(DrawnNumberEngine):
        def encode(self, images: FloatArray) -> FloatArray:
            time.sleep(0.15)
            self.numbers += range(len(images))
            return np.zeros((len(images), *self._spec.feature_shape), np.float32)

    engines: list[Blank] = []

    def make(bundle: Bundle) -> Blank:
        engines.append(Blank(bundle.spec))
        return engines[-1]

    use(monkeypatch, make)
    virtual_camera(monkeypatch, 50, 1)
    result = ecolite(
        *("--config", ungated, "--source", "camera", "--json", "--every", 0.01, "--no-reconnect")
    )
    assert result.exit_code == 0
    *_, line = result.err.splitlines()
    said = re.fullmatch(r"warning: camera: (\d+) due frames were dropped to keep up", line)
    assert said is not None
    assert int(said[1]) + len(engines[0].numbers) == 50
    assert result.predictions[-1]["frame"] == 49


def test_a_stream_that_is_refused_ends_with_3_where_it_is_not_waited_for(
    ecolite: Command,
) -> None:
    result = ecolite("--source", f"tcp://127.0.0.1:{unused_port()}", "--no-reconnect")
    assert result.exit_code == 3
    assert "connection refused; check host and port" in result.error


@pytest.mark.parametrize("spec", ["gopher://host/a", "camera:first"])
def test_what_can_never_be_opened_ends_with_3_at_once(ecolite: Command, spec: str) -> None:
    result = ecolite("--source", spec)
    assert result.exit_code == 3
    assert spec.partition(":")[0] in result.error


def test_a_stream_that_is_refused_is_waited_for(bundle: Bundle) -> None:
    """Which is the default."""
    name = f"tcp://127.0.0.1:{unused_port()}"
    with start(bundle, "--source", name) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert re.fullmatch(
        rf"warning: {name}: lost \(connection refused\); trying again in [\d.]+ s\n", line
    )
    assert (process.returncode, out, err) == (130, "", "")


def test_two_files_are_as_each_alone(ecolite: Command, film: Path, tmp_path: Path) -> None:
    other = write_numbered_video(tmp_path / "other.avi", 60, fps=10, first=500)

    def facts(result: Result, stream: Path) -> list[tuple[Any, ...]]:
        assert (result.exit_code, result.err) == (0, "")
        return [(p["frame"], p["top"]) for p in result.predictions if p["stream"] == str(stream)]

    both = ecolite("--source", film, "--source", other, "--json")
    for path in (film, other):
        alone = facts(ecolite("--source", path, "--json"), path)
        assert len(alone) >= 5
        assert facts(both, path) == alone


def test_the_same_file_twice(ecolite: Command, film: Path) -> None:
    result = ecolite("--source", film, "--source", film, "--json")
    assert {p["stream"] for p in result.predictions} == {str(film), f"{film}#2"}
    assert len(result.predictions) == 10
    text = ecolite("--source", film, "--source", film).out
    assert all(line.startswith(f"{film}") for line in text.splitlines())


def test_a_broken_file_among_good_ones(ecolite: Command, film: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.avi"
    bad.write_text("no video")
    result = ecolite("--source", film, "--source", bad, "--source", film, "--json")
    assert result.exit_code == 3
    assert len(result.predictions) == 10
    first, last = result.err.splitlines()
    assert first.startswith(f"error: {bad}: holds no video")
    assert last.startswith(f"error: 1 of 3 sources failed before their end: {bad}")
