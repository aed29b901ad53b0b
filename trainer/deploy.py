"""The graphs of a bundle that have 2D convolutions only: made from a network, or from the bundle.

MindSpore Lite, the runtime of Ascend 310, and other small ones convert no 3D convolution.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import mindspore.nn as nn
import numpy as np

from ecolite_stream.bundle import (
    EXPORTED,
    PARTS,
    PLANAR_PARTS,
    Bundle,
    Golden,
    Graph,
    read_bundle,
    write_description,
)
from ecolite_stream.engines import installed_engines
from ecolite_stream.engines.check import CANNOT_RUN, Outcome, check_apart, relative_error
from ecolite_stream.errors import BundleError, EngineError
from ecolite_stream.preprocess import preprocess
from trainer.checkpoint import Checkpoint, checkpoint_of, network_from
from trainer.network.planar import planar_encoder, planar_head

TOLERANCE = 1e-4
"""Largest error of these graphs, relative to the largest value of the ordinary ones."""

PLANAR = tuple(graph for graph in EXPORTED if graph.part in PLANAR_PARTS.values())


def export_onnx(part: nn.Cell, example: ms.Tensor, path: Path) -> None:
    """Write a cell as ONNX, for inputs of exactly the example's shape."""
    if hasattr(ms, "onnx"):
        ms.onnx.export(part, example, file_name=str(path))
    else:  # MindSpore 2.7
        ms.export(part, example, file_name=str(path), file_format="ONNX")


def export_planar(checkpoint: Checkpoint, golden: Golden, folder: Path) -> None:
    """Write the graphs `PLANAR`, after holding them against the golden numbers.

    Args:
        checkpoint: the model.
        golden: what the ordinary network makes of an input.
        folder: where the files go.

    Raises:
        EngineError: they compute something else.
    """
    network, spec = network_from(checkpoint), checkpoint.spec
    head, encoder = planar_head(network, spec.num_segments), planar_encoder(network)
    images = np.stack([preprocess(image, spec.preprocessing) for image in golden.images])
    features = np.concatenate([encoder(ms.Tensor(image[None])).asnumpy() for image in images])
    logits = head(ms.Tensor(golden.features[None])).asnumpy()[0]
    _require("features", relative_error(features, golden.features))
    _require("logits", relative_error(logits, golden.logits))
    export_onnx(encoder, ms.Tensor(images[:1]), folder / "encoder_2d.onnx")
    export_onnx(head, ms.Tensor(golden.features[None]), folder / "head_2d.onnx")


def check_planar(bundle: Bundle, scratch: Path) -> list[Outcome]:
    """Run the graphs `PLANAR` on every engine installed that can, as if the bundle had no others.

    Args:
        bundle: has them.
        scratch: an empty folder that may be filled.

    Raises:
        EngineError: one is off by more than `TOLERANCE`, or fails.
    """
    only = planar_only(bundle, scratch)
    outcomes = [check_apart(name, only) for name in installed_engines()]
    ran = [outcome for outcome in outcomes if outcome.state != CANNOT_RUN]
    for outcome in ran:
        if outcome.check is None:
            raise EngineError(f"2D graphs: {outcome}; the bundle was not written")
        where = f" on engine {outcome.engine}"
        _require("features" + where, outcome.check.feature_error)
        _require("logits" + where, outcome.check.logit_error)
    return ran


def planar_only(bundle: Bundle, folder: Path) -> Bundle:
    """A copy of a bundle whose graphs are the 2D ones alone, under the ordinary parts' names."""
    graphs: list[Graph] = []
    for part in PARTS:
        graph = bundle.graph(PLANAR_PARTS[part], "onnx")
        if graph is None:
            raise BundleError(f"{bundle.path} has no {PLANAR_PARTS[part]} graph; add them")
        graphs.append(replace(graph, part=part))
    _copy(bundle, [*(graph.file for graph in graphs), *bundle.files], folder)
    return write_description(folder, bundle.spec, graphs, bundle.files)


def with_planar(bundle: Bundle, draft: Path) -> Bundle:
    """A copy of a bundle that has the graphs `PLANAR` too, made from its own weights.

    Args:
        bundle: as read; it stays the same model, with another digest.
        draft: an empty folder.

    Raises:
        BundleError: its weights cannot be had: it has no MindIR graphs, or of another network.
        EngineError: the new graphs compute something else.
    """
    kept = [graph for graph in bundle.graphs if graph.part not in PLANAR_PARTS.values()]
    _copy(bundle, [*(graph.file for graph in kept), *bundle.files], draft)
    export_planar(checkpoint_of(bundle), bundle.golden(), draft)
    written = write_description(draft, bundle.spec, [*kept, *PLANAR], bundle.files)
    with tempfile.TemporaryDirectory(dir=draft.parent, prefix="planar-") as scratch:
        check_planar(written, Path(scratch))
    return read_bundle(draft)


def _copy(bundle: Bundle, names: Sequence[str], folder: Path) -> None:
    for name in dict.fromkeys(names):
        shutil.copyfile(bundle.file(name), folder / name)


def _require(what: str, error: float) -> None:
    if not error <= TOLERANCE:
        raise EngineError(
            f"2D graphs disagree with the ordinary ones: their {what} are off by {error:.1e}, at "
            f"most {TOLERANCE:.0e} is allowed; the bundle was not written"
        )
