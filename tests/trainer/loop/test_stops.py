"""What ends a training leaves the last good checkpoint, and says what to do."""

from __future__ import annotations

import gc
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.errors import ConfigError
from tests.conftest import ROOT
from trainer.config.load import load_train_config
from trainer.loop.state import load_state, save_state
from trainer.synthetic import write_video
from trainer.train import evaluate_only, train
from trainer.weights.checkpoint import load_checkpoint

LIMIT_S = 240
pytestmark = pytest.mark.timeout(2 * LIMIT_S)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three clips of each of two classes."""
    rng = np.random.default_rng(0)
    for label in ("blue", "red"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(3):
            frames = rng.integers(0, 255, (12, 48, 64, 3)).astype(np.uint8)
            write_video(tmp_path / "clips" / label / f"person{number}.avi", frames, 25)
    return tmp_path / "clips"


def words(clips: Path, output: Path, *more: str) -> list[str]:
    settings = (
        f"--data.clips=[{clips}] --output={output} --data.split=pattern "
        r"--data.split_pattern=person(\d) --data.val_groups=['2'] --width=0.125 --batch_size=2 "
        "--lr=0.01 --lr_schedule=constant --dropout=0 --preprocessing.image_size=32"
    )
    return [*settings.split(), *more]


def run(*words: str, first: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trainer.train", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LIMIT_S,
        preexec_fn=first,
        check=False,
    )


def small_files() -> None:
    """No file may grow beyond 100 kB: what a full disk looks like to who writes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_full_disk_leaves_the_last_good_checkpoint(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    train(load_train_config(None, words(clips, output, "--epochs=1")))
    kept = {path.name: path.read_bytes() for path in output.iterdir()}
    ended = run(*words(clips, output, "--epochs=2", f"--resume={output}"), first=small_files)
    assert ended.returncode == 4
    last = ended.stderr.splitlines()[-1]
    assert re.match(r"error: .* \S+/run/last\.\w+ cannot be written: .*; check the folder", last)
    assert "Traceback" not in ended.stderr
    assert {path.name: path.read_bytes() for path in output.iterdir()} == kept
    assert load_state(output / "last.state").epoch == 1

    again = run(*words(clips, output, "--epochs=2", f"--resume={output}"))
    assert again.returncode == 0, again.stderr
    assert load_checkpoint(output / "last.ckpt").spec.training["epoch"] == 2


def test_a_state_that_cannot_be_written_leaves_nothing_to_clean_up(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python tells of errors in its clean-up with a traceback."""
    path = tmp_path / "run" / "last.state"
    train(load_train_config(None, words(clips, path.parent, "--epochs=1")))
    state, kept = load_state(path), path.read_bytes()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    left: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", left.append)
    monkeypatch.setattr(np.lib.format, "write_array", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_state(path, state)
    gc.collect()
    assert not left and path.read_bytes() == kept
    assert not list(path.parent.glob(".*"))


def test_a_clip_that_cannot_be_read_is_named(clips: Path, tmp_path: Path) -> None:
    (clips / "red" / "person1.avi").write_bytes(b"RIFF....AVI nothing")
    ended = run(*words(clips, tmp_path / "run"))
    assert ended.returncode == 3
    assert ended.stderr.count("\n") <= 2 and "Traceback" not in ended.stderr
    assert "red/person1.avi" in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_a_clip_that_goes_missing_ends_it_with_the_checkpoint_intact(
    clips: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    endless = words(clips, output, "--epochs=2000", "--data.cache_mb=0")
    begun = subprocess.Popen(
        [sys.executable, "-m", "trainer.train", *endless],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert begun.stdout is not None
    for line in begun.stdout:
        if line.startswith("epoch: 2 "):
            (clips / "red" / "person1.avi").unlink()
            break
    _, error = begun.communicate(timeout=LIMIT_S)
    assert begun.returncode == 3
    assert "person1.avi" in error.splitlines()[-1] and "Traceback" not in error
    assert load_checkpoint(output / "last.ckpt").spec.training["epoch"] >= 1
    assert load_state(output / "last.state").epoch >= 1


@pytest.mark.slow
def test_evaluate_scores_the_held_out_clips(clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    train(load_train_config(None, words(clips, output, "--epochs=1")))
    before = sorted(path.stat().st_mtime_ns for path in output.iterdir())
    settings = words(clips, output, "--epochs=1", f"--resume={output}", "--evaluate=true")
    scores = evaluate_only(load_train_config(None, settings))
    assert scores.num_clips == 2
    written = load_checkpoint(output / "best.ckpt").spec.scores["validation"]
    assert scores.loss == pytest.approx(written["loss"], rel=1e-4)
    assert sorted(path.stat().st_mtime_ns for path in output.iterdir()) == before
    told = run(*settings)
    assert re.fullmatch(r"\{'Loss': \S+, 'Top1-Acc': \S+, 'Top5-Acc': \S+\}\n", told.stdout), (
        told.stderr
    )
    nothing = [word.replace("split=pattern", "split=none") for word in settings]
    with pytest.raises(ConfigError, match="no clips are held out"):
        evaluate_only(load_train_config(None, nothing))
