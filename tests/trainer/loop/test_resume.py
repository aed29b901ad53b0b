"""A training that is killed goes on as if it had never been."""

from __future__ import annotations

import csv
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.errors import BundleError, ConfigError
from tests.conftest import ROOT
from trainer.config.load import load_train_config
from trainer.loop.state import load_state, save_state
from trainer.synthetic import write_video
from trainer.train import train
from trainer.weights.checkpoint import load_checkpoint

LIMIT_S = 240
pytestmark = pytest.mark.timeout(2 * LIMIT_S)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of each of two classes."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for label in ("blue", "red"):
        (folder / label).mkdir()
        for number in range(3):
            frames = rng.integers(0, 255, (12, 48, 64, 3)).astype(np.uint8)
            write_video(folder / label / f"person{number}.avi", frames, 25)
    return folder


def words(clips: Path, *more: str) -> list[str]:
    return [
        f"--data.clips=[{clips}]",
        r"--data.split=pattern --data.split_pattern=person(\d) --data.val_groups=['2']",
        "--width=0.125 --epochs=3 --batch_size=2 --lr=0.01 --dropout=0.5",
        "--preprocessing.image_size=32 --num_saturate=1",
        *more,
    ]


def command(clips: Path, *more: str) -> list[str]:
    rest = " ".join(words(clips, *more)).split()
    return [sys.executable, "-m", "trainer.train", *rest]


def losses(text: str) -> list[str]:
    return re.findall(r"epoch: \d+ (?:step: \d+, loss is \S+|validation: .*)", text)


def run_to_end(clips: Path, *more: str) -> list[str]:
    return run_alone(*command(clips, *more)[3:])


def run_alone(*words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "trainer.train", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return losses(done.stdout)


def kill_in_epoch(number: int, clips: Path, *more: str) -> None:
    """Run until the first step of epoch `number` is told, then end it at once."""
    process = subprocess.Popen(
        command(clips, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    try:
        assert process.stdout is not None
        assert any(line.startswith(f"epoch: {number} step: 1,") for line in process.stdout)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        limit.cancel()


def test_a_killed_training_goes_on_with_the_same_losses(clips: Path, tmp_path: Path) -> None:
    whole = run_to_end(clips, f"--output={tmp_path / 'whole'}")
    killed = tmp_path / "killed😀"
    kill_in_epoch(2, clips, f"--output={killed}")
    assert load_state(killed / "last.state").epoch == 1
    # As if killed after the state and before the checkpoints, and while writing.
    (killed / "last.ckpt").unlink()
    (killed / "best.ckpt").unlink()
    (killed / ".last.ckpt.1.ckpt").write_bytes(b"half")

    resumed = run_alone("--resume", str(killed / "last.ckpt"))  # with the saved configuration
    assert resumed == [line for line in whole if not line.startswith("epoch: 1 ")]
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (load_checkpoint(run / name) for run in (tmp_path / "whole", killed))
        assert one.spec.training["epoch"] == other.spec.training["epoch"]
        assert all(np.array_equal(v, other.parameters[k]) for k, v in one.parameters.items())
        assert not any("mask" in name for name in one.parameters)
    assert not list(killed.glob(".*"))
    tables = [
        list(csv.DictReader((run / "curves.csv").open())) for run in (tmp_path / "whole", killed)
    ]
    for table in tables:
        for row in table:
            del row["seconds"], row["waited_s"]
    assert tables[0] == tables[1] and [row["epoch"] for row in tables[0]] == ["1", "2", "3"]


def config_words(clips: Path, *more: str) -> list[str]:
    return " ".join(words(clips, *more)).split()


def test_what_cannot_be_resumed(clips: Path, tmp_path: Path) -> None:
    def resume(*more: str, folder: Path = clips) -> Path:
        return train(load_train_config(None, config_words(folder, *more)))

    with pytest.raises(BundleError, match="does not exist: no epoch was finished there"):
        resume(f"--resume={tmp_path}")
    output = tmp_path / "run"
    train(
        load_train_config(
            None,
            [w.replace("epochs=3", "epochs=1") for w in config_words(clips)]
            + [f"--output={output}"],
        )
    )
    with pytest.raises(ConfigError, match=r"seed is 1, the training in \S+ began with 0; resume"):
        resume(f"--resume={output}", "--seed=1")
    with pytest.raises(ConfigError, match=r"augmentation\.flip is 0\.0, the training"):
        resume(f"--resume={output}", "--augmentation.flip=0", "--data.workers=1")
    finished = [word.replace("epochs=3", "epochs=1") for word in config_words(clips)]
    assert train(load_train_config(None, [*finished, f"--resume={output}"])) == output / "best.ckpt"
    more = tmp_path / "more"
    shutil.copytree(clips, more)
    shutil.copytree(clips / "red", more / "green")
    changed = load_state(output / "last.state")
    config = dict(changed.config)
    config["data"] = {**config["data"], "clips": [str(more)]}
    save_state(output / "last.state", dataclasses.replace(changed, config=config))
    with pytest.raises(ConfigError, match=r"clips are not those .* expected 2 classes and 2 steps"):
        resume(f"--resume={output}", folder=more)
    text = (output / "last.state").read_bytes()
    (output / "last.state").write_bytes(text[: len(text) // 2])
    with pytest.raises(BundleError, match=r"last\.state is cut off after \d+ bytes"):
        resume(f"--resume={output}", folder=more)
