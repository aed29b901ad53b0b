"""The MindSpore engine: a CPU, and wherever else MindSpore runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.bundle import Bundle
from ecolite_stream.engines.base import import_library, warm_up
from ecolite_stream.engines.onednn import cap_cpu_isa
from ecolite_stream.errors import EngineError
from ecolite_stream.types import FloatArray


class MindSporeEngine:
    """Runs a bundle's MindIR graphs with MindSpore.

    Raises:
        EngineError: MindSpore is not installed or cannot run the graphs.
    """

    name = "mindspore"

    def __init__(self, bundle: Bundle) -> None:
        cap_cpu_isa()
        self._mindspore = import_library("mindspore", "ecolite-stream")
        if self._mindspore.get_context("device_target") != "CPU":
            self._mindspore.set_device("CPU")
        self._encoder = self._load(bundle.file("encoder.mindir"))
        self._head = self._load(bundle.file("head.mindir"))
        warm_up(self, bundle.spec)

    def encode(self, images: FloatArray) -> FloatArray:
        return self._run(self._encoder, images)

    def classify(self, features: FloatArray) -> FloatArray:
        return self._run(self._head, features)

    def close(self) -> None:
        self._encoder = self._head = None

    def _load(self, graph: Path) -> Any:
        try:
            return self._mindspore.nn.GraphCell(self._mindspore.load(str(graph)))
        except (RuntimeError, ValueError, TypeError) as error:
            raise EngineError(f"engine mindspore cannot load {graph}: {error}") from error

    def _run(self, graph: Any, batch: FloatArray) -> FloatArray:
        if graph is None:
            raise EngineError("engine mindspore is closed")
        try:
            result = graph(self._mindspore.Tensor(np.ascontiguousarray(batch)))
            return np.array(result.asnumpy(), np.float32)
        except (RuntimeError, ValueError, TypeError) as error:
            raise EngineError(f"engine mindspore failed: {error}") from error
