"""References: libraries that the engines are compared with on a bundle's own graphs."""

from __future__ import annotations

from collections.abc import Callable

from ecolite_stream.engines import Engine
from ecolite_stream.engines.onnxruntime import OnnxRuntimeEngine
from ecolite_stream.engines.openvino import OpenVinoEngine
from ecolite_stream.model.bundle import Bundle

REFERENCES: dict[str, Callable[[Bundle], Engine]] = {
    "onnxruntime": OnnxRuntimeEngine,
    "openvino": OpenVinoEngine,
}
"""Each is named as the package that it needs."""
