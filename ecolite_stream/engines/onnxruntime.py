"""The ONNX Runtime engine: a CPU and all installed execution providers.

Source: https://onnxruntime.ai/docs/execution-providers/
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.engines.base import (
    LIBRARY_ERRORS,
    PROVIDER_SUFFIX,
    Device,
    GraphEngine,
    Run,
    import_library,
    translated,
)
from ecolite_stream.engines.cores import usable_cores
from ecolite_stream.engines.mslite import require_ascend
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle, Graph
from ecolite_stream.types import FloatArray

CANN_LIBRARIES = ("libascendcl.so", "libacl_op_compiler.so", "libfmk_onnx_parser.so")
"""Libraries of CANN that `CANNExecutionProvider` is linked with."""

FATAL = 4
"""Log level of ONNX Runtime, which also raises its errors."""


@dataclass(frozen=True)
class Provider:
    """An execution provider with a short device name.

    Attributes:
        name: ONNX Runtime's.
        package: that has it.
        precisions: the default first.
        options: of the provider; `device_id` is added.
    """

    name: str
    package: str
    precisions: tuple[str, ...] = ("f32", "f16")
    options: Mapping[str, str] = field(default_factory=dict)


PROVIDERS: Mapping[str, Provider] = {
    # On a processor without half convolutions it would cast, and compute in float32.
    "cpu": Provider("CPUExecutionProvider", "onnxruntime", ("f32", "int8")),
    # TensorFloat-32 keeps ten bits of the mantissa: that is not f32.
    "cuda": Provider("CUDAExecutionProvider", "onnxruntime-gpu", options={"use_tf32": "0"}),
    "tensorrt": Provider("TensorrtExecutionProvider", "onnxruntime-gpu"),
    "migraphx": Provider("MIGraphXExecutionProvider", "onnxruntime-migraphx"),
    "directml": Provider("DmlExecutionProvider", "onnxruntime-directml"),
    "coreml": Provider(
        *("CoreMLExecutionProvider", "onnxruntime, on a Mac"),
        options={"ModelFormat": "MLProgram"},
    ),
    "ascend": Provider(
        *("CANNExecutionProvider", "onnxruntime-cann", ("f16",)),
        options={"precision_mode": "force_fp16"},
    ),
}
"""Device -> its provider."""

GPUS = ("cuda", "migraphx", "directml")
"""`gpu` is the first of these that is installed. TensorRT, which compiles for minutes, is not."""


class OnnxRuntimeEngine(GraphEngine):
    """Runs a bundle's ONNX graphs with ONNX Runtime, by default on its CPU provider.

    Frames and clips run one by one, as the graphs take them. For f16 the graphs are converted in
    memory, which needs the package `onnx`; inputs and outputs stay float32.
    """

    name = "onnxruntime"
    format = "onnx"
    devices = (*PROVIDERS, "gpu")

    @classmethod
    def precisions_on(cls, kind: str) -> tuple[str, ...]:
        """See `GraphEngine`."""
        if kind == "gpu":
            return ("f32", "f16")
        known = _known_provider(kind)
        return known.precisions if known else ("f32",)

    @classmethod
    def has_device(cls, kind: str) -> bool:
        """See `GraphEngine`."""
        return super().has_device(kind) or kind.endswith(PROVIDER_SUFFIX)

    @classmethod
    def require_here(cls, device: Device) -> None:
        """See `GraphEngine`."""
        if device.kind == "cpu":
            return
        library = import_library("onnxruntime", "ecolite-stream[onnxruntime]")
        with translated(f"engine onnxruntime cannot use device {device}"):
            provider = find_provider(device.kind, library.get_available_providers())
            if provider == PROVIDERS["ascend"].name:
                require_cann()
                require_ascend(device.index or 0)

    def _start(self, device: Device) -> None:
        self._library = import_library("onnxruntime", "ecolite-stream[onnxruntime]")
        self.require_here(device)
        with translated(f"engine onnxruntime cannot use device {device}"):
            self.library_errors = (*LIBRARY_ERRORS, *_errors_of(self._library))
            self._library.disable_telemetry_events()  # only builds for Windows send telemetry
            available = self._library.get_available_providers()
            self._provider = find_provider(device.kind, available)
        known = _known_provider(self._provider.lower())
        self._options = dict(known.options) if known else {}
        if device.index is not None:
            self._options["device_id"] = str(device.index)
        self._converts = self.precision == "f16" and known is not PROVIDERS["ascend"]

    def _load(self, bundle: Bundle, graph: Graph) -> Run:
        path = bundle.file(graph.file)
        session = self._library.InferenceSession(
            in_float16(path) if self._converts else str(path),
            _session_options(self._library, self._provider),
            providers=[(self._provider, self._options)],
            enable_fallback=0,  # silently to the CPU
        )
        if self._provider not in session.get_providers():
            raise RuntimeError(
                f"{self._provider} did not start; see whether the libraries that it needs are "
                "installed"
            )
        name = session.get_inputs()[0].name

        def run(batch: FloatArray) -> FloatArray:
            inputs = {name: np.ascontiguousarray(batch, np.float32)}
            return np.asarray(session.run(None, inputs)[0], np.float32)

        if not graph.batch_sizes:
            return run
        return lambda batch: np.concatenate([run(one[None]) for one in batch])


def find_provider(kind: str, available: Collection[str]) -> str:
    """ONNX Runtime's name of the provider for a kind of device.

    Args:
        kind: one of `OnnxRuntimeEngine.devices`, or a provider's full name in lower case.
        available: names of the providers that are installed.

    Raises:
        EngineError: it is not installed.
    """
    kinds = GPUS if kind == "gpu" else (kind,)
    wanted = {(PROVIDERS[k].name if k in PROVIDERS else k).lower(): k for k in kinds}
    by_lower_name = {name.lower(): name for name in available}
    for name in wanted:
        if name in by_lower_name:
            return by_lower_name[name]
    packages = [PROVIDERS[k].package for k in kinds if k in PROVIDERS]
    how = f"install {' or '.join(packages)} in its place, or " if packages else ""
    raise EngineError(
        f"engine onnxruntime cannot use device {kind}: the installed ONNX Runtime has "
        f"{', '.join(available)}; {how}name another device"
    )


def require_cann() -> None:
    """Check that the libraries of CANN can be loaded.

    Raises:
        RuntimeError: one cannot; ONNX Runtime's own error does not name it.
    """
    lacking = []
    for name in CANN_LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError as error:
            lacking.append(str(error) if name in str(error) else f"{name}: {error}")
    if lacking:
        raise RuntimeError(
            f"CANN lacks {'; '.join(lacking)}; install CANN's toolkit for this device and source "
            "its set_env.sh in this shell"
        )


def in_float16(path: Path) -> bytes:
    """An ONNX graph that computes in float16, with inputs and outputs in float32.

    Raises:
        RuntimeError: the package that converts it is not installed.
    """
    try:
        onnx = importlib.import_module("onnx")
        converter = importlib.import_module("onnxruntime.transformers.float16")
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"f16 needs the package {error.name} to convert the graphs; run pip install "
            "'ecolite-stream[f16]'"
        ) from error
    model = onnx.load(str(path), load_external_data=False)
    half: bytes = converter.convert_float_to_float16(model, keep_io_types=True).SerializeToString()
    return half


def _known_provider(kind: str) -> Provider | None:
    """Of a device or of a provider's full name in lower case."""
    by_name = {provider.name.lower(): provider for provider in PROVIDERS.values()}
    return PROVIDERS.get(kind) or by_name.get(kind)


def _session_options(library: Any, provider: str) -> Any:
    options = library.SessionOptions()
    options.log_severity_level = FATAL
    # Its default ignores taskset, and its threads spin between two frames.
    options.intra_op_num_threads = len(usable_cores())
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if provider == PROVIDERS["directml"].name:
        options.enable_mem_pattern = False  # unsupported by DirectML
    return options


def _errors_of(library: Any) -> tuple[type[Exception], ...]:
    """ONNX Runtime's own errors, which are no `RuntimeError`."""
    state = library.capi.onnxruntime_pybind11_state
    kinds = (value for value in vars(state).values() if isinstance(value, type))
    return tuple(kind for kind in kinds if issubclass(kind, Exception))
