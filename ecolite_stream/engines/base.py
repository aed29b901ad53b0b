"""The interface of engines, which run the two graphs of a bundle, and their shared code."""

from __future__ import annotations

import importlib
import re
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar, Protocol

import numpy as np

from ecolite_stream.errors import ConfigError, EngineError
from ecolite_stream.model.bundle import CONV2D_ONLY_PARTS, PARTS, Bundle, Graph, ModelSpec
from ecolite_stream.model.graph_files import require_self_contained
from ecolite_stream.types import FloatArray

DEVICE_KINDS = ("cpu", "ascend", "gpu", "cuda", "tensorrt", "migraphx", "directml", "coreml")
"""Those after `gpu` are ONNX Runtime's execution providers, as are names with `PROVIDER_SUFFIX`."""

NOT_NUMBERED = ("cpu", "coreml")
"""Kinds that a machine has once."""

PROVIDER_SUFFIX = "executionprovider"
"""Suffix of ONNX Runtime's execution providers, in lower case."""

LIBRARY_ERRORS = (RuntimeError, ValueError, TypeError, OSError, AttributeError)
"""Errors of inference libraries."""

Run = Callable[[FloatArray], FloatArray]
"""A loaded graph: (K, ...) float32 -> (K, ...) float32, K >= 1."""


class Engine(Protocol):
    """Runs the frame encoder and the clip head of one bundle; made by `open_engine`.

    Results depend on the arguments alone, and later calls do not change them. It is warm when its
    constructor returns. Call it from one thread at a time.

    Attributes:
        name: as in `--engine`.
    """

    name: str

    def encode(self, images: FloatArray) -> FloatArray:
        """(K, 3, S, S) float32 -> features (K, *feature_shape) float32, K >= 1.

        Raises:
            EngineError: it cannot compute them.
        """
        ...

    def classify(self, features: FloatArray) -> FloatArray:
        """(B, N, *feature_shape) float32 -> logits (B, classes) float32, B >= 1.

        Raises:
            EngineError: it cannot compute them.
        """
        ...

    def close(self) -> None:
        """Free the engine's resources; do not use it afterwards."""


@dataclass(frozen=True)
class Device:
    """A device of an engine.

    Attributes:
        kind: one of `DEVICE_KINDS`, or a name that ends with `PROVIDER_SUFFIX`, in lower case.
        index: from 0; None leaves the choice to the library.
    """

    kind: str
    index: int | None = None

    def __str__(self) -> str:
        return self.kind if self.index is None else f"{self.kind}:{self.index}"


def parse_device(text: str) -> Device:
    """Parse `cpu`, `ascend`, `ascend:0`, `gpu:1`, `cuda:0` or `XnnpackExecutionProvider`.

    Raises:
        ConfigError: there is no such device.
    """
    kind, colon, index = text.lower().partition(":")
    numbered = kind not in NOT_NUMBERED and index.isdecimal() and index.isascii()
    known = kind in DEVICE_KINDS or re.fullmatch(rf"\w+{PROVIDER_SUFFIX}", kind)
    if not known or (colon and not (numbered and len(index) <= 3)):
        raise ConfigError(
            f"device is {text!r}; expected cpu, ascend, ascend:0, gpu or gpu:0, or of ONNX Runtime "
            "cuda:0, tensorrt:0, migraphx:0, directml:0, coreml or the full name of a provider"
        )
    return Device(kind, int(index) if colon else None)


