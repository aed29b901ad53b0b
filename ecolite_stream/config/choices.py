"""What there is to choose from; light: importing it loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping

ENGINES: Mapping[str, str] = {
    "openvino": "openvino.OpenVinoEngine",
    "onnxruntime": "onnxruntime.OnnxRuntimeEngine",
    "mindspore": "mindspore.MindSporeEngine",
    "mslite": "mindspore_lite.MindSporeLiteEngine",
}
"""Name -> module and class below `ecolite_stream.engines`: the one list of engines.

In the order in which `auto` tries them on a CPU. MindSpore Lite comes last though it is quickest at
full size (`ecolite-bench speed`): it takes the most memory, and converts the graphs first."""

ENGINE_NAMES = tuple(ENGINES)

PRECISIONS = ("f32", "bf16", "f16")
"""What an engine can be asked to compute in; each has some of them."""


POLICIES = ("window", "paper", "pyramid")
