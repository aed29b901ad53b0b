"""`ecolite-bench` as people call it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest

from ecolite_stream.app.entry import run
from ecolite_stream.bench.cli import bench
from ecolite_stream.bench.commands import engines
from ecolite_stream.engines.check import Check, Outcome
from ecolite_stream.model.bundle import Bundle
from tests.conftest import ROOT
from tests.videos import write_numbered_video

ENGINE = "openvino" if find_spec("openvino") else "mindspore"


def exit_code(*args: object) -> int:
    with pytest.raises(SystemExit) as end:
        run(bench, [str(arg) for arg in args])
    return int(end.value.code or 0)


def require_whole(folder: Path, command: str, *figures: str) -> dict:
    """The one format of all reports; returns report.json."""
    report = json.loads((folder / "report.json").read_text())
    text = (folder / "report.md").read_text()
    assert report["command"] == command and text.startswith(f"# ecolite-bench {command}\n")
    assert report["machine"]["cores"] >= 1 and report["versions"]["numpy"]
    for bundle in report["bundles"]:
        assert len(bundle["digest"]) == 64 and bundle["digest"][:12] in text
        assert f"N={bundle['num_segments']}, " in text
        assert f"a picture, {bundle['framing']}\n" in text
    scope = report["scope"]
    assert f"crop      {scope['crops']} a picture, " in text
    assert f"split     {scope['split']}\n" in text
    assert f"evaluated {scope['evaluated']} of {scope['of']} {scope['what']}\n" in text
    for name in figures:
        assert f"![{name}]({name})" in text and cv2.imread(str(folder / name)) is not None
    return report


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    write_numbered_video(tmp_path / "clip.avi", 50)
    return tmp_path / "clip.avi"


def test_every_command_is_there() -> None:
    """In a process that imports nothing but the entry point."""
    code = "from ecolite_stream.bench.cli import bench; print(*bench.commands)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    files = (ROOT / "ecolite_stream/bench/commands").glob("[a-z]*.py")
    assert sorted(done.stdout.split()) == sorted(file.stem for file in files), done.stderr


def test_speed(bundle: Bundle, clip: Path, tmp_path: Path, capfd):
    file = tmp_path / "report.json"
    options = ("--bundle", bundle.path, "--engine", ENGINE, "--seconds", 0.01, "--new-frames", 1)
    folder = tmp_path / "report"
    report_to = ("--json", file, "--report", folder)
    assert exit_code("speed", *options, "--stream", clip, *report_to) == 0
    written = require_whole(folder, "speed", "live_step.png", "limit.png")
    assert written == json.loads(file.read_text())
    out = capfd.readouterr().out
    assert "live step" in out and "clip.avi" in out and "numpy product" in out
    report = json.loads(file.read_text())
    assert report["rows"][0]["precision"] == "f32"
    assert {row["engine"] for row in report["streams"]} <= {ENGINE, f"{ENGINE} bf16"}
    assert report["frames"][0]["picture"] == "160x120"
    assert report["rows"][0]["matrix_product"]["numpy"]["p99_ms"] > 0
    if sys.platform == "linux":
        assert report["rows"][0]["memory"]["peak_mb"] > report["rows"][0]["memory"]["before_mb"]
    assert report["rows"][0]["engine"] == ENGINE
    assert report["rows"][0]["new_frames"] == 1
    assert report["rows"][0]["live_step"]["repetitions"] >= 8
    assert (report["streams"][0]["frames"], report["streams"][0]["stream_s"]) == (50, 2.0)
    assert len(report["streams"][0]["wall_s"]) == 3


def test_memory(bundle: Bundle, tmp_path: Path, capfd):
    options = ("--minutes", 0.1, "--bundle", bundle.path, "--engine", ENGINE)
    assert exit_code("memory", *options, "--limit-mb", 1000, "--report", tmp_path / "r") == 0
    require_whole(tmp_path / "r", "memory", "resident.png")
    assert "growth" in capfd.readouterr().out


def test_memory_of_a_single_frame(bundle: Bundle, tmp_path: Path) -> None:
    options = ("--minutes", 0.0005, "--bundle", bundle.path, "--engine", ENGINE)
    assert exit_code("memory", *options, "--limit-mb", 1000, "--report", tmp_path / "r") == 0
    require_whole(tmp_path / "r", "memory")
    assert not (tmp_path / "r" / "resident.png").exists()


def test_online(bundle: Bundle, clip: Path, tmp_path: Path, capfd):
    label = bundle.spec.labels[0]
    (tmp_path / "data" / label).mkdir(parents=True)
    clip.with_suffix(".csv").write_text(f"start_s,end_s,label\n0,2,{label}\n")
    file = tmp_path / "report.json"
    (tmp_path / "data" / label / "clip.avi").write_bytes(clip.read_bytes())
    policies = ("--memory", "window", "--memory", "paper")
    args = ("online", "--data", tmp_path / "data", "--bundle", bundle.path, "--engine", ENGINE)
    out = ("--json", file, "--report", tmp_path / "report")
    assert exit_code(*args, *policies, "--track", clip, "--offline", *out) == 0
    figures = ("seen.png", "reliability.png", "tracks.png", "seen_tracks.png")
    report = require_whole(tmp_path / "report", "online", *figures)
    assert report == json.loads(file.read_text())
    assert (report["scope"]["evaluated"], report["scope"]["of"]) == (2, 2)
    assert len(report["tracks"][0]["moments"]) >= 3 and report["tracks"][0]["encoded"] >= 4
    assert [memory["memory"] for memory in report["memories"]] == ["window", "paper"]
    assert report["memories"][0]["clips"] == 1
    assert [track["policy"] for track in report["tracks"]] == ["window", "paper"]
    for found in (report["tracks"][0]["agreed"], report["memories"][1]["results"][0]["offline"]):
        assert found["same"] == found["clips"] >= 3

    (tmp_path / "data" / label / "broken.avi").write_text("no video")
    assert exit_code(*args) == 3
    out, err = capfd.readouterr()
    assert "evaluated 1 of 2 clips" in out and "pyramid" in out  # all memories by default
    assert "streamed: 1\n" in out and "streamed: 2; unreadable: 1\n" in out
    assert f"unreadable: {label}/broken.avi" in err
    assert "error: 1 of 2 clips cannot be read" in err


OUTCOMES = {
    "openvino": Outcome("openvino", "agrees", Check("openvino", 1e-6, 2e-6, True, 0.5, 1.5)),
    "mindspore": Outcome("mindspore", "agrees", Check("mindspore", 0, 0, True, 1, 2)),
    "off": Outcome("off", "disagrees", Check("off", math.inf, 0.2, False, 1, 2), "off is off"),
    "crashing": Outcome("crashing", "crashed (signal 11)"),
    "hanging": Outcome("hanging", "no answer in 300 s"),
    "other": Outcome("other", "cannot run it", detail="engine other: no graph"),
}


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (("openvino", "mindspore"), 0, ""),
        (("openvino", "other"), 0, ""),
        (("openvino", "off"), 5, "error: off is off"),
        (("crashing", "openvino"), 5, "error: engine crashing: crashed (signal 11)"),
        (("hanging", "openvino"), 5, "error: engine hanging: no answer in 300 s"),
        (("other",), 5, "error: engine other: no graph"),
        ((), 5, "error: no inference engine is installed"),
    ],
)
def test_engines(
    names: tuple[str, ...],
    code: int,
    words: str,
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd,
):
    monkeypatch.setattr(engines, "installed_engines", lambda: list(names))
    monkeypatch.setattr(engines, "check_apart", lambda name, bundle, *where: OUTCOMES[name])
    file = tmp_path / "report.json"
    assert exit_code("engines", "--bundle", bundle.path, "--json", file) == code
    out, err = capfd.readouterr()
    assert words in err
    rows = json.loads(file.read_text(), parse_constant=pytest.fail)["engines"]
    assert [row["engine"] for row in rows] == list(names)
    for name in names:
        assert OUTCOMES[name].state in out
    if "off" in names:
        assert rows[1]["check"]["feature_error"] is None


def test_engines_that_are_asked_for(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    monkeypatch.setattr(
        engines, "check_apart", lambda name, *_: checked.append(name) or OUTCOMES["openvino"]
    )
    where = ("--bundle", bundle.path, "--engine", "mslite", "--engine", "mslite")
    assert exit_code("engines", *where) == 0
    assert checked == ["mslite"]


@pytest.mark.timeout(120)
def test_engines_of_this_machine(tmp_path: Path, capfd):
    """With the embedded model."""
    assert exit_code("engines", "--report", tmp_path) == 0
    report = require_whole(tmp_path, "engines", "latency.png")
    assert report["scope"]["evaluated"] == len(report["engines"]) >= 1
    out = capfd.readouterr().out
    assert ENGINE in out and "agrees" in out and "same" in out


@pytest.mark.timeout(120)
def test_streams(bundle: Bundle, tmp_path: Path, capfd) -> None:
    options = ("--bundle", bundle.path, "--engine", ENGINE, "--seconds", 3, "--most", 1)
    assert exit_code("streams", *options, "--report", tmp_path) == 0
    report = require_whole(tmp_path, "streams", "cameras.png")
    assert set(report) >= {"one", "one each"}


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("online",), 2),
        (("speed", "--bundle", "{bundle}", "--new-frames", "5"), 2),
        (("speed", "--bundle", "{bundle}", "--stream", "nowhere.avi"), 3),
        (("speed", "--bundle", "nowhere"), 4),
        (("speed", "--engine", "mindspore", "--precision", "bf16"), 2),
        (("engines", "--bundle", "nowhere"), 4),
        (("engines", "--bundle", "{bundle}", "--device", "tpu"), 2),
        (("online", "--data", "nowhere", "--bundle", "{bundle}"), 2),
        (("engines", "--report", "{bundle}/bundle.json"), 2),
        (("ucf101", "--data", ".", "--split", "1", "--checkpoint", "nowhere.ckpt"), 2),
        (("ucf101", "--data", ".", "--split", "1", "--checkpoint", "a", "--bundle", "b"), 2),
        (("ucf101", "--data", ".", "--split", "1", "--address", "x", "--checkpoint", "a"), 2),
        (("ucf101", "--data", "{bundle}", "--split", "1", "--address", "nowhere"), 2),
        (("streams", "--idle", "--most", "1"), 2),
        (("nonsense",), 2),
    ],
)
def test_refusals(bundle: Bundle, args: tuple[str, ...], code: int):
    assert exit_code(*(arg.format(bundle=bundle.path) for arg in args)) == code
