"""The graphs of a bundle that have 2D convolutions only: made from a network, or from the bundle.

MindSpore Lite, the runtime of Ascend 310, and other small ones convert no 3D convolution; the
larger ones run these graphs about as fast as any (`trainer.reference.heads`). So all ONNX in a
bundle is of this kind.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mindspore as ms
import mindspore.nn as nn
import numpy as np

from ecolite_stream.engines.check import relative_error
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import (
    CONV2D_ONLY_PARTS,
    EXPORTED,
    Bundle,
    Graph,
    read_bundle,
    write_description,
)
from ecolite_stream.model.golden import Golden
from ecolite_stream.model.preprocess import preprocess
from trainer.network.conv2d_only import conv2d_only_head
from trainer.network.folded import fold_encoder
from trainer.weights.checkpoint import Checkpoint, checkpoint_of, network_from

TOLERANCE = 1e-4
"""Largest error of these graphs, relative to the largest value of the ordinary ones."""

CONV2D_ONLY = tuple(graph for graph in EXPORTED if graph.part in CONV2D_ONLY_PARTS.values())
"""What every bundle has."""

CONV2D_ONLY_MINDSPORE = Graph("head_2d", "mindir", "head_2d.mindir", batch_sizes=(1,))
"""Which the engine `mindspore` runs in place of the ordinary head where a bundle has it."""


def export_graph(part: nn.Cell, example: ms.Tensor, path: Path, file_format: str) -> None:
    """Write a cell as MINDIR, AIR or ONNX, the latter for inputs of exactly the example's shape.

    MindSpore refuses a path with a space or an umlaut in it, so it gets there by a link.
    """
    with tempfile.TemporaryDirectory(prefix="ecolite-") as scratch:
        link = Path(scratch) / "link"
        link.symlink_to(path.parent.resolve(), target_is_directory=True)
        plain = f"graph.{file_format.lower()}"
        if file_format == "ONNX" and hasattr(ms, "onnx"):
            ms.onnx.export(part, example, file_name=str(link / plain))
        else:  # MindSpore 2.7 writes ONNX this way, too
            ms.export(part, example, file_name=str(link / plain), file_format=file_format)
    path.with_name(plain).replace(path)


def export_conv2d_only(
    checkpoint: Checkpoint, golden: Golden, folder: Path, graphs: Sequence[Graph] = CONV2D_ONLY
) -> None:
    """Write graphs with 2D convolutions only, after holding them against the golden numbers.

    Args:
        checkpoint: the model.
        golden: what the ordinary network makes of an input.
        folder: where the files go.
        graphs: of `CONV2D_ONLY_PARTS`.

    Raises:
        EngineError: they compute something else.
    """
    network, spec = network_from(checkpoint), checkpoint.spec
    head, encoder = conv2d_only_head(network, spec.num_segments), fold_encoder(network)
    images = np.stack([preprocess(image, spec.preprocessing) for image in golden.images])
    features = np.concatenate([encoder(ms.Tensor(image[None])).asnumpy() for image in images])
    logits = head(ms.Tensor(golden.features[None])).asnumpy()[0]
    _require("features", relative_error(features, golden.features))
    _require("logits", relative_error(logits, golden.logits))
    cells = {
        CONV2D_ONLY_PARTS["encoder"]: (encoder, ms.Tensor(images[:1])),
        CONV2D_ONLY_PARTS["head"]: (head, ms.Tensor(golden.features[None])),
    }
    for graph in graphs:
        export_graph(*cells[graph.part], folder / graph.file, graph.format.upper())


def with_conv2d_only(bundle: Bundle, draft: Path, graphs: Sequence[Graph] = CONV2D_ONLY) -> Bundle:
    """A copy of a bundle with `graphs` in place of all ONNX it has, made from its own weights.

    Args:
        bundle: as read; it stays the same model, with another digest.
        draft: an empty folder.
        graphs: of `CONV2D_ONLY_PARTS`.

    Raises:
        BundleError: its weights cannot be had: it has no MindIR graphs, or of another network.
        EngineError: the new graphs compute something else.
    """
    made = {graph.file for graph in graphs}
    kept = [it for it in bundle.graphs if it.format != "onnx" and it.file not in made]
    for name in dict.fromkeys([*(graph.file for graph in kept), *bundle.files]):
        shutil.copyfile(bundle.file(name), draft / name)
    export_conv2d_only(checkpoint_of(bundle), bundle.golden(), draft, graphs)
    write_description(draft, bundle.spec, [*kept, *graphs], bundle.files)
    return read_bundle(draft)


def _require(what: str, error: float) -> None:
    if not error <= TOLERANCE:
        raise EngineError(
            f"2D graphs disagree with the ordinary ones: their {what} are off by {error:.1e}, at "
            f"most {TOLERANCE:.0e} is allowed; the bundle was not written"
        )
