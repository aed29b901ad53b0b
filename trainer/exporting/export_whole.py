"""The whole network as one file, as the published export writes it: clips -> logits.

A bundle has the network in two graphs, for streams; this file classifies whole clips.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import mindspore as ms
import numpy as np

from ecolite_stream.errors import BundleError, ConfigError, EngineError, one_line
from trainer.exporting.deploy import export_graph
from trainer.weights.checkpoint import Checkpoint, network_from

FORMATS = ("MINDIR", "ONNX", "AIR")


def format_of(path: Path) -> str:
    """The format of a file's suffix, else MINDIR."""
    suffix = path.suffix.removeprefix(".").upper()
    return suffix if suffix in FORMATS else "MINDIR"


def export_whole(checkpoint: Checkpoint, file_format: str, path: Path) -> Path:
    """Write a network for one clip (1, N, 3, S, S) float32 -> logits (1, classes) float32.

    Args:
        checkpoint: the model.
        file_format: one of `FORMATS`.
        path: the file; its suffix, `.mindir` and so on, is added where it is missing.

    Returns:
        The file, written whole or not at all.

    Raises:
        ConfigError: the path names no file.
        EngineError: AIR needs an Ascend.
        BundleError: the file cannot be written.
    """
    if not path.name:
        raise ConfigError(f"{path} is a folder; name a file in it")
    if file_format == "AIR" and ms.get_context("device_target") != "Ascend":
        raise EngineError(
            "AIR is written on an Ascend only (--device ascend); here write ONNX, which "
            "scripts/convert_310.sh and atc take too"
        )
    suffix = f".{file_format.lower()}"
    path = path if path.suffix.lower() == suffix else path.with_name(path.name + suffix)
    network, spec = network_from(checkpoint), checkpoint.spec
    network.set_train(False)
    size = spec.preprocessing.image_size
    example = ms.Tensor(np.zeros((1, spec.num_segments, 3, size, size), np.float32))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as scratch:
            draft = Path(scratch) / path.name
            export_graph(network, example, draft, file_format)
            draft.chmod(0o644)
            draft.replace(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {one_line(error)}") from error
    return path