class GraphEngine(ABC):
    """Base of the engines of this package; each implements `_load`.

    Args:
        bundle: the model; `name` runs its graphs of `format`, with the library of the
            engine's name, or `library`.
        device: as `parse_device` reads it; None is the first of `devices`.
        precision: None is the first on that device.
        reuse: keep activations of the 3D net from call to call, see `engines.reuse`.

    Attributes:
        precision: one of `choices.PRECISIONS`.
        can_reuse: whether it can keep activations.
        library_errors: errors of its library, translated into `EngineError`.

    Raises:
        ConfigError: there is no such device.
        BundleError: a graph is malformed, or needs files that the bundle's hashes do not cover.
        EngineError: the library is not installed, lacks that device or precision, or cannot run
            the graphs; or it cannot reuse activations.
    """

    name: str
    format: ClassVar[str]
    library: ClassVar[str] = ""
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    can_reuse: ClassVar[bool] = False
    library_errors: tuple[type[Exception], ...] = LIBRARY_ERRORS

    def __init__(
        self,
        bundle: Bundle,
        device: str | None = None,
        precision: str | None = None,
        reuse: bool = False,
    ) -> None:
        if reuse:
            self.require_reuse()
        self._reuse = reuse
        graphs = self.require(bundle, device, precision)
        for graph in graphs:
            require_self_contained(bundle.file(graph.file), graph.format)
        place = parse_device(device or self.devices[0])
        self.precision = precision or self.precisions_on(place.kind)[0]
        self._runs: dict[str, Run] = {}
        self._path = bundle.path
        self._start(place)
        try:
            for part, graph in zip(PARTS, graphs, strict=True):
                what = f"{self._where(part)} cannot be loaded from {graph.file}"
                with translated(what, self.library_errors):
                    self._runs[part] = self._load(bundle, graph)
            warm_up(self, bundle.spec)
        except EngineError:
            self.close()
            raise

    @classmethod
    def is_installed(cls) -> bool:
        """Whether its library is installed."""
        return find_spec(cls.library or cls.name) is not None

    @classmethod
    def require_reuse(cls) -> None:
        """Check that it can keep activations.

        Raises:
            EngineError: it cannot.
        """
        if not cls.can_reuse:
            raise EngineError(
                f"engine {cls.name} cannot reuse activations; set reuse: false or engine: openvino"
            )

    @classmethod
    def has_device(cls, kind: str) -> bool:
        """Whether it supports devices of that kind."""
        return kind in cls.devices

    @classmethod  # noqa: B027  most engines check when they start
    def require_here(cls, device: Device) -> None:
        """Check that its installed library may have that device on this machine.

        Raises:
            EngineError: it lacks the device.
        """

    @classmethod
    def precisions_on(cls, kind: str) -> tuple[str, ...]:
        """Precisions on a device of `DEVICE_KINDS`, the default first."""
        return ("f32",)

    @classmethod
    def require(
        cls, bundle: Bundle, device: str | None = None, precision: str | None = None
    ) -> list[Graph]:
        """The graphs that this engine would run for each of `PARTS`, without its library.

        Raises:
            ConfigError: there is no such device.
            EngineError: the engine lacks that device or precision, or the bundle has no graph
                for it.
        """
        kind = parse_device(device or cls.devices[0]).kind
        if not cls.has_device(kind):
            raise EngineError(
                f"engine {cls.name} runs on {', '.join(cls.devices)}, not on {device}; "
                "name another device or another engine"
            )
        has = cls.precisions_on(kind)
        if precision and precision not in has:
            raise EngineError(
                f"engine {cls.name} computes in {' or '.join(has)} on {kind}, not in {precision}; "
                "name another precision or another engine"
            )
        int8 = int8_graphs(cls.name, bundle, cls.format) if precision == "int8" else {}
        return [int8.get(part) or cls.graph_for(bundle, part, kind) for part in PARTS]

    @classmethod
    def graph_for(cls, bundle: Bundle, part: str, kind: str = "cpu") -> Graph:
        """The graph that this engine would run for one of `PARTS`, on a device of that kind.

        Raises:
            EngineError: the bundle has none.
        """
        has_conv2d_only = bundle.graph(CONV2D_ONLY_PARTS[part], cls.format) is not None
        wanted = CONV2D_ONLY_PARTS[part] if has_conv2d_only else part
        return require_graph(cls.name, bundle, wanted, cls.format)

    def encode(self, images: FloatArray) -> FloatArray:
        """See `Engine`."""
        return self._run("encoder", images)

    def classify(self, features: FloatArray) -> FloatArray:
        """See `Engine`."""
        return self._run("head", features)

    def close(self) -> None:
        """See `Engine`."""
        self._runs = {}

    @abstractmethod
    def _start(self, device: Device) -> None:
        """Start the library on one of `devices`."""

    @abstractmethod
    def _load(self, bundle: Bundle, graph: Graph) -> Run:
        """Load one graph; errors of loading and running it are translated."""

    def _run(self, part: str, batch: FloatArray) -> FloatArray:
        if part not in self._runs:
            raise EngineError(f"engine {self.name} is closed")
        with translated(f"{self._where(part)} failed", self.library_errors):
            result = self._runs[part](batch)
        return finite(self.name, f"{part} graph of {self._path}", result)

    def _where(self, part: str) -> str:
        return f"engine {self.name}: {part} graph of {self._path}"


