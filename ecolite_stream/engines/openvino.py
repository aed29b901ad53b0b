"""The OpenVINO engine: x86 and Arm processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.bundle import Bundle
from ecolite_stream.engines.base import import_library, warm_up
from ecolite_stream.errors import EngineError
from ecolite_stream.types import FloatArray


class OpenVinoEngine:
    """Runs a bundle's ONNX graphs with OpenVINO on the CPU, in float32.

    Raises:
        EngineError: OpenVINO is not installed or cannot run the graphs.
    """

    name = "openvino"

    def __init__(self, bundle: Bundle) -> None:
        core = import_library("openvino", "ecolite-stream[openvino]").Core()
        self._encoder = self._compile(core, bundle.file("encoder.onnx"))
        self._head = self._compile(core, bundle.file("head.onnx"))
        warm_up(self, bundle.spec)

    def encode(self, images: FloatArray) -> FloatArray:
        return self._run(self._encoder, images)

    def classify(self, features: FloatArray) -> FloatArray:
        return self._run(self._head, features)

    def close(self) -> None:
        self._encoder = self._head = None

    @staticmethod
    def _compile(core: Any, graph: Path) -> Any:
        # Left alone, OpenVINO computes in bfloat16 where the processor has it.
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        try:
            model = core.compile_model(core.read_model(graph), "CPU", settings)
            return model.create_infer_request()
        except RuntimeError as error:
            raise EngineError(f"engine openvino cannot compile {graph}: {error}") from error

    @staticmethod
    def _run(request: Any, batch: FloatArray) -> FloatArray:
        if request is None:
            raise EngineError("engine openvino is closed")
        try:
            # One by one, for the graphs have a batch of one. The request writes into the same
            # buffer every time: concatenating copies, but only after the loop.
            results = [request.infer([one[None]], share_inputs=True)[0].copy() for one in batch]
            return np.concatenate(results, dtype=np.float32)
        except (RuntimeError, ValueError, TypeError) as error:
            raise EngineError(f"engine openvino failed: {error}") from error
