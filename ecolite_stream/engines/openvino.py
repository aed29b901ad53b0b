"""The OpenVINO engine: x86 and Arm processors."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ecolite_stream.bundle import Bundle, Graph
from ecolite_stream.engines.base import (
    LIBRARY_ERRORS,
    Device,
    GraphEngine,
    Run,
    import_library,
    translated,
)
from ecolite_stream.types import FloatArray

REQUESTS = 2
"""How many samples of a batch are on their way at once."""

# Left alone, OpenVINO computes in bfloat16 where the processor has it.
SETTINGS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


class OpenVinoEngine(GraphEngine):
    """Runs a bundle's ONNX graphs with OpenVINO on the CPU, in float32.

    A batch is computed sample by sample, two on their way at once: faster than one by one and than
    a graph reshaped to any batch size, which also makes a batch of one slower. A second graph,
    compiled for throughput, gains a little more with small pictures, but holds all weights twice.
    """

    name = "openvino"
    format = "onnx"

    def _start(self, device: Device) -> None:
        openvino = import_library("openvino", "ecolite-stream[openvino]")
        with translated("engine openvino cannot start"):
            self._core = openvino.Core()

    def _load(self, bundle: Bundle, graph: Graph) -> Run:
        model = self._core.read_model(bundle.file(graph.file))
        compiled = self._core.compile_model(model, "CPU", SETTINGS)
        requests = [compiled.create_infer_request() for _ in range(REQUESTS)]
        return lambda batch: infer_each(requests, batch)


def infer_each(requests: Sequence[Any], batch: FloatArray) -> FloatArray:
    """Run a graph on each sample of a batch: (K, ...) -> (K, ...) float32.

    Args:
        requests: of one compiled graph, all idle; they are idle again afterwards.
        batch: (K, ...) float32, K >= 1.
    """
    under_way: deque[Any] = deque()
    results: list[FloatArray] = []
    try:
        for sample, one in enumerate(batch):
            if len(under_way) == len(requests):
                results.append(_result(under_way.popleft()))
            request = requests[sample % len(requests)]
            request.start_async([one[None]], share_inputs=True)
            under_way.append(request)
        while under_way:
            results.append(_result(under_way.popleft()))
    finally:
        for request in under_way:  # after an error: it still reads the caller's array
            with suppress(*LIBRARY_ERRORS):
                request.wait()
    return np.concatenate(results, dtype=np.float32)


def _result(request: Any) -> FloatArray:
    request.wait()
    output: FloatArray = request.get_output_tensor(0).data
    return output.copy()  # the request writes into the same buffer every time
