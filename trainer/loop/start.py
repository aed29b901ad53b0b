"""Initial weights of a training: random, or those of a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import click
import mindspore as ms

from ecolite_stream.errors import ConfigError
from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.types import FloatArray
from trainer.config.schema import TrainConfig
from trainer.network import Network, NetworkConfig, build_network
from trainer.weights.checkpoint import Checkpoint, load_checkpoint, load_parameters, parameters_of
from trainer.weights.published import CLASSIFIER

_log = logging.getLogger(__name__)


def make_network(config: TrainConfig, labels: Sequence[str]) -> Network:
    """Build a network for `labels`, with random weights or those of `init_checkpoint`.

    Raises:
        BundleError: the checkpoint cannot be read, or holds another kind of network.
        ConfigError: it was trained on pictures of another colour order, mean or scale.
    """
    network = build_network(
        NetworkConfig(
            config.arch,
            config.num_segments,
            config.preprocessing.image_size,
            len(labels),
            config.width,
        ),
        config.dropout,
    )
    if config.init_checkpoint:
        start = load_checkpoint(config.init_checkpoint)
        _compare(config.init_checkpoint, start.spec.preprocessing, config.preprocessing)
        if start.is_trimmed and config.num_segments > start.spec.num_segments:
            _log.warning(
                "%s lacks the weights that only more than its %d segments use; they start from "
                "zero. Start from the checkpoint that it was exported from",
                config.init_checkpoint,
                start.spec.num_segments,
            )
        rows = _classifier(config.init_checkpoint, start, labels, parameters_of(network))
        load_parameters(network, {**start.parameters, **rows})
    elif config.motion_init:
        start_from_motion(network)
    return network


def _compare(path: Path, theirs: Preprocessing, ours: Preprocessing) -> None:
    """Refuse other pixel values; warn of another size or framing, which training may adapt to."""
    for name in ("channel_order", "mean", "scale", "image_size", "framing"):
        there, here = getattr(theirs, name), getattr(ours, name)
        if there == here:
            continue
        difference = f"preprocessing.{name} is {here}, {path} was trained with {there}"
        if name in ("image_size", "framing"):
            _log.warning("%s; it may take longer to learn", difference)
        else:
            raise ConfigError(f"{difference}; set it to that, or remove init_checkpoint")


def _classifier(
    path: Path, start: Checkpoint, labels: Sequence[str], fresh: dict[str, FloatArray]
) -> dict[str, FloatArray]:
    """The classifier's parameters: the checkpoint's rows in our order if the labels are the same,
    else new ones. Rows trained against other classes do not fit beside new rows.
    """
    names = [name for name in fresh if name.startswith(CLASSIFIER)]
    theirs = start.spec.labels
    if set(theirs) == set(labels):
        order = [theirs.index(label) for label in labels]
        return {name: start.parameters[name][order] for name in names}
    shared = len(set(theirs) & set(labels))
    click.echo(
        f"{path} has other labels ({shared} of {len(labels)} are among its {len(theirs)}): the "
        "classifier gets new weights",
        err=True,
    )
    return {name: fresh[name] for name in names}


def start_from_motion(network: Network) -> None:
    """Subtract the mean over time from the first 3D convolution, and keep its spread.

    The 3D net then starts blind to what is the same in all frames.
    """
    weight_OITHW = network.head.net3d.res3a_2.conv.weight
    start = weight_OITHW.asnumpy()
    moving = start - start.mean(axis=2, keepdims=True)
    weight_OITHW.set_data(ms.Tensor(moving * (start.std() / moving.std())))
