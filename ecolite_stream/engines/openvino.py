"""The OpenVINO engine: x86 and Arm processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.bundle import Bundle
from ecolite_stream.errors import EngineError
from ecolite_stream.types import FloatArray


class OpenVinoEngine:
    """Runs a bundle's ONNX graphs with OpenVINO on the CPU, in float32.

    Raises:
        EngineError: OpenVINO is not installed or cannot compile the graphs.
    """

    name = "openvino"

    def __init__(self, bundle: Bundle) -> None:
        try:
            import openvino
        except ImportError as error:
            raise EngineError(
                "engine openvino is not installed; run pip install 'ecolite-stream[openvino]'"
            ) from error
        core = openvino.Core()
        self._encoder = self._compile(core, bundle.file("encoder.onnx"))
        self._head = self._compile(core, bundle.file("head.onnx"))
        size = bundle.spec.preprocessing.image_size
        feature = self.encode(np.zeros((1, 3, size, size), np.float32))
        self.classify(np.repeat(feature[None], bundle.spec.num_segments, axis=1))

    def encode(self, images: FloatArray) -> FloatArray:
        return np.concatenate([self._infer(self._encoder, images[i : i + 1]) for i in range(len(images))])

    def classify(self, features: FloatArray) -> FloatArray:
        return np.concatenate(
            [self._infer(self._head, features[i : i + 1]) for i in range(len(features))]
        )

    def close(self) -> None:
        del self._encoder, self._head

    @staticmethod
    def _compile(core: Any, graph: Path) -> Any:
        # Left alone, OpenVINO computes in bfloat16 where the processor has it.
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        try:
            return core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise EngineError(f"engine openvino cannot compile {graph}: {error}") from error

    @staticmethod
    def _infer(request: Any, batch: FloatArray) -> FloatArray:
        # The request writes into the same buffer every time: its result is copied out.
        return np.array(request.infer([batch], share_inputs=True)[0], np.float32)
