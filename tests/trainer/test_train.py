"""Training end to end on small clips: it learns, logs, repeats, and its checkpoint ships."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.app.entry import run
from ecolite_stream.errors import ConfigError, EcoliteError
from ecolite_stream.model.bundle import read_bundle
from tests.conftest import ROOT
from trainer import evaluate
from trainer import train as train_module
from trainer.config.load import load_train_config
from trainer.config.schema import TrainConfig
from trainer.loop.schedule import Schedule
from trainer.loop.scoring import score
from trainer.synthetic import write_video
from trainer.train import train
from trainer.weights.checkpoint import load_checkpoint

COLOURS = {"blue": (200, 60, 60), "red": (60, 60, 200)}
LOG_LINE = re.compile(r"epoch: \d+ step: \d+, loss is \d+\.\d{7}")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of each of two colours, easily told apart, in class folders."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (folder / label).mkdir()
        for person in range(6):
            noise = rng.integers(-40, 40, (30, 64, 80, 3))
            frames = (np.array(colour) + noise).astype(np.uint8)
            write_video(folder / label / f"person{person}_{label}.avi", frames, 25)
    return folder


def config(clips: Path, output: Path, *overrides: str) -> TrainConfig:
    words = (
        f"--output={output} --data.clips=[{clips}] --data.split=pattern --num_segments=4 "
        r"--data.split_pattern=person(\d) --data.val_groups=['5'] --width=0.125 --epochs=2 "
        "--preprocessing.image_size=32 --preprocessing.framing=whole --preprocessing.scale=0.02 "
        "--batch_size=5 --lr=0.02 --lr_schedule=one_cycle --dropout=0"
    ).split()
    chosen = dict(word.split("=", 1) for word in [*words, *overrides])
    return load_train_config(None, [f"{key}={value}" for key, value in chosen.items()])


def losses(text: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"loss is (\S+)", text)]


def test_learns_logs_and_repeats(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(clips, tmp_path / "a", "--epochs=6")
    best = train(settings)
    out = capsys.readouterr().out
    steps = [line for line in out.splitlines() if "validation" not in line]
    assert len(steps) == 12 and all(LOG_LINE.fullmatch(line) for line in steps)
    assert out.count("validation: {'Loss': ") == 6
    first = losses(out)
    assert np.mean(first[-4:]) < 0.6 * np.mean(first[:4])

    assert best == tmp_path / "a" / "best.ckpt" and (tmp_path / "a" / "last.ckpt").is_file()
    spec = load_checkpoint(best).spec
    assert spec.labels == ("blue", "red")
    assert spec.training["config"]["lr"] == 0.02
    assert spec.scores["validation"]["num_clips"] == 2

    train(config(clips, tmp_path / "b", "--epochs=6"))
    assert losses(capsys.readouterr().out) == first


@pytest.mark.slow
def test_starts_from_a_checkpoint_with_other_labels(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(config(clips, tmp_path / "a", "--epochs=1"))
    second = train(
        config(
            clips,
            tmp_path / "b",
            f"--init_checkpoint={first}",
            "--epochs=1",
            "--lr=1e-9",
            "--data.idle_label=still",
        )
    )
    assert load_checkpoint(second).spec.labels == ("blue", "red", "still")
    name = "encoder.stem.conv1.conv.weight"
    a, b = (load_checkpoint(path).parameters[name] for path in (first, second))
    assert np.allclose(a, b, atol=1e-6)


def test_validates_as_often_as_told_and_at_the_end(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = train(config(clips, tmp_path, "--epochs=3", "--eval_freq=2"))
    out = capsys.readouterr().out
    assert re.findall(r"epoch: (\d) validation", out) == ["2", "3"]
    assert load_checkpoint(best).spec.training["epoch"] > 1


WILD = ("--lr=1e30", "--lr_schedule=constant", "--clip_gradient=null")


def test_a_loss_that_is_no_number_ends_the_run(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(EcoliteError, match="the loss is") as raised:
        train(config(clips, tmp_path / "run", *WILD))
    assert "checkpoint" not in str(raised.value)  # there is none
    assert not list((tmp_path / "run").iterdir())


def test_a_loss_that_is_no_number_names_the_last_checkpoint(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rate(schedule: Schedule, step: int) -> float:
        return 1e-3 if step < 2 else 1e30  # two steps an epoch

    monkeypatch.setattr(Schedule, "rate", rate)
    output = tmp_path / "run"
    with pytest.raises(EcoliteError, match=r"last good checkpoint is \S+/run/last\.ckpt; try"):
        train(config(clips, output, *WILD, "--epochs=3"))
    assert load_checkpoint(output / "last.ckpt").spec.training["epoch"] == 1


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt", "last.state"])
def test_a_folder_with_a_training_in_it_is_refused(clips: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"dear")
    with pytest.raises(ConfigError, match=r"holds a training; resume it with --resume \S+, name"):
        train(config(clips, tmp_path))
    assert (tmp_path / name).read_bytes() == b"dear"


def test_the_commands_go_from_clips_to_a_bundle(clips: Path, tmp_path: Path) -> None:
    def module(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, cwd=ROOT, check=False
        )

    path = tmp_path / "t.yaml"
    path.write_text(
        f"output: {tmp_path / 'run'}\nnum_segments: 4\nwidth: 0.125\nepochs: 1\nbatch_size: 5\n"
        f"preprocessing: {{image_size: 32}}\ndata: {{clips: [{clips}]}}\n"
    )
    trained = module("trainer.train", "--config", str(path), "--lr", "1e-3")
    assert trained.returncode == 0, trained.stderr
    assert LOG_LINE.match(trained.stdout)
    best = str(tmp_path / "run" / "best.ckpt")

    scored = module("trainer.evaluate", best, "--clips", str(clips))
    assert re.fullmatch(
        r"\{'Loss': [\d.]+, 'Top1-Acc': [\d.]+, 'Top5-Acc': 1.0000\}\n", scored.stdout
    )
    assert "Total data: 12" in scored.stderr

    listed = tmp_path / "val.txt"
    paths = sorted(clips.glob("*/*"))
    text = "".join(f"{p.parent.name}/{p.name} 30 {int('red' in p.name)}\n" for p in paths)
    listed.write_text(text)
    again = module("trainer.evaluate", best, "--val_list", str(listed), "--data_path", str(clips))
    assert again.stdout == scored.stdout, again.stderr

    exported = module("trainer.export", best, "--bundle", str(tmp_path / "bundle"))
    assert exported.returncode == 0, exported.stderr
    assert "agrees on" in exported.stderr
    assert read_bundle(tmp_path / "bundle").spec.labels == ("blue", "red")

    wrong = module("trainer.train", "--config", str(path), "--epoch", "3")
    assert wrong.returncode == 2
    assert wrong.stderr.strip().endswith("unknown key 'epoch'; did you mean 'epochs'?")


def test_scores_count_ranks_and_likelihood() -> None:
    logits = np.array([[3, 2, 1, 0, -1, -2], [0, 1, 2, 3, 4, 5]], np.float32)
    scores = score(logits, np.array([0, 0], np.int32))
    assert (scores.top1, scores.top5, scores.num_clips) == (0.5, 0.5, 2)
    expected = -np.log([np.exp(3) / np.exp(logits[0]).sum(), 1 / np.exp(logits[1]).sum()]).mean()
    assert scores.loss == pytest.approx(expected, rel=1e-5)


def test_a_rank_that_is_not_certain_is_not_right() -> None:
    labels = np.array([0, 2], np.int32)
    assert score(np.ones((2, 6), np.float32), labels).top1 == 0
    assert score(np.ones((2, 6), np.float32), labels).top5 == 0
    tied = np.array([[2, 2, 1], [0, 1, 2]], np.float32)
    assert (score(tied, labels).top1, score(tied, labels).top5) == (0.5, 1)
    nothing = np.full((2, 3), np.nan, np.float32)
    assert (score(nothing, labels).top1, score(nothing, labels).top5) == (0, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected either --clips or --val_list"),
        (["--clips", "a", "--val_list", "b"], "expected either --clips or --val_list"),
        (["--clips", "a", "--data_path", "b"], "--data_path needs --val_list"),
    ],
)
def test_clips_come_from_one_place(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(evaluate.main, ["any.ckpt", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["-1", "0", "nan"])
def test_a_window_has_a_length(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(evaluate.main, ["any.ckpt", "--clips", "any", "--window", seconds])
    assert ended.value.code == 2
    assert "--window is" in capsys.readouterr().err


def test_a_configuration_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(train_module.main, ["--config", "a.yaml", "--config", "b.yaml"])
    assert ended.value.code == 2
    assert "--config is given 2 times" in capsys.readouterr().err
