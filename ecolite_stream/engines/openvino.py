"""The OpenVINO engine: x86 and Arm processors."""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec
from typing import Any

import numpy as np

from ecolite_stream.engines.base import Device, GraphEngine, Run, import_library, translated
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import CONV2D_ONLY_PARTS, Bundle, Graph
from ecolite_stream.types import FloatArray

_CORES: dict[Any, Any] = {}
"""Module `openvino` -> its core: one, but for tests that put another in the module's place."""
_CORES_LOCK = threading.Lock()


def import_openvino() -> Any:
    """The module `openvino`, which has no way to report that it was imported.

    Import it nowhere else.

    Raises:
        EngineError: it is not installed, or cannot be imported.
    """
    block_telemetry()
    return import_library("openvino", "ecolite-stream[openvino]")


def block_telemetry() -> None:
    """Make OpenVINO and NNCF use their stubs in place of the package `openvino_telemetry`.

    Both import it where it is installed, and it reports each import to Google Analytics and keeps
    an identifier in `~/intel`. Call this before importing either.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # its import fails


def settings(precision: str) -> dict[str, str]:
    """How graphs are compiled: for latency, to compute in `f32` or `bf16`."""
    # Left alone, OpenVINO computes in bfloat16 where the processor has it.
    return {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}


class OpenVinoEngine(GraphEngine):
    """Runs a bundle's ONNX graphs with OpenVINO on the CPU, in float32 unless told otherwise.

    The encoder is reshaped to take a batch as a whole. The head runs sample by sample: reshaped, it
    is slower, a batch of one above all. Several requests under way gain nothing over one, for they
    share the one stream of a graph compiled for latency; a second graph with more streams is
    faster for batches of the head, but holds all weights twice.
    """

    name = "openvino"
    format = "onnx"

    @classmethod
    def precisions_on(cls, kind: str) -> tuple[str, ...]:
        """See `GraphEngine`."""
        return ("f32", "bf16")

    def _start(self, device: Device) -> None:
        openvino = import_openvino()
        with translated("engine openvino cannot start"):
            self._core = shared_core(openvino)
            is_able = self.precision == "f32" or _has_bf16(self._core)
        if not is_able:  # OpenVINO would compute in float32 without a word
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
        compiled = self._core.compile_model(model, "CPU", settings(self.precision))
        request = compiled.create_infer_request()
        if takes_batches:
            return lambda batch: infer(request, batch)
        return lambda batch: np.concatenate([infer(request, one[None]) for one in batch])


def has_bf16() -> bool:
    """Whether OpenVINO is there and says that this processor computes in bfloat16.

    Raises:
        EngineError: it is there and cannot be imported.
    """
    if find_spec("openvino") is None:
        return False
    return _has_bf16(shared_core(import_openvino()))


def shared_core(openvino: Any) -> Any:
    """OpenVINO's core, one for as long as the process lives.

    It gives the thread in which it begins a stack for signals, and where it ends, in whatever
    thread, takes the memory of that stack away: the next signal would end the process.
    """
    with _CORES_LOCK:
        if openvino not in _CORES:
            _CORES[openvino] = openvino.Core()
        return _CORES[openvino]


def _has_bf16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def infer(request: Any, batch: FloatArray) -> FloatArray:
    """Run a compiled graph on a batch of a size that it takes: (K, ...) -> (K, ...) float32."""
    # Started and awaited: measured faster than `infer`, which computes in the calling thread.
    request.start_async([batch], share_inputs=True)
    request.wait()
    # The request writes into the same buffer every time.
    return np.array(request.get_output_tensor(0).data, np.float32)
