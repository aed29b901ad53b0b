"""The thorough way: its settings, its clips, its report, and a real training to the end."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.app.entry import run
from ecolite_stream.config.strict import make_config
from ecolite_stream.engines import installed_engines, open_engine
from ecolite_stream.engines.check import check_engine
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from tests.conftest import ROOT
from tests.trainer.teaching.films import film, folder_of_clips
from tests.trainer.teaching.test_teach import NO_MINDSPORE, teach
from tests.waiting import eventually
from trainer import teach as command
from trainer.config.load import load_train_config
from trainer.config.schema import TrainConfig
from trainer.teaching import trainings
from trainer.teaching.bundle import taught_spec, write_taught
from trainer.teaching.clips import find_taught, load_features
from trainer.teaching.head_graph import Classifier
from trainer.teaching.held_out import teach as teach_quick
from trainer.teaching.thorough import NEVER, in_order, settings_of

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("openvino", reason="openvino is not installed")
pytestmark = pytest.mark.timeout(300)
BY_PLACE = ("--group-pattern", "/([a-z])-")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five places, each with both actions; a copy and a broken file."""
    folder = folder_of_clips(tmp_path_factory.mktemp("clips"), each=5)
    shutil.copy(folder / "up" / "a-1.mp4", folder / "up" / "z-1.mp4")
    (folder / "across" / "b-2.mp4").write_bytes(b"no film")
    return folder


def test_settings_are_those_of_the_configuration_for_actions(tmp_path: Path) -> None:
    """Which starts from the embedded model, too, but shows the middle of the picture."""
    bundle = read_bundle(demo_bundle_path())
    found = make_config(TrainConfig, settings_of(bundle, "center", tmp_path, epochs=40), "here")
    wanted = load_train_config(ROOT / "configs/train/actions.yaml")
    own = {
        "data": found.data,
        "output": found.output,
        "preprocessing": found.preprocessing,
        "init_checkpoint": bundle.path,
    }
    assert found == dataclasses.replace(wanted, **own)
    assert found.data.clips == (str(tmp_path),)
    assert found.preprocessing == dataclasses.replace(bundle.spec.preprocessing, framing="center")


def test_an_action_that_a_network_does_not_know_never_wins() -> None:
    own = Classifier(np.eye(2, 3, dtype=np.float32), np.float32([1, 2]))
    found = in_order(own, ("a", "c"), ("a", "b", "c"))
    logits = found.logits(np.float32([[5, 7, 9]]))
    assert logits.tolist() == [[6, NEVER, 9]]


class QuickPrograms:
    """In place of `run_module`: trains by fitting the last layer to the clips of the list."""

    def __init__(self, folder: Path) -> None:
        self.files = find_taught(folder)
        self.bundle = read_bundle(demo_bundle_path())
        self.taught: list[list[str]] = []

    def run(self, words: list[str], log: Path, on_wait: Callable[[], None] = lambda: None) -> None:
        folder = log.parent
        if words[0] == "trainer.train":
            config = json.loads((folder / "config.yaml").read_text())
            assert config["data"]["only"] == str(folder / "clips.txt")
            (folder / "curves.csv").write_text("epoch,seconds\n1,1\n2,1\n")
            (folder / "last.ckpt").touch()
            on_wait()
            return
        names = (folder / "clips.txt").read_text().splitlines()
        self.taught.append(names)
        own = {file: digest for file, digest in self.files.items() if file.name in names}
        framing = self.bundle.spec.preprocessing.framing
        found = load_features(own, self.bundle, [framing])
        spec = taught_spec(self.bundle, ("across", "up"), framing, {})
        classifier = teach_quick(found, spec.labels, framing)
        write_taught(self.bundle, spec, classifier, folder / "bundle")


@pytest.fixture
def quick(clips: Path, monkeypatch: pytest.MonkeyPatch) -> QuickPrograms:
    pytest.importorskip("mindspore", reason="mindspore is not installed")
    programs = QuickPrograms(clips)
    monkeypatch.setattr(trainings, "run_module", programs.run)
    monkeypatch.setattr("trainer.teaching.bundle._check_engines", lambda bundle: None)  # slow
    return programs


