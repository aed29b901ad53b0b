"""Every key of the published configurations changes what it says, or is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ecolite_stream.errors import ConfigError
from trainer.config.load import load_train_config
from trainer.config.schema import TrainConfig

START = ("--data.clips", "[clips]")
LISTS = ("--train_list", "train.txt", "--val_list", "val.txt")
MODELARTS = ("--enable_modelarts", "true", *LISTS)


def value_of(config: TrainConfig, key: str) -> Any:
    found: Any = config
    for part in key.split("."):
        found = getattr(found, part)
    return found


TAKEN: list[tuple[str, str, str, Any, tuple[str, ...]]] = [
    # published key, value, own key, what it becomes, what it needs beside it
    ("dataset", "ucf101", "labels", "ucf101", LISTS),
    ("dataset", "kinetics", "labels", "kinetics400", LISTS),
    ("train_list", "a.txt", "train_list", Path("a.txt"), ("--val_list", "b.txt")),
    ("val_list", "b.txt", "val_list", Path("b.txt"), ("--train_list", "a.txt")),
    ("arch", "ECO", "arch", "eco_lite", START),
    ("arch", "ECOfull", "arch", "eco_full", START),
    ("num_segments", "16", "num_segments", 16, START),
    ("dropout", "0.7", "dropout", 0.7, START),
    ("epochs", "40", "epochs", 40, START),
    ("batch-size", "12", "batch_size", 12, START),
    ("lr", "0.01", "lr", 0.01, START),
    ("momentum", "0.8", "momentum", 0.8, START),
    ("no_partialbn", "false", "no_partialbn", False, START),
    ("nesterov", "false", "nesterov", False, START),
    ("weight-decay", "0.001", "weight_decay", 0.001, START),
    ("weight_decay", "0.001", "weight_decay", 0.001, START),
    ("num_saturate", "3", "num_saturate", 3, START),
    ("workers", "4", "data.workers", 4, START),
    ("run_distribute", "true", "run_distribute", True, START),
    ("resume", "runs/a", "resume", Path("runs/a"), START),
    ("resume", "''", "resume", None, START),
    ("device_target", "Ascend", "device_target", "Ascend", START),
    ("device_id", "3", "device_id", 3, START),
    ("rgb_prefix", "img_", "rgb_prefix", "img_", START),
    ("eval_freq", "5", "eval_freq", 5, START),
    ("evaluate", "true", "evaluate", True, (*START, "--init_checkpoint", "a.ckpt")),
    ("seed", "7", "seed", 7, START),
    ("checkpoint_path", "a.ckpt", "init_checkpoint", Path("a.ckpt"), START),
    ("enable_modelarts", "true", "modelarts.enable", True, START),
    ("data_url", "s3", "modelarts.data_url", "s3", MODELARTS),
    ("train_url", "s3", "modelarts.train_url", "s3", MODELARTS),
    ("checkpoint_url", "s3", "modelarts.checkpoint_url", "s3", MODELARTS),
    ("data_path", "/cache/data", "data_path", "/cache/data", MODELARTS),
    ("output_path", "/cache/train", "output", Path("/cache/train"), START),
    ("load_path", "/cache/c", "modelarts.load_path", Path("/cache/c"), START),
    (
        "need_modelarts_dataset_unzip",
        "true",
        "modelarts.unzip",
        True,
        (*MODELARTS, "--data_url", "s3", "--modelarts_dataset_unzip_name", "frames"),
    ),
    ("modelarts_dataset_unzip_name", "frames", "modelarts.unzip_name", "frames", START),
]


@pytest.mark.parametrize(("published", "value", "own", "expected", "beside"), TAKEN)
def test_a_published_key_sets_what_it_says(
    published: str, value: str, own: str, expected: Any, beside: tuple[str, ...], tmp_path: Path
) -> None:
    words = [*beside, f"--{published}={value}"]
    assert value_of(load_train_config(None, words), own) == expected
    path = tmp_path / "published.yaml"
    path.write_text(f"{published}: {value}\n")
    others = load_train_config(path, list(beside))
    assert value_of(others, own) == expected


@pytest.mark.parametrize(
    ("published", "value"),
    [
        ("modality", "RGB"),
        ("consensus_type", "identity"),
        ("consensus_type", "avg"),
        ("loss_type", "nll"),
    ],
)
def test_what_there_is_one_way_of_may_be_said(published: str, value: str) -> None:
    assert load_train_config(None, [*START, f"--{published}={value}"]) == load_train_config(
        None, list(START)
    )


@pytest.mark.parametrize(
    ("published", "value", "reason"),
    [
        ("modality", "Flow", "modality is 'Flow'; expected RGB: the network sees colour"),
        ("consensus_type", "max", "expected identity: the 3D net makes one answer"),
        ("loss_type", "mse", "expected nll: the loss is cross entropy"),
        ("dataset", "something", "expected ucf101, hmdb51, kinetics; for another one leave it out"),
        ("arch", "BNInception", "BNInception"),
        ("file_format", "MINDIR", "is for the export; give it to python -m trainer.export"),
        ("file_name", "ecolite", "is for the export; give it to python -m trainer.export"),
        ("data_url", "s3", "need enable"),
        ("need_modelarts_dataset_unzip", "true", "unzip needs unzip_name and data_url"),
        ("evaluate", "true", "evaluate needs a checkpoint"),
        ("eval_freq", "0", "eval_freq is 0"),
        ("device_id", "-1", "device_id is -1"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(
    published: str, value: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        load_train_config(None, [*START, f"--{published}={value}"])


PUBLISHED = """
dataset modality train_list val_list arch num_segments consensus_type dropout loss_type epochs
batch-size lr momentum no_partialbn nesterov weight_decay num_saturate workers run_distribute resume
device_target device_id rgb_prefix eval_freq evaluate seed checkpoint_path file_format file_name
enable_modelarts data_url train_url checkpoint_url data_path output_path load_path
need_modelarts_dataset_unzip modelarts_dataset_unzip_name
"""


def test_every_published_key_is_walked() -> None:
    walked = {row[0] for row in TAKEN} | {"modality", "consensus_type", "loss_type"}
    assert set(PUBLISHED.split()) - walked == {"file_format", "file_name"}


def test_a_key_by_both_its_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("data: {clips: [a], workers: 2}\nworkers: 3\n")
    with pytest.raises(ConfigError, match=r"data\.workers is given twice"):
        load_train_config(path)
    with pytest.raises(ConfigError, match="batch_size is given twice"):
        load_train_config(None, [*START, "--batch-size=3", "--batch_size=4"])


def test_the_command_line_overrides_a_published_key_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("data: {clips: [a]}\nbatch-size: 12\nworkers: 3\n")
    config = load_train_config(path, ["--batch_size", "4", "--data.workers", "1"])
    assert (config.batch_size, config.data.workers) == (4, 1)
