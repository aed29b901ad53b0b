"""The launch scripts, on a small tree in UCF101's layout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.processes import is_running
from tests.videos import write_numbered_video

LIMIT_S = 240
pytestmark = pytest.mark.timeout(3 * LIMIT_S)
CLASSES = ("ApplyEyeMakeup", "YoYo")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames and lists of two classes, one test group and three others, and a configuration."""
    folder = tmp_path_factory.mktemp("ucf101")
    for label in CLASSES:
        (folder / "UCF-101" / label).mkdir(parents=True)
        for group in (1, 8, 9, 10):
            name = f"v_{label}_g{group:02d}_c01.avi"
            write_numbered_video(folder / "UCF-101" / label / name, 9)
    frames, lists = folder / "frames", folder / "lists"
    for words in (
        ["extract_frames", "--video_src_path", folder / "UCF-101", "--image_save_path", frames],
        ["gen_dataset_lists", "ucf101", folder / "UCF-101", "--frames", frames, "--out", lists],
    ):
        module, *rest = words
        command = [sys.executable, "-m", f"trainer.data.{module}", *map(str, rest)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=LIMIT_S)
    (folder / "tiny.yaml").write_text(
        f"train_list: {lists}/ucf101_train_split_1.txt\nval_list: {lists}/ucf101_test_split_1.txt\n"
        f"data_path: {frames}\ndataset: ucf101\nnum_segments: 4\nwidth: 0.125\nepochs: 1\n"
        "batch-size: 3\nworkers: 1\npreprocessing: {image_size: 32, scale: 0.02}\n"
    )
    return folder


def script(name: str, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run it in a folder, in the environment that these tests run in."""
    return subprocess.run(
        [ROOT / "scripts" / name, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "ECOLITE_VENV": sys.prefix, "ECOLITE_VENV_READY": "1"},
        timeout=LIMIT_S,
        check=False,
    )


def wait_for(started: subprocess.CompletedProcess[str], folder: Path) -> str:
    """The log of what a script has left at work, once that has ended."""
    assert started.returncode == 0, started.stderr
    found = re.fullmatch(r"process (\d+) is at work; its output goes to (\S+)\n", started.stdout)
    assert found and Path(found[2]) == folder / "log.txt"
    deadline_s = time.monotonic() + LIMIT_S
    while is_running(int(found[1])):
        assert time.monotonic() < deadline_s, f"{found[0]} and still is after {LIMIT_S:g} s"
        time.sleep(0.2)
    return (folder / "log.txt").read_text()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to see processes end")
def test_train_and_evaluate_as_published(tree: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = ["--config", tree / "tiny.yaml", "--output", run]
    log = wait_for(script("run_standalone_train.sh", tmp_path, "-", 0, *config), tmp_path)
    assert re.findall(r"epoch: 1 step: \d, loss is \d+\.\d{7}", log) and "best checkpoint" in log

    where = ["--val_list", tree / "lists" / "ucf101_test_split_1.txt", "--data_path"]
    started = script("run_eval.sh", tmp_path, run / "last.ckpt", 0, *where, tree / "frames")
    log = wait_for(started, tmp_path)
    assert "Total data: 2\n" in log
    assert re.search(r"^\{'Loss': \S+, 'Top1-Acc': \S+, 'Top5-Acc': \S+\}$", log, re.MULTILINE)
    assert "loss is" in (tmp_path / "log.txt.1").read_text()  # the log before is kept

    log = wait_for(script("run_standalone_train.sh", tmp_path, "--resume", run), tmp_path)
    assert "nothing is left to train" in log  # the saved configuration

    more = ["--output", tmp_path / "fine"]
    started = script("run_standalone_train.sh", tmp_path, run / "last.ckpt", *config[:2], *more)
    assert "best checkpoint" in wait_for(started, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to see processes end")
def test_train_in_two_processes_as_published(tree: Path, tmp_path: Path) -> None:
    words = ["-", 2, "--config", tree / "tiny.yaml", "--output", tmp_path / "run"]
    log = wait_for(script("run_distribute_train.sh", tmp_path, *words), tmp_path)
    assert re.findall(r"epoch: 1 step: 1, loss is \d+\.\d{7}", log), log
    assert (tmp_path / "run" / "last.ckpt").is_file()


@pytest.mark.parametrize(
    "name", ["run_standalone_train.sh", "run_distribute_train.sh", "run_eval.sh"]
)
def test_help_says_how(name: str, tmp_path: Path) -> None:
    helped = script(name, tmp_path, "--help")
    assert helped.returncode == 0 and f"scripts/{name} " in helped.stdout
    assert "set -" not in helped.stdout


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("run_standalone_train.sh", ["none.ckpt"], "CHECKPOINT_PATH none.ckpt does not exist"),
        ("run_standalone_train.sh", ["demo", "one"], "DEVICE_ID is 'one', expected a number"),
        ("run_standalone_train.sh", ["--config", "none.yaml"], "--config none.yaml does not exist"),
        ("run_distribute_train.sh", ["none.json"], "RANK_TABLE_FILE none.json does not exist"),
        ("run_distribute_train.sh", ["-", "two"], "DEVICE_NUM is 'two', expected a number"),
        ("run_eval.sh", [], "CHECKPOINT_PATH is missing"),
        ("run_eval.sh", ["demo", "0", "--clips", "none"], "--clips none does not exist"),
    ],
)
def test_arguments_are_checked(name: str, words: list[str], message: str, tmp_path: Path) -> None:
    refused = script(name, tmp_path, *words)
    assert refused.returncode == 2
    assert refused.stderr == f"error: {message}; see {name} --help\n"
    assert not (tmp_path / "log.txt").exists()


def test_a_training_that_fails_says_so_in_its_log(tree: Path, tmp_path: Path) -> None:
    words = ["-", "--config", tree / "tiny.yaml", "--output", tmp_path / "run", "--epoch", 2]
    log = wait_for(script("run_standalone_train.sh", tmp_path, *words), tmp_path)
    assert log.splitlines()[-1].endswith("unknown key 'epoch'; did you mean 'epochs'?")
