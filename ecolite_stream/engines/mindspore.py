"""The MindSpore engine: a CPU and other devices of MindSpore."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecolite_stream.engines.base import Device, GraphEngine, Run, import_library, translated
from ecolite_stream.engines.mslite import require_ascend
from ecolite_stream.engines.onednn import cap_cpu_isa
from ecolite_stream.engines.time_slice import ask_for_short_slices
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle, Graph
from ecolite_stream.types import FloatArray

TARGETS = {"cpu": "CPU", "ascend": "Ascend", "gpu": "GPU"}
"""MindSpore's names of the devices."""


class MindSporeEngine(GraphEngine):
    """Runs a bundle's MindIR graphs with MindSpore, by default on a CPU."""

    name = "mindspore"
    format = "mindir"
    devices = tuple(TARGETS)

    @classmethod
    def precisions_on(cls, kind: str) -> tuple[str, ...]:
        """See `GraphEngine`."""
        # An Ascend promises no better precision for float32 convolutions.
        return ("f16",) if kind == "ascend" else ("f32",)

    def _start(self, device: Device) -> None:
        cap_cpu_isa()
        ask_for_short_slices()
        self._mindspore = import_library("mindspore", "ecolite-stream[mindspore]")
        use_device(self._mindspore, device)

    def _load(self, bundle: Bundle, graph: Graph) -> Run:
        cell = self._mindspore.nn.GraphCell(self._mindspore.load(str(bundle.file(graph.file))))

        def run(batch: FloatArray) -> FloatArray:
            result = cell(self._mindspore.Tensor(np.ascontiguousarray(batch)))
            return np.array(result.asnumpy(), np.float32)

        if not graph.batch_sizes:
            return run
        return lambda batch: np.concatenate([run(one[None]) for one in batch])


def use_device(mindspore: Any, device: Device) -> None:
    """Select MindSpore's device; possible once in a process.

    Args:
        mindspore: the module.
        device: any.

    Raises:
        EngineError: it lacks the device, or already uses another.
    """
    if device.kind not in TARGETS:
        raise EngineError(
            f"engine mindspore runs on {', '.join(TARGETS)}, not on {device}; name another device"
        )
    target = TARGETS[device.kind]
    with translated(f"engine mindspore cannot use device {device}"):
        if device.kind == "ascend":
            require_ascend(device.index or 0)  # MindSpore's message is a page about libraries
        if device.index is not None:
            mindspore.set_device(target, device.index)
        elif target != mindspore.get_context("device_target"):
            mindspore.set_device(target)
