"""Each fold is trained without its clips, streamed, and counted once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.errors import ConfigError, EcoliteError
from tests.conftest import ROOT
from trainer.config.schema import DataConfig, TrainConfig
from trainer.cross_validate import RESULT, FoldResult, link_held_out, read_result, summary
from trainer.synthetic import write_video

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label, colour in {"blue": (200, 60, 60), "red": (60, 60, 200)}.items():
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(4):
            frames = (np.array(colour) + rng.integers(-40, 40, (40, 48, 48, 3))).astype(np.uint8)
            write_video(tmp_path / "clips" / label / f"{number}.avi", frames, 25)
    return tmp_path / "clips"


def cross_validate(clips: Path, output: Path, *words: str) -> subprocess.CompletedProcess[str]:
    settings = (
        f"--data.clips [{clips}] --data.folds 2 --output {output} --num_segments 4 --width 0.125 "
        "--preprocessing.image_size 32 --preprocessing.framing whole --preprocessing.scale 0.02 "
        "--epochs 6 --batch_size 4 --lr 0.02 --lr_schedule one_cycle --dropout 0 --clip_seconds 1"
    ).split()
    command = [sys.executable, "-m", "trainer.cross_validate", *settings, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.slow
def test_every_clip_is_streamed_once_by_a_model_that_never_saw_it(
    clips: Path, tmp_path: Path
) -> None:
    output = tmp_path / "cv"
    ended = cross_validate(clips, output)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line[:14] for line in lines[:2]] == ["fold 1: clips ", "fold 2: clips "]
    assert lines[2].startswith("mean of 2 folds ") and "/8 " in lines[2]
    held_out = [sorted(p.resolve() for p in output.glob(f"fold-{i}/held_out/*/*")) for i in (1, 2)]
    assert len(held_out[0]) == len(held_out[1]) == 4
    assert sorted(held_out[0] + held_out[1]) == sorted(clips.glob("*/*"))

    log = output / "fold-1.log"
    written = log.stat().st_size
    (output / "fold-2" / "online.json").unlink()
    again = cross_validate(clips, output)
    assert again.stdout == ended.stdout
    assert log.stat().st_size == written  # what is finished is not done again
    other = cross_validate(clips, output, "--seed", "1")
    assert other.returncode == 2
    message = f"error: seed is 1, {output / 'fold-1'} has 0; name another --output or remove it"
    assert message in other.stderr


def test_a_fold_that_fails_names_its_log(clips: Path, tmp_path: Path) -> None:
    ended = cross_validate(clips, tmp_path / "cv", "--init_checkpoint", str(tmp_path / "none.ckpt"))
    assert ended.returncode == 1
    log = tmp_path / "cv" / "fold-1.log"
    assert ended.stderr == (
        f"fold 1 of 2; log in {log}\nerror: trainer.train ended with exit code 4; see {log}\n"
    )
    assert "none.ckpt does not exist" in log.read_text()


@pytest.mark.parametrize("text", ["", "[]", '{"memories": []}', '{"memories": [{"clips": 4}]}'])
def test_a_report_without_counts_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / RESULT).write_text(text)
    with pytest.raises(EcoliteError, match=f"{RESULT} has no counts of clips, or is .*; remove it"):
        read_result(1, tmp_path / RESULT)


def test_mean_and_spread_are_over_folds_the_sum_over_clips() -> None:
    results = [FoldResult(1, (3, 4), (1, 4), (0, 0)), FoldResult(2, (5, 10), (4, 10), (1, 2))]
    assert summary(results) == (
        "mean of 2 folds 62.5 % +- 17.7 (standard deviation), lowest 50.0 %, highest 75.0 %; "
        "all clips 8/14 57.1 %, half-way 5/14 35.7 %"
    )
    assert str(results[0]) == "fold 1: clips 3/4 75.0 %, half-way 1/4 25.0 %, full memory 0/0"


def test_segments_of_a_video_are_cut_before_they_are_streamed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.mp4").touch()
        (tmp_path / f"{name}.csv").write_text("start_s,end_s,label\n1,2,fall\n3,4,sit\n")
    data = DataConfig((str(tmp_path),), split="fold", folds=2, split_pattern="/([ab])")
    with pytest.raises(ConfigError, match=r"is a segment of a video.*collect --source"):
        link_held_out(TrainConfig(data=data), tmp_path / "held_out")
    assert not (tmp_path / "held_out").exists()
