"""The keys of the published configurations (ECO-pytorch, ModelZoo ecolite) as keys of this one.

Published names work in files and on the command line. Most are the same here; others are renamed
(`RENAMED`), must have one value (`FIXED`), or are refused, as they belong to another command
(`ELSEWHERE`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecolite_stream.errors import ConfigError

RENAMED = {
    "workers": "data.workers",
    "output_path": "output",
    "checkpoint_path": "init_checkpoint",
    "enable_modelarts": "modelarts.enable",
    "data_url": "modelarts.data_url",
    "train_url": "modelarts.train_url",
    "checkpoint_url": "modelarts.checkpoint_url",
    "load_path": "modelarts.load_path",
    "need_modelarts_dataset_unzip": "modelarts.unzip",
    "modelarts_dataset_unzip_name": "modelarts.unzip_name",
}
ARCHITECTURES = {"ECO": "eco_lite", "ECOfull": "eco_full"}
DATASETS = {"ucf101": "ucf101", "hmdb51": "hmdb51", "kinetics": "kinetics400"}
"""Published data sets: the label list that their class indices count in."""

FIXED = {
    "modality": (("RGB",), "the network sees colour pictures; flow and differences are not read"),
    "consensus_type": (
        ("identity", "avg"),
        "the 3D net makes one answer of all segments, so there is nothing else to agree on",
    ),
    "loss_type": (("nll",), "the loss is cross entropy"),
}
ELSEWHERE = {
    "file_format": "python -m trainer.export --file_format",
    "file_name": "python -m trainer.export --file_name",
}
MAY_BE_EMPTY = frozenset(
    {"resume", "init_checkpoint", "train_list", "val_list", "data_path", "labels", "dataset"}
)
"""Keys whose empty text means nothing, as in the published files."""


def own_key(name: str) -> str:
    """This project's key of a published or own one: `batch-size` -> `batch_size`.

    Keys of a section stand behind a point: `workers` -> `data.workers`.
    """
    key = name.replace("-", "_")
    return RENAMED.get(key, key)


def own_values(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Configuration values under this project's keys.

    Args:
        where: the file or command line, for messages.

    Raises:
        ConfigError: a published value is not supported, or belongs to another command.
    """
    own = dict(values)
    for key in values.keys() & ELSEWHERE.keys():
        raise ConfigError(f"{where}: {key} is for the export; give it to {ELSEWHERE[key]}")
    for key, (allowed, reason) in FIXED.items():
        value = own.pop(key, allowed[0])
        if value not in allowed:
            raise ConfigError(f"{where}: {key} is {value!r}; expected {allowed[0]}: {reason}")
    for key in own.keys() & MAY_BE_EMPTY:
        own[key] = None if own[key] == "" else own[key]
    if isinstance(own.get("arch"), str):
        own["arch"] = ARCHITECTURES.get(own["arch"], own["arch"])
    if dataset := own.pop("dataset", None):
        _name_labels(own, dataset, where)
    return own


def _name_labels(own: dict[str, Any], dataset: Any, where: str) -> None:
    """Set `labels` by the published data set, unless they are given."""
    if own.get("labels") is not None:
        return
    if dataset not in DATASETS:
        raise ConfigError(
            f"{where}: dataset is {dataset!r}, expected {', '.join(DATASETS)}; for another one "
            "leave it out and name its labels: a file with one in a line"
        )
    if own.get("train_list") is not None:
        own["labels"] = DATASETS[dataset]
