"""Small networks and the checkpoint files that tests make of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mindspore as ms
import numpy as np

from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import Preprocessing
from tests.golden_rule import golden_parameter
from trainer.network import NetworkConfig, build_network

WIDTH, SIZE, CLASSES = 0.125, 64, 3
LABELS = ("bow", "idle", "wave")


def small(architecture: str = "eco_lite", width: float = WIDTH):
    return build_network(NetworkConfig(architecture, 4, SIZE, CLASSES, width))


def spec_of(network, **changes) -> ModelSpec:
    spec = ModelSpec(
        architecture="eco_lite",
        width=WIDTH,
        num_segments=4,
        feature_shape=network.feature_shape,
        labels=LABELS,
        clip_seconds=2.5,
        preprocessing=Preprocessing(SIZE, framing="whole", channel_order="RGB"),
        temperature=1.5,
        thresholds={"wave": 0.4},
        training={"epochs": 3, "note": "größer"},
        scores={"top1": 0.9},
    )
    return dataclasses.replace(spec, **changes)


def published(name_of, network) -> dict[str, np.ndarray]:
    """A network's parameters under published names, with values by the golden rule."""
    shapes = {name_of(name): tuple(p.shape) for name, p in network.parameters_and_names()}
    return {name: golden_parameter(name, shape) for name, shape in shapes.items()}


def save_npz(path: Path, entries) -> Path:
    np.savez(path, **entries)
    return path


def save_mindspore(path: Path, entries) -> Path:
    ms.save_checkpoint(
        [{"name": name, "data": ms.Tensor(value)} for name, value in entries.items()], str(path)
    )
    return path
