"""The command, from clips to a bundle that runs; with the embedded bundle and small films."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.engines import open_engine
from ecolite_stream.engines.check import check_engine
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from tests.conftest import ROOT
from tests.trainer.teaching.films import film, folder_of_clips
from trainer.teaching.cache import FeatureCache
from trainer.teaching.clips import find_taught, load_features

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("openvino", reason="openvino is not installed")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_clips(tmp_path_factory.mktemp("clips"))


def teach(*words: object, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run `python -m trainer.teach`, after some code where there is any."""
    code = f"{before}\nfrom trainer.teach import main\nfrom ecolite_stream.app.entry import run\n"
    return subprocess.run(
        [sys.executable, "-c", code + "run(main)", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


NO_MINDSPORE = "import sys; sys.modules['mindspore'] = None"


def test_from_clips_to_a_bundle_that_runs(clips: Path, tmp_path: Path) -> None:
    """Without MindSpore: features, held-out clips, a bundle with its golden numbers."""
    film(clips / "up" / "short.mp4", "up", 9, seconds=0.1)
    shutil.copy(clips / "up" / "a-1.mp4", clips / "up" / "copy.mp4")
    (clips / "up" / "broken.mp4").write_bytes(b"no film")
    out, report = tmp_path / "taught", tmp_path / "report.json"
    words = (clips, "--out", out, "--json", report, "--folds", 3)
    done = teach(*words, before=NO_MINDSPORE)
    assert done.returncode == 0, done.stderr
    assert "7 clips of 2 actions" in done.stdout
    assert "left out up/broken.mp4" in done.stderr
    assert "left out up/copy.mp4: the same file as up/a-1.mp4" in done.stderr
    assert "each clip is held out alone" in done.stderr
    found = json.loads(report.read_text())
    assert found["clips"] == 7
    assert found["clips_right"] + len(found["wrong"]) == 7
    bundle = read_bundle(out)
    assert bundle.spec.labels == ("across", "up")
    assert {graph.format for graph in bundle.graphs} == {"onnx"}
    assert bundle.spec.scores["held_out"]["clips"] == 7
    check_engine(open_engine("openvino", bundle), bundle)
    for name in ("short.mp4", "copy.mp4", "broken.mp4"):
        (clips / "up" / name).unlink()


def test_all_framings_are_compared(clips: Path) -> None:
    done = teach(clips, "--framing", "auto", "--group-pattern", "/([a-z])-")
    assert done.returncode == 0, done.stderr
    for framing in ("center", "whole", "follow"):
        assert f"framing {framing}" in done.stdout
    assert "in 3 groups" in done.stdout
    assert "warning: each clip" not in done.stderr


@pytest.mark.parametrize(
    ("make", "words", "says"),
    [
        (lambda d: shutil.rmtree(d / "up"), (), "clips of two actions or more"),
        (lambda d: shutil.copy(d / "up/a-1.mp4", d / "across/b-9.mp4"), (), "the same file in two"),
        (lambda d: None, ("--group-pattern", "([a-z]+)-1"), None),
        (lambda d: None, ("--group-pattern", "(.mp4)"), "nothing can be held out"),
        (lambda d: None, ("--group-pattern", "("), "no regular expression"),
        (lambda d: None, ("--groups", "x", "--group-pattern", "y"), "give one"),
    ],
)
def test_bad_input_is_one_line(
    make: object, words: tuple[str, ...], says: str | None, clips: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    shutil.copytree(clips, folder)
    make(folder)  # type: ignore[operator]
    done = teach(folder, *words)
    if says is None:
        assert done.returncode == 0
        return
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_bundle_is_left_alone(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = teach(clips, "--out", tmp_path)
    assert done.returncode == 4
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


class Tampered(FeatureCache):
    """A cache that counts what it writes."""

    written = 0

    def write(self, *args: object) -> None:
        Tampered.written += 1
        super().write(*args)  # type: ignore[arg-type]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Tampered]:
    monkeypatch.setattr("trainer.teaching.clips.FeatureCache", Tampered)
    Tampered.written = 0
    return Tampered


def test_features_are_computed_once_and_again_when_a_clip_changes(
    clips: Path, tmp_path: Path, counted: type[Tampered]
) -> None:
    folder, cache = tmp_path / "clips", tmp_path / "cache"
    shutil.copytree(clips, folder)
    bundle = read_bundle(demo_bundle_path())
    first = load_features(find_taught(folder), bundle, ["center"], cache_folder=cache)
    assert counted.written == 6
    (folder / "up" / "a-1.mp4").rename(folder / "up" / "renamed.mp4")
    again = load_features(find_taught(folder), bundle, ["center"], cache_folder=cache)
    assert counted.written == 6
    sums = [
        sorted(float(c.by_framing["center"]["plain"].pooled.sum()) for c in s)
        for s in (first, again)
    ]
    assert sums[0] == sums[1]
    film(folder / "up" / "renamed.mp4", "up", 77)
    for path in list(cache.iterdir())[:2]:
        path.write_bytes(b"damaged")
    load_features(find_taught(folder), bundle, ["center"], cache_folder=cache)
    assert 7 <= counted.written <= 9
    assert np.isfinite(first[0].by_framing["center"]["mirrored"].pooled).all()


def test_a_full_cache_loses_what_was_used_longest_ago(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.npz").write_bytes(bytes(100))
        os.utime(tmp_path / f"{number}.npz", (number, number))
    FeatureCache(read_bundle(demo_bundle_path()), "x", tmp_path, most_bytes=250).prune()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.npz", "3.npz"]


def test_marked_videos_are_taught_without_being_cut(
    tmp_path: Path, counted: type[Tampered]
) -> None:
    """Two videos, each with both actions, beside a clip of a folder."""
    folder, cache = tmp_path / "clips", tmp_path / "cache"
    for number, name in enumerate(("monday", "tuesday")):
        film(folder / f"{name}.mp4", "up", number, seconds=6)
        rows = "0,2,up\n2.5,4.5,across\n5,5.2,up\n7,9,up\n"
        (folder / f"{name}.csv").write_text(f"start_s,end_s,label\n{rows}")
    film(folder / "up" / "cut.mp4", "up", 3)
    bundle = read_bundle(demo_bundle_path())
    made = load_features(find_taught(folder), bundle, ["center"], cache_folder=cache)
    names = ["across/monday.mp4@2.5-4.5", "across/tuesday.mp4@2.5-4.5"]
    names += ["up/cut.mp4", "up/monday.mp4@0-2", "up/tuesday.mp4@0-2"]
    assert [clip.name for clip in made] == names
    assert counted.written == 5
    (folder / "monday.csv").write_text("start_s,end_s,label\n0,2,up\n3,4.5,across\n")
    load_features(find_taught(folder), bundle, ["center"], cache_folder=cache)
    assert counted.written == 6  # the bounds that changed


def test_segments_of_a_recording_are_held_out_together(tmp_path: Path) -> None:
    for number, name in enumerate(("monday", "tuesday", "friday")):
        film(tmp_path / f"{name}.mp4", "up", number, seconds=5)
        (tmp_path / f"{name}.csv").write_text(
            "start_s,end_s,label\n0,2,up\n2.5,4.5,across\n4.7,4.8,up\n"
        )
    done = teach(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 clips of 2 actions in 3 groups (recordings), held out in 3 turns" in done.stdout
    assert "warning: each clip is held out alone" not in done.stderr
    assert "left out up/friday.mp4@4.7-4.8: it lasts" in done.stderr
    (tmp_path / "friday.csv").write_text("start_s,end_s,label\n0,2,up\n0,2,across\n")
    done = teach(tmp_path)
    assert done.returncode == 2
    assert "are the same file in two actions" in done.stderr


def test_the_curve_is_printed_and_written(clips: Path, tmp_path: Path) -> None:
    words = (clips, "--curve", "--group-pattern", "/([a-z])-", "--json", tmp_path / "curve.json")
    done = teach(*words, before=NO_MINDSPORE)
    assert done.returncode == 0, done.stderr
    assert "3 groups (groups by /([a-z])-), held out in 3 turns" in done.stdout
    assert "  1 clips an action:" in done.stdout
    found = json.loads((tmp_path / "curve.json").read_text())["curve"]
    assert [point["each"] for point in found] == [1, None]
    assert {point["clips"] for point in found} == {6}
    done = teach(*words, "--out", tmp_path / "bundle")
    assert (done.returncode, (tmp_path / "bundle").exists()) == (2, False)
    assert "--curve only measures" in done.stderr
