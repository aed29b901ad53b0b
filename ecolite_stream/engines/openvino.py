"""The OpenVINO engine: x86 and Arm processors."""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec
from typing import Any

import numpy as np

from ecolite_stream.engines.base import Device, GraphEngine, Run, import_library, translated
from ecolite_stream.engines.openvino_reuse import reusing_run
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import CONV2D_ONLY_PARTS, Bundle, Graph
from ecolite_stream.types import FloatArray

_CORES: dict[Any, Any] = {}
"""Module `openvino` -> its core: one, except in tests that replace the module."""
_CORES_LOCK = threading.Lock()


def import_openvino() -> Any:
    """Import `openvino` with its telemetry disabled. Import it nowhere else.

    Raises:
        EngineError: it is not installed, or cannot be imported.
    """
    block_telemetry()
    return import_library("openvino", "ecolite-stream[openvino]")


def block_telemetry() -> None:
    """Disable `openvino_telemetry`: OpenVINO and NNCF then use their stubs.

    It reports each import of either to Google Analytics and keeps an identifier in `~/intel`. Call
    this before importing them.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # its import fails


def settings(precision: str) -> dict[str, str]:
    """Options of compilation: for latency, in `f32` or `bf16`; int8 is in the graph."""
    precision = "f32" if precision == "int8" else precision
    # By default OpenVINO uses bfloat16 if the processor has it.
    return {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}


class OpenVinoEngine(GraphEngine):
    """Runs a bundle's ONNX graphs with OpenVINO on a CPU, by default in float32.

    The encoder is reshaped to take whole batches. The head runs sample by sample: reshaping slows
    it down, most for a batch of one. Parallel requests gain nothing: they share the one stream of a
    graph compiled for latency. A second graph with more streams is faster for batches of the head,
    but holds all weights twice.
    """

    name = "openvino"
    format = "onnx"
    can_reuse = True

    @classmethod
    def precisions_on(cls, kind: str) -> tuple[str, ...]:
        """See `GraphEngine`."""
        return ("f32", "bf16", "int8")

    def _start(self, device: Device) -> None:
        openvino = import_openvino()
        with translated("engine openvino cannot start"):
            self._core = shared_core(openvino)
            is_able = self.precision != "bf16" or _has_bf16(self._core)
        if not is_able:  # OpenVINO would silently compute in float32
            raise EngineError(
                "engine openvino: this processor does not compute in bf16; leave the precision "
                "at f32"
            )

    def _load(self, bundle: Bundle, graph: Graph) -> Run:
        model = self._core.read_model(bundle.file(graph.file))
        takes_batches = graph.part in ("encoder", CONV2D_ONLY_PARTS["encoder"])
        if takes_batches:
            size = bundle.spec.preprocessing.image_size
            model.reshape([-1, 3, size, size])
        elif self._reuse:
            if graph.precision == "int8":
                raise EngineError(
                    "engine openvino: activations in int8 cannot be reused; set reuse: false, or "
                    "name another precision"
                )
            return reusing_run(import_openvino(), model, self._request, graph.file)
        request = self._request(model)
        if takes_batches:
            return lambda batch: infer(request, batch)
        return lambda batch: np.concatenate([infer(request, one[None]) for one in batch])

    def _request(self, model: Any) -> Any:
        compiled = self._core.compile_model(model, "CPU", settings(self.precision))
        return compiled.create_infer_request()


def has_bf16() -> bool:
    """Whether OpenVINO is installed and supports bfloat16 on this processor.

    Raises:
        EngineError: it is installed but cannot be imported.
    """
    if find_spec("openvino") is None:
        return False
    return _has_bf16(shared_core(import_openvino()))


def shared_core(openvino: Any) -> Any:
    """OpenVINO's core, one for the life of the process.

    It gives its first thread a stack for signals and frees that at its end, in any thread: the next
    signal would then end the process.
    """
    with _CORES_LOCK:
        if openvino not in _CORES:
            _CORES[openvino] = openvino.Core()
        return _CORES[openvino]


def _has_bf16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def infer(request: Any, batch: FloatArray) -> FloatArray:
    """Run a compiled graph on a batch of a size that it takes: (K, ...) -> (K, ...) float32."""
    # Faster than `infer`, which computes in the calling thread.
    request.start_async([batch], share_inputs=True)
    request.wait()
    # The request reuses its output buffer.
    return np.array(request.get_output_tensor(0).data, np.float32)
