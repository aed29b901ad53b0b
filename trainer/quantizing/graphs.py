"""ONNX graphs in int8, by NNCF's post-training quantization."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ecolite_stream.app.extras import missing_extra
from ecolite_stream.engines.openvino import block_telemetry
from ecolite_stream.errors import BundleError, EngineError, one_line
from ecolite_stream.model.bundle import Bundle, Graph
from ecolite_stream.model.graph_files import require_self_contained
from ecolite_stream.types import FloatArray

LAYERS = ("Conv", "Gemm", "MatMul")
"""Operations that compute in int8."""
Kept = tuple[int, int]
"""(first, last) layers of a graph that stay in float32."""
ATTEMPTS: Mapping[str, tuple[Kept, Kept | None]] = {
    "all layers": ((0, 0), (0, 0)),
    "all but the first and the last layer of each graph": ((1, 1), (1, 1)),
    "the encoder, all but its first three and last two layers,": ((3, 2), None),
}
"""Name -> what encoder and head keep; None keeps all. They are tried in this order."""


def quantized(bundle: Bundle, graph: Graph, samples: FloatArray, kept: Kept) -> bytes:
    """A graph in int8: an ONNX model with QuantizeLinear and DequantizeLinear.

    Args:
        bundle: that has the graph.
        graph: an ONNX graph that takes one sample.
        samples: (K, ...) float32, inputs that show its ranges.
        kept: number of (first, last) layers that stay in float32.

    Raises:
        ConfigError: NNCF or onnx is not installed.
        BundleError: the graph cannot be read.
        EngineError: NNCF cannot quantize it.
    """
    onnx, nncf = _libraries()
    path = bundle.file(graph.file)
    require_self_contained(path, graph.format)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own, of which there are several
        raise BundleError(f"{path} is no ONNX graph: {error}; export the bundle again") from error
    layers = [node.name for node in model.graph.node if node.op_type in LAYERS]
    first, last = kept
    names = {*layers[:first], *layers[len(layers) - last :]}
    name = model.graph.input[0].name
    try:
        made = nncf.quantize(
            model,
            nncf.Dataset([sample[None] for sample in samples], lambda sample: {name: sample}),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(samples),
            ignored_scope=nncf.IgnoredScope(names=sorted(names)) if names else None,
        )
    except Exception as error:  # of NNCF and of ONNX Runtime, which it calibrates with
        raise EngineError(f"{path} cannot be quantized: {one_line(error)}") from error
    data: bytes = made.SerializeToString()
    return data


def _libraries() -> tuple[Any, Any]:
    block_telemetry()
    try:
        import nncf
        import onnx
    except ModuleNotFoundError as error:
        raise missing_extra("trainer.quantize", error.name or "nncf", "int8") from error
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return onnx, nncf