def require_graph(
    engine: str, bundle: Bundle, part: str, format: str, precision: str = "f32"
) -> Graph:
    """The graph that an engine runs for a part of a bundle: one that takes a single sample.

    Raises:
        EngineError: the bundle has none.
    """
    for graph in bundle.graphs:
        takes_one = not graph.batch_sizes or 1 in graph.batch_sizes
        found = (graph.part, graph.format, graph.precision)
        if found == (part, format, precision) and takes_one:
            return graph
    kinds = next({*pair} for pair in CONV2D_ONLY_PARTS.items() if part in pair)
    has = ", ".join(str(graph) for graph in bundle.graphs if graph.part in kinds) or "none at all"
    raise EngineError(
        f"engine {engine}: {bundle.path} has no {part} graph of format {format}, precision "
        f"{precision} and batch 1 or any; it has {has}; name another engine "
        "or export the bundle again"
    )


def int8_graphs(engine: str, bundle: Bundle, format: str) -> dict[str, Graph]:
    """The int8 graphs of a bundle by their part of `PARTS`; the others stay in float32.

    Raises:
        EngineError: the bundle has none.
    """
    found = {part: bundle.graph(CONV2D_ONLY_PARTS[part], format, "int8") for part in PARTS}
    graphs = {part: graph for part, graph in found.items() if graph is not None}
    if not graphs:
        raise EngineError(
            f"engine {engine}: {bundle.path} has no graph in int8; make one with "
            "python -m trainer.quantize, or name another precision"
        )
    return graphs


def finite(engine: str, graph: str, array: FloatArray) -> FloatArray:
    """Return the array, if all its values are finite.

    Args:
        engine: its name.
        graph: that computed the array: `head graph of BUNDLE`.
        array: any shape.

    Raises:
        EngineError: there is a NaN or an infinity.
    """
    if not np.isfinite(array).all():
        wrong = array.size - np.count_nonzero(np.isfinite(array))
        raise EngineError(
            f"engine {engine}: {graph} gave values that are no numbers: {wrong} of {array.size}; "
            "check it with ecolite-bench engines"
        )
    return array


@contextmanager
def translated(what: str, errors: tuple[type[Exception], ...] = LIBRARY_ERRORS) -> Iterator[None]:
    """Turn an error of an inference library into an `EngineError` that begins with `what`."""
    try:
        yield
    except errors as error:
        # MindSpore appends details for its own developers.
        reason = re.sub(r"-{5,}", "", str(error).partition("- C++ Call Stack")[0]).strip()
        raise EngineError(f"{what}: {reason}") from error


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay an interruption to the end of the block.

    MindSpore crashes the process if its import is interrupted.

    Raises:
        KeyboardInterrupt: it was interrupted; raised at the end of the block.
    """
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # only the main thread is interrupted
        yield
        return
    received: list[object] = []
    handlers = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    ours = {kind: handler for kind, handler in handlers.items() if callable(handler)}
    for kind in ours:
        signal.signal(kind, lambda *what: received.append(what))
    try:
        yield
    finally:
        for kind, handler in ours.items():
            signal.signal(kind, handler)
    if received:
        raise KeyboardInterrupt


def import_library(name: str, requirement: str) -> Any:
    """Import the inference library of an engine.

    Args:
        name: of the module.
        requirement: for pip.

    Raises:
        EngineError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise _broken(name, error) from error
        raise EngineError(
            f"engine {name} is not installed; run pip install '{requirement}'"
        ) from error
    except (ImportError, OSError, AttributeError) as error:  # incompatible versions
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> EngineError:
    return EngineError(
        f"engine {name} is installed but cannot be imported: {error}; install it again"
    )


def warm_up(engine: Engine, spec: ModelSpec) -> None:
    """Run both graphs once, and check their shapes.

    Raises:
        EngineError: they differ from the bundle's.
    """
    size = spec.preprocessing.image_size
    features = engine.encode(np.zeros((1, 3, size, size), np.float32))
    _expect(engine, "features", features, (1, *spec.feature_shape))
    logits = engine.classify(np.repeat(features[None], spec.num_segments, axis=1))
    _expect(engine, "logits", logits, (1, len(spec.labels)))


def _expect(engine: Engine, what: str, found: FloatArray, shape: tuple[int, ...]) -> None:
    if found.shape != shape:
        raise EngineError(
            f"engine {engine.name} makes {what} of shape {found.shape}, the bundle says {shape}; "
            "export the bundle again"
        )
