"""Several processes train as one does; who dies is named."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.errors import ConfigError
from tests.conftest import ROOT
from tests.processes import is_running
from trainer.config.load import load_train_config
from trainer.launch import who_died
from trainer.loop.distributed import ALONE, Group
from trainer.loop.dropout import SeededDropout
from trainer.synthetic import write_video
from trainer.train import train
from trainer.weights.checkpoint import load_checkpoint

LIMIT_S = 240
pytestmark = pytest.mark.timeout(2 * LIMIT_S)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips of each of two classes, the last of each to validate on."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for label, colour in {"blue": (200, 60, 60), "red": (60, 60, 200)}.items():
        (folder / label).mkdir()
        for number in range(5):
            frames = (np.array(colour) + rng.integers(-50, 50, (16, 48, 64, 3))).astype(np.uint8)
            write_video(folder / label / f"person{number}.avi", frames, 25)
    return folder


def words(clips: Path, output: Path, *more: str, epochs: int = 2) -> list[str]:
    settings = (
        f"--data.clips=[{clips}] --output={output} "
        r"--data.split=pattern --data.split_pattern=person(\d) --data.val_groups=['4'] "
        f"--width=0.125 --epochs={epochs} --lr=0.01 --lr_schedule=cosine --dropout=0.5 "
        "--freeze_bn=true --preprocessing.image_size=32 --preprocessing.scale=0.02"
    )
    return [*settings.split(), *more]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(logs: Path, *more: str) -> list[str]:
    start = ["--port", str(free_port()), "--log-dir", str(logs), "--", *more]
    return [sys.executable, "-m", "trainer.launch", "--workers", "2", *start]


def numbers(text: str) -> list[float]:
    lines = re.findall(r"^epoch: .*$", text, re.MULTILINE)
    return [float(n) for line in lines for n in re.findall(r"\d+\.\d+", line)]


@pytest.mark.slow
def test_two_workers_learn_what_one_with_twice_the_batch_learns(
    clips: Path, tmp_path: Path
) -> None:
    alone = subprocess.run(
        [sys.executable, "-m", "trainer.train", *words(clips, tmp_path / "one", "--batch_size=4")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LIMIT_S,
    )
    assert alone.returncode == 0, alone.stderr
    both = subprocess.run(
        launch(tmp_path / "logs", *words(clips, tmp_path / "two", "--batch_size=2")),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LIMIT_S,
    )
    assert both.returncode == 0, both.stderr
    assert re.findall(r"epoch: \d step: \d", both.stdout) == re.findall(
        r"epoch: \d step: \d", alone.stdout
    )
    np.testing.assert_allclose(numbers(both.stdout), numbers(alone.stdout), rtol=2e-4)
    first, second = (
        load_checkpoint(tmp_path / name / "last.ckpt").parameters for name in ("one", "two")
    )
    for name, value in first.items():
        np.testing.assert_allclose(second[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    assert "loss is" not in (tmp_path / "logs" / "worker_1.log").read_text()  # 0 speaks, 0 writes


@pytest.mark.slow
def test_a_worker_that_dies_ends_the_run_and_is_named(clips: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    run = subprocess.Popen(
        launch(logs, *words(clips, tmp_path / "run", "--batch_size=2", epochs=2000)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        pids = {}
        deadline_s = time.monotonic() + LIMIT_S
        while not (tmp_path / "run" / "last.ckpt").is_file():
            assert time.monotonic() < deadline_s, f"no checkpoint within {LIMIT_S:g} s"
            assert run.poll() is None, "the run ended before its first checkpoint"
            time.sleep(0.2)
        for rank in (0, 1):
            text = (logs / f"worker_{rank}.log").read_text()
            pids[rank] = int(re.search(r"is process (\d+)", text)[1])  # type: ignore[index]
        os.kill(pids[1], signal.SIGKILL)
        _, error = run.communicate(timeout=LIMIT_S)
    finally:
        run.kill()
    assert run.returncode == 1
    assert error.splitlines()[-1] == (
        "error: worker 1 was killed by signal 9; the training is ended, its logs are in "
        f"{logs}; resume with --resume"
    )
    while any(is_running(pid) for pid in pids.values()):
        assert time.monotonic() < deadline_s, f"a worker still runs: {pids}"
        time.sleep(0.2)
    assert load_checkpoint(tmp_path / "run" / "last.ckpt").spec.training["epoch"] >= 1


@pytest.mark.slow
def test_a_worker_that_refuses_gives_its_reason(clips: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        launch(tmp_path / "logs", *words(clips, tmp_path / "run", "--batch_size=5")),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LIMIT_S,
    )
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert re.match(
        r"error: worker [01] ended with exit code 2: 8 training windows are fewer", last
    )


def test_a_worker_that_died_before_it_spoke_is_its_process(tmp_path: Path) -> None:
    assert who_died(tmp_path, 12, 1) == "a worker (process 12) ended with exit code 1"


def test_run_distribute_needs_the_others(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MS_ROLE", raising=False)
    config = load_train_config(
        None, words(clips, tmp_path, "--batch_size=2", "--run_distribute=true")
    )
    with pytest.raises(ConfigError, match="started together; use"):
        train(config)


def test_each_process_drops_its_part_of_what_one_drops() -> None:
    whole = SeededDropout("a", 0.5, (6, 4))
    whole.draw(np.random.default_rng(3), ALONE)
    parts = []
    for rank in range(3):
        part = SeededDropout("b", 0.5, (2, 4))
        part.draw(np.random.default_rng(3), Group(rank, 3))
        parts.append(part.mask.asnumpy())
    np.testing.assert_array_equal(np.concatenate(parts), whole.mask.asnumpy())
