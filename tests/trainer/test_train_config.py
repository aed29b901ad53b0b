"""The training configuration: files, overrides, schedules."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.errors import ConfigError
from trainer.config import DataConfig, TrainConfig, load_train_config
from trainer.schedule import Schedule

DATA = DataConfig(clips=("clips",))


def test_overrides_reach_nested_keys_and_keep_their_neighbours(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("epochs: 3\ndata: {clips: [a], split: none}\n")
    config = load_train_config(path, ["--data.clips", "[b, c]", "--lr=1e-2", "--epochs", "5"])
    assert config.data.clips == ("b", "c")
    assert config.data.split == "none"
    assert (config.lr, config.epochs) == (0.01, 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epoch", "3"], "did you mean 'epochs'"),
        (["--data.clip", "[a]"], "did you mean 'clips'"),
        (["--epochs"], "--epochs has no value"),
        (["epochs", "3"], "expected --key value"),
        (["--epochs", "many"], "expected a whole number, got 'many'"),
        (["--epochs", "0"], "epochs is 0"),
        (["--lr_schedule", "magic"], "lr_schedule is 'magic'"),
        (["--dropout", "1"], "dropout is 1"),
        (["--data.split", "pattern"], "needs split_pattern"),
        (["--data.clips", "[]"], "nothing to learn"),
        (["--augmentation.window_s", "[2, 1]"], "window_s"),
    ],
)
def test_says_what_is_wrong(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_train_config(None, ["--data.clips", "[clips]", *words])


def rates(name: str, steps: int = 100) -> list[float]:
    schedule = Schedule(TrainConfig(DATA, lr=1.0, lr_schedule=name), steps)
    return [schedule.rate(step) for step in range(steps)]


def test_cosine_falls_from_lr_to_zero() -> None:
    values = rates("cosine")
    assert values[0] == 1 and values[-1] == pytest.approx(0)
    assert values == sorted(values, reverse=True)


def test_one_cycle_rises_to_lr_and_falls() -> None:
    values = rates("one_cycle")
    top = values.index(max(values))
    assert max(values) == pytest.approx(1, rel=0.01) and 13 <= top <= 16
    assert values[0] == pytest.approx(1 / 25) and values[-1] < 1e-4
    assert values[:top] == sorted(values[:top])


def test_saturate_drops_when_validation_stops_improving() -> None:
    schedule = Schedule(TrainConfig(DATA, lr=1.0, lr_schedule="saturate", num_saturate=2), 100)
    seen = []
    for score in (0.5, 0.6, 0.6, 0.5, 0.7, 0.7, 0.7):
        schedule.end_epoch(score)
        seen.append(schedule.rate(0))
    assert seen == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])
