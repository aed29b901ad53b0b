"""Names of engines, precisions, decoders and memory policies. Importing this loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping

ENGINES: Mapping[str, str] = {
    "openvino": "openvino.OpenVinoEngine",
    "onnxruntime": "onnxruntime.OnnxRuntimeEngine",
    "mindspore": "mindspore.MindSporeEngine",
    "mslite": "mindspore_lite.MindSporeLiteEngine",
}
"""Name -> module and class in `ecolite_stream.engines`: the one list of engines.

`auto` tries them in this order on a CPU. MindSpore Lite is the fastest at full size
(`ecolite-bench speed`) but comes last: it takes the most memory and converts the graphs first."""

ENGINE_NAMES = tuple(ENGINES)

PRECISIONS = ("f32", "bf16", "f16", "int8")
"""Inference precisions; each engine supports some of them. int8 has graphs of its own."""

AUTO = "auto"
"""In place of a precision: bf16 where engine, processor and golden numbers allow it."""

SOFTWARE = "none"
DECODERS = (
    *(SOFTWARE, AUTO, "cuda", "vaapi", "vdpau", "videotoolbox"),
    *("d3d11va", "d3d12va", "dxva2", "vulkan"),
)
"""Devices that decode video, by FFmpeg's names; `none` decodes in software."""


POLICIES = ("window", "paper", "pyramid")
