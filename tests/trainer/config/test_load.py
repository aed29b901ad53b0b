"""The training configuration: files, overrides, schedules."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecolite_stream.errors import ConfigError
from tests.conftest import ROOT
from trainer.config.load import load_train_config
from trainer.config.schema import DataConfig, TrainConfig
from trainer.loop.schedule import Schedule

DATA = DataConfig(clips=("clips",))


def test_overrides_reach_nested_keys_and_keep_their_neighbours(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("epochs: 3\nlr_schedule: cosine\ndata: {clips: [a], split: none}\n")
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
        (["--data.split", "pattern"], "needs val_groups, and split_pattern or groups"),
        (["--data.clips", "[]"], "there are no clips; set data.clips"),
        (["--augmentation.window_s", "[2, 1]"], "window_s"),
        (["--augmentation.window_s", "[1, .inf]"], "window_s"),
        (["--clip_gradient", "0"], "clip_gradient is 0.0; expected a number above 0"),
        (["--weight_decay", "-1"], "weight_decay is -1.0; expected at least 0"),
        (["--seed", "-1"], "seed is -1"),
        (["--lr", ".nan"], "lr is nan"),
        (["--augmentation.segment_jitter", "9"], "segment_jitter is 9.0; expected 0 to 1"),
        (["--augmentation.flip", "-3"], "flip is -3.0; expected 0 to 1"),
        (["--augmentation.partial_memory", "7"], "partial_memory is 7.0; expected 0 to 1"),
        (["--augmentation.noise", "-1"], "noise is -1.0; expected at least 0"),
        (["--augmentation.brightness", "-1"], "brightness is -1.0; expected at least 0"),
        (["--augmentation.contrast", "-1"], "contrast is -1.0; expected 0 to 1"),
        (["--augmentation.max_distort", "-1"], "max_distort is -1; expected at least 0"),
        (["--data.idle_stills", "0"], "idle_stills is 0; expected at least 1"),
        (["--data.idle_per_epoch", "11"], "idle_per_epoch is 11; expected 1 to 10"),
        (["--data.figures_per_class", "-1"], "figures_per_class is -1; expected at least 0"),
        (
            ["--data.figures_per_class", "2", "--data.figures_per_epoch", "3"],
            "figures_per_epoch is 3; expected 1 to 2",
        ),
        (["--data.idle_figures", "-1"], "idle_figures is -1; expected at least 0"),
        (
            ["--data.idle_figures", "2", "--data.idle_figures_per_epoch", "3"],
            "idle_figures_per_epoch is 3; expected 1 to 2",
        ),
        (["--data.split", "none"], "'saturate' lowers the rate by validation scores"),
        (["--epochs", "3", "--epochs=4"], "--epochs is given twice"),
        (["--data.split", "none", "--data.split", "list"], "--data.split is given twice"),
        (["--data", "{clips: [a]}"], "both set data.clips"),
        (
            ["--augmentation", "{noise: 1, noise: 2}"],
            "'noise' is repeated",
        ),
    ],
)
def test_says_what_is_wrong(words: list[str], message: str) -> None:
    clips = [] if "--data.clips" in words else ["--data.clips", "[clips]"]
    with pytest.raises(ConfigError, match=message):
        load_train_config(None, [*clips, *words])


def test_a_mistake_on_the_command_line_is_not_the_files_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("data: {clips: [a]}")
    with pytest.raises(ConfigError, match=r"t\.yaml and command line: unknown key 'epoch'"):
        load_train_config(path, ["--epoch", "3"])


@pytest.mark.parametrize("path", sorted((ROOT / "configs/train").glob("*.yaml")), ids=str)
def test_every_configuration_that_comes_along_loads(path: Path) -> None:
    load_train_config(path)


def test_the_defaults_go_together() -> None:
    assert TrainConfig(DATA).lr_schedule == "saturate"
    with pytest.raises(ConfigError, match="one_cycle"):
        TrainConfig(DataConfig(figures_per_class=1))


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