def in_process(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        run(command.main, list(map(str, words)))
    return int(ended.value.code or 0)


def test_clips_that_are_held_out_do_not_train_and_the_report_is_that_of_the_quick_way(
    clips: Path, tmp_path: Path, quick: QuickPrograms, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where the trainings fit the last layer alone, both ways must find the same."""
    words = (clips, "--thorough", *BY_PLACE, "--epochs", 2, "--work", tmp_path / "work")
    done = in_process(*words, "--out", tmp_path / "out", "--json", tmp_path / "r.json")
    text = capfd.readouterr()
    assert done == 0, text.err
    assert "left out up/z-1.mp4: the same file as up/a-1.mp4" in text.err
    assert "left out across/b-2.mp4" in text.err
    assert "2 trainings of 2 epochs: 1 holds clips out and 1 takes all clips" in text.err
    assert "10 clips of 2 actions in 5 groups" in text.out
    assert "2 of the clips held out once" in text.out
    held, everything = (set(names) for names in quick.taught)
    assert len(everything) == 10
    left_out = everything - held
    assert {name.partition("/")[0] for name in left_out} == {"across", "up"}
    assert len({name.partition("/")[2] for name in left_out}) == 1  # of one place

    found = json.loads((tmp_path / "r.json").read_text())
    assert found["clips"] == 2 and found["folds"] == 1 and found["unjudged"] == []
    assert found["quick"]["taught"] == found["quick"]["now"] == found["clips_right"]
    assert f"as good as the quick way, which has {found['clips_right']} of 2" in text.out
    bundle = read_bundle(tmp_path / "out")
    assert bundle.spec.scores["held_out"] == found
    assert bundle.spec.training["taught"]["thorough"] is True
    check_engine(open_engine("openvino", bundle), bundle)


def test_each_part_is_held_out_once_and_without_out_nothing_takes_all_clips(
    clips: Path, tmp_path: Path, quick: QuickPrograms, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (clips, "--thorough", *BY_PLACE, "--epochs", 2, "--work", tmp_path, "--folds", 3)
    assert in_process(*words, "--progress") == 0
    text = capfd.readouterr()
    assert "3 trainings of 2 epochs: 3 hold clips out;" in text.err
    assert "progress: 6/6 epochs" in text.err
    assert [len(names) for names in quick.taught] == [6, 6, 8]
    assert "of 10 clips right" in text.out
    assert in_process(*words) == 0
    assert len(quick.taught) == 3
    assert "training 3 of 3, 8 clips, 2 held out: done before" in capfd.readouterr().err


def test_the_curve_trains_a_network_for_each_point(
    clips: Path, tmp_path: Path, quick: QuickPrograms, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (clips, "--thorough", "--curve", *BY_PLACE, "--epochs", 2, "--work", tmp_path)
    assert in_process(*words) == 0
    text = capfd.readouterr()
    assert "4 trainings of 2 epochs" in text.err
    assert [len(names) for names in quick.taught] == [2, 4, 6, 8]
    assert text.out.count("clips an action:") == 4


def test_segments_of_a_recording_are_held_out_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mindspore", reason="mindspore is not installed")
    folder = tmp_path / "clips"
    for number, name in enumerate(("friday", "monday", "tuesday")):
        film(folder / f"{name}.mp4", "up", number, seconds=5)
        rows = "0,2,up\n2.5,4.5,across\n4.7,4.8,up\n"
        (folder / f"{name}.csv").write_text(f"start_s,end_s,label\n{rows}")
    programs = QuickPrograms(folder)
    monkeypatch.setattr(trainings, "run_module", programs.run)
    monkeypatch.setattr("trainer.teaching.bundle._check_engines", lambda bundle: None)
    assert in_process(folder, "--thorough", "--epochs", 2, "--work", tmp_path / "work") == 0
    text = capfd.readouterr()
    assert "6 clips of 2 actions in 3 groups (recordings), 2 of the clips held out" in text.out
    (taught,) = programs.taught
    assert len(taught) == 4  # without those that are too short
    assert {name.partition("/")[2] for name in taught if name.startswith("up/")} == {
        name.partition("/")[2].replace("2.5-4.5", "0-2") for name in taught if "across/" in name
    }


def bundle_without_weights(folder: Path) -> Bundle:
    bundle = read_bundle(demo_bundle_path())
    spec = bundle.spec
    rows = Classifier(np.zeros((2, 128), np.float32), np.ones(2, np.float32))
    described = taught_spec(bundle, ("across", "up"), spec.preprocessing.framing, {})
    return write_taught(bundle, described, rows, folder)


@pytest.mark.parametrize(
    ("make", "words", "code", "says"),
    [
        (None, ("{clips}", "--epochs", "3"), 2, "--epochs and --work are of --thorough"),
        (None, ("{clips}", "--thorough", "--work", "{file}"), 2, "is no folder; name another"),
        (None, ("{clips}", "--thorough", "--epochs", "0"), 2, "'--epochs': 0 is not in the range"),
        (None, ("{none}", "--out", "{file}"), 2, "clip folder {none} does not exist"),
        (None, ("{clips}", "--out", "{file}"), 4, "exists and is not a bundle"),
        (None, ("{clips}", "--out", "{file}/sub"), 4, "cannot be written: {file} is no folder"),
        (None, ("{clips}", "--json", "{file}/a"), 2, "--json {file}/a cannot be written"),
        (bundle_without_weights, ("{clips}", "--thorough", "--bundle", "{made}"), 4, "mindir"),
    ],
)
def test_what_cannot_end_well_does_not_begin(
    make: Callable[[Path], object] | None,
    words: tuple[str, ...],
    code: int,
    says: str,
    clips: Path,
    tmp_path: Path,
) -> None:
    """One line, before a clip is hashed and before the warning about groups."""
    (tmp_path / "file").write_text("mine")
    if make is not None:
        make(tmp_path / "made")
    names = {"clips": clips, "none": tmp_path / "none", "file": tmp_path / "file"}
    names["made"] = tmp_path / "made"
    done = teach(*(word.format(**names) for word in words))
    assert done.returncode == code
    assert says.format(**names) in done.stderr
    assert done.stderr.splitlines()[-1].lower().startswith("error: ")
    assert "warning" not in done.stderr and done.stdout == ""
    assert (tmp_path / "file").read_text() == "mine"


def test_without_mindspore_one_line_says_what_to_install(clips: Path) -> None:
    done = teach(clips, "--thorough", before=NO_MINDSPORE)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: trainer.teach --thorough needs mindspore, which is not installed; run pip install "
        "'ecolite-stream[train]'\n"
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_training_is_interrupted_resumed_and_ends_in_a_bundle_that_runs(
    tmp_path: Path,
) -> None:
    pytest.importorskip("mindspore", reason="mindspore is not installed")
    clips = folder_of_clips(tmp_path / "clips", each=3)
    small = ["--num-segments", "4", "--width", "0.25", "--image-size", "32", "--classes", "3"]
    export = [sys.executable, "-m", "trainer.export", "--untrained", *small]
    export += ["--bundle", str(tmp_path / "base")]
    subprocess.run(export, cwd=ROOT, check=True, capture_output=True)
    words = [str(clips), "--bundle", str(tmp_path / "base"), "--thorough", *BY_PLACE]
    words += ["--epochs", "4", "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    words += ["--json", str(tmp_path / "r.json")]
    whole = [sys.executable, "-m", "trainer.teach", *words]
    first = subprocess.Popen(whole, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    eventually(lambda: any(tmp_path.glob("work/*/curves.csv")), limit_s=300)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=100)
    assert first.returncode == 130
    assert said.endswith("interrupted; the same command resumes after the last whole epoch\n")
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()

    again = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    logs = [path.read_text() for path in sorted(tmp_path.glob("work/*/training.log"))]
    assert len(logs) == 2
    assert sum("of 4 epochs are done" in log for log in logs) == 1  # the one that was resumed
    bundle = read_bundle(tmp_path / "out")
    assert {graph.format for graph in bundle.graphs} == {"mindir", "onnx"}
    assert bundle.spec.labels == ("across", "up")
    assert bundle.spec.training["epoch"] == 4
    report = json.loads((tmp_path / "r.json").read_text())
    assert bundle.spec.scores["held_out"] == report
    assert report["clips"] == 2
    for name in set(installed_engines()) - {"mindspore"}:
        check_engine(open_engine(name, bundle), bundle)

    live = [sys.executable, "-m", "ecolite_stream", "--bundle", str(tmp_path / "out")]
    live += ["--source", str(film(tmp_path / "long.mp4", "up", 5, seconds=6))]
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    streamed = subprocess.run(live, cwd=ROOT, capture_output=True, text=True, env=env, check=False)
    assert streamed.returncode == 0, streamed.stderr
    assert "across" in streamed.stdout or "up" in streamed.stdout
