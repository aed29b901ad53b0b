"""The OpenVINO engine: x86 and Arm processors."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from ecolite_stream.engines.base import (
    LIBRARY_ERRORS,
    Device,
    GraphEngine,
    Run,
    import_library,
    translated,
)
from ecolite_stream.engines.cores import usable_cores
from ecolite_stream.engines.openvino_reuse import reusing_run
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import CONV2D_ONLY_PARTS, Bundle, Graph
from ecolite_stream.types import FloatArray

SMALL_BYTES = 16_000_000
"""Size of a bundle's largest graph below which each sample runs on one core."""
MOST_REQUESTS = 16
"""Most samples of a small bundle that run at once; each request holds its own activations."""

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


def settings(precision: str, at_once: int = 0) -> dict[str, str]:
    """Options of compilation.

    Args:
        precision: `f32`, `bf16`, or `int8`, which is in the graph.
        at_once: requests that run at once, each on one core; 0 runs one on all cores.
    """
    # By default OpenVINO uses bfloat16 if the processor has it.
    hint = {"INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision}
    if not at_once:
        return {**hint, "PERFORMANCE_HINT": "LATENCY"}
    return {
        **hint,
        "NUM_STREAMS": str(at_once),
        "INFERENCE_NUM_THREADS": str(at_once),
        # Pinned, the first threads of several processes would share the first core.
        "ENABLE_CPU_PINNING": "NO",
    }


class OpenVinoEngine(GraphEngine):
    """Runs a bundle's ONNX graphs with OpenVINO on a CPU, by default in float32.

    The encoder is reshaped to take whole batches. The head runs sample by sample: reshaping slows
    it down, most for a batch of one.

    A large bundle runs one request at a time on all cores, since one camera waits for it. A small
    one runs each request on one core and several at once: threads that share a small request wait
    for one another longer than they compute, and waiting takes processor time.
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
        at_once = _requests_at_once(bundle)
        compiled = self._compile(model, at_once)
        requests = [compiled.create_infer_request() for _ in range(at_once or 1)]
        if takes_batches:
            return lambda batch: infer_all(requests, _split(batch, len(requests)))
        return lambda batch: infer_all(requests, _split(batch, len(batch)))

    def _request(self, model: Any) -> Any:
        return self._compile(model).create_infer_request()

    def _compile(self, model: Any, at_once: int = 0) -> Any:
        return self._core.compile_model(model, "CPU", settings(self.precision, at_once))


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
    return infer_all([request], [batch])


def infer_all(requests: Sequence[Any], batches: Sequence[FloatArray]) -> FloatArray:
    """Run a compiled graph on batches of sizes that it takes, as many at once as requests.

    Args:
        requests: of the graph; not in use.
        batches: one or more, each (K, ...).

    Returns:
        The outputs one after the other, (sum of all K, ...) float32.
    """
    outputs = []
    for first in range(0, len(batches), len(requests)):
        busy: deque[Any] = deque()
        try:
            for request, batch in zip(requests, batches[first:], strict=False):
                # Faster than `infer`, which computes in the calling thread.
                request.start_async([batch], share_inputs=True)
                busy.append(request)
            while busy:
                request = busy.popleft()
                request.wait()
                # The request reuses its output buffer.
                outputs.append(np.array(request.get_output_tensor(0).data, np.float32))
        except BaseException:
            for request in busy:  # the next call needs them
                with contextlib.suppress(*LIBRARY_ERRORS):
                    request.wait()
            raise
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


def _split(batch: FloatArray, parts: int) -> list[FloatArray]:
    """(K, ...) in at most that many parts of nearly the same size, none of them empty."""
    return np.array_split(batch, min(parts, len(batch)))


def _requests_at_once(bundle: Bundle) -> int:
    """Requests of a small bundle that run at once, each on one core; 0 for a large one."""
    sizes = (bundle.file(graph.file).stat().st_size for graph in bundle.graphs)
    return min(len(usable_cores()), MOST_REQUESTS) if max(sizes) < SMALL_BYTES else 0
