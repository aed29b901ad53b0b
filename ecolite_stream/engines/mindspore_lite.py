"""The MindSpore Lite engine: Ascend 310, and a CPU."""

from __future__ import annotations

import os

from ecolite_stream.engines.base import Device, GraphEngine, Run, require_graph
from ecolite_stream.engines.lite_process import PYTHON, LiteProcess
from ecolite_stream.engines.mslite import LiteError, LiteRuntime
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import CONV2D_ONLY_PARTS, Bundle, Graph


class MindSporeLiteEngine(GraphEngine):
    """Runs a bundle's 2D graphs with MindSpore Lite.

    The encoder takes one frame, or the N / 2 new ones of a step of the paper's policy, in one call;
    the head takes one clip.

    Graphs of format `ms`, which `converter_lite` writes for a device, come first. Otherwise the
    ONNX graphs are converted once, and kept in the user's cache folder. If
    `ECOLITE_MSLITE_PYTHON` names an interpreter, the runtime runs in its process.
    """

    name = "mslite"
    library = "mindspore_lite"
    format = "onnx"
    devices = ("cpu", "ascend")

    @classmethod
    def graph_for(cls, bundle: Bundle, part: str, kind: str = "cpu") -> Graph:
        """See `GraphEngine`."""
        for precision in cls.precisions_on(kind):
            converted = bundle.graph(part, "ms", precision)
            if converted and converted.batch_sizes in ((), (1,)):
                return converted
        return conv2d_only_graph(bundle, part)

    @classmethod
    def is_installed(cls) -> bool:
        """Whether this Python has the runtime, or `ECOLITE_MSLITE_PYTHON` names one that has."""
        return bool(os.environ.get(PYTHON)) or super().is_installed()

    @classmethod
    def precisions_on(cls, kind: str) -> tuple[str, ...]:
        """See `GraphEngine`."""
        return ("f16",) if kind == "ascend" else ("f32",)

    def close(self) -> None:
        """See `Engine`."""
        super().close()
        if isinstance(self._runtime, LiteProcess):
            self._runtime.close()

    def _start(self, device: Device) -> None:
        where = (device.kind, device.index or 0)
        try:
            if python := os.environ.get(PYTHON):
                self._runtime: LiteRuntime | LiteProcess = LiteProcess(python, *where)
            else:
                self._runtime = LiteRuntime(*where)
        except LiteError as error:
            raise EngineError(f"engine mslite cannot use device {device}: {error}") from error

    def _load(self, bundle: Bundle, graph: Graph) -> Run:
        sizes = {1}
        if graph.part in ("encoder", CONV2D_ONLY_PARTS["encoder"]):
            sizes.add(max(1, bundle.spec.num_segments // 2))
        return self._runtime.load(bundle.file(graph.file), sorted(sizes))


def conv2d_only_graph(bundle: Bundle, part: str) -> Graph:
    """The ONNX graph of one of `PARTS` that has 2D convolutions only.

    Raises:
        EngineError: the bundle has none.
    """
    try:
        return require_graph("mslite", bundle, CONV2D_ONLY_PARTS[part], "onnx")
    except EngineError as error:
        how = f"python -m trainer.export --add-2d --bundle {bundle.path}"
        raise EngineError(f"{error}, or add them with {how}") from error
