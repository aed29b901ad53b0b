"""The MindSpore engine: a CPU, and wherever else MindSpore runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.bundle import Bundle
from ecolite_stream.engines.onednn import cap_cpu_isa
from ecolite_stream.errors import EngineError
from ecolite_stream.types import FloatArray


class MindSporeEngine:
    """Runs a bundle's MindIR graphs with MindSpore.

    Raises:
        EngineError: MindSpore is not installed or cannot load the graphs.
    """

    name = "mindspore"

    def __init__(self, bundle: Bundle) -> None:
        cap_cpu_isa()
        try:
            import mindspore
        except ImportError as error:
            raise EngineError(
                "engine mindspore is not installed; run pip install ecolite-stream"
            ) from error
        self._mindspore = mindspore
        if mindspore.get_context("device_target") != "CPU":
            mindspore.set_device("CPU")
        self._encoder = self._load(bundle.file("encoder.mindir"))
        self._head = self._load(bundle.file("head.mindir"))
        size = bundle.spec.preprocessing.image_size
        feature = self.encode(np.zeros((1, 3, size, size), np.float32))
        self.classify(np.repeat(feature[None], bundle.spec.num_segments, axis=1))

    def encode(self, images: FloatArray) -> FloatArray:
        return self._run(self._encoder, images)

    def classify(self, features: FloatArray) -> FloatArray:
        return self._run(self._head, features)

    def close(self) -> None:
        del self._encoder, self._head

    def _load(self, graph: Path) -> Any:
        try:
            return self._mindspore.nn.GraphCell(self._mindspore.load(str(graph)))
        except (RuntimeError, ValueError, TypeError) as error:
            raise EngineError(f"engine mindspore cannot load {graph}: {error}") from error

    def _run(self, graph: Any, batch: FloatArray) -> FloatArray:
        result = graph(self._mindspore.Tensor(np.ascontiguousarray(batch)))
        return np.asarray(result.asnumpy(), np.float32)
