"""Yardsticks: inference libraries on a bundle's own graphs, behind the engines' protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ecolite_stream.engines import Engine
from ecolite_stream.engines.openvino import OpenVinoEngine
from ecolite_stream.model.bundle import PARTS, Bundle
from ecolite_stream.types import FloatArray


class OnnxRuntimeReference:
    """ONNX Runtime with its default settings, on the bundle's ONNX graphs."""

    name = "onnxruntime"

    def __init__(self, bundle: Bundle) -> None:
        import onnxruntime

        graphs = [OpenVinoEngine.graph_for(bundle, part) for part in PARTS]  # the same files
        self._encoder, self._head = (
            onnxruntime.InferenceSession(
                bundle.file(graph.file), providers=["CPUExecutionProvider"]
            )
            for graph in graphs
        )

    def encode(self, images: FloatArray) -> FloatArray:
        return _run(self._encoder, images)

    def classify(self, features: FloatArray) -> FloatArray:
        return _run(self._head, features)

    def close(self) -> None:
        del self._encoder, self._head


REFERENCES: dict[str, Callable[[Bundle], Engine]] = {
    "onnxruntime": OnnxRuntimeReference,
    "openvino": OpenVinoEngine,
}
"""Each is named as the package that it needs."""


def _run(session: Any, batch: FloatArray) -> FloatArray:
    """Run a graph made for a batch of one on each of (K, ...)."""
    name = session.get_inputs()[0].name
    results = [session.run(None, {name: batch[i : i + 1]})[0] for i in range(len(batch))]
    return np.concatenate(results)
