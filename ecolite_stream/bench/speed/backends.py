"""Backends to time: engines in each of their precisions, and references."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from ecolite_stream.bench.speed.references import REFERENCES
from ecolite_stream.engines import Engine, open_engine
from ecolite_stream.engines.openvino import has_bf16
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle

PRECISIONS = ("f32", "bf16", "int8")
INT8_ENGINES = ("openvino", "onnxruntime")
"""Engines that run the int8 graphs of a bundle."""


@dataclass(frozen=True)
class Backend:
    """A library that runs a bundle's graphs.

    Attributes:
        library: name of an engine or a reference.
        precision: one of `PRECISIONS`.
        open: opens and warms it; picklable.
        reuse: whether it keeps activations of the 3D net.
    """

    library: str
    precision: str
    open: Callable[[Bundle], Engine]
    reuse: bool = False

    @property
    def engine(self) -> str:
        """The library, and whether it reuses activations."""
        return f"{self.library} reuse" if self.reuse else self.library

    def __str__(self) -> str:
        return self.engine if self.precision == "f32" else f"{self.engine} {self.precision}"


def precisions_in(bundles: Iterable[Bundle]) -> tuple[str, ...]:
    """Precisions that can be timed: int8 only where every bundle has graphs for it."""
    has_int8 = all(any(g.precision == "int8" for g in bundle.graphs) for bundle in bundles)
    return PRECISIONS if has_int8 else tuple(one for one in PRECISIONS if one != "int8")


def _has(name: str, precision: str) -> bool:
    return name == "openvino" and precision == "bf16" and has_bf16()


def backends(
    engines: Iterable[str], precisions: Sequence[str], reuse: bool = False
) -> tuple[list[Backend], list[str]]:
    """The named engines, then every installed reference, in float32.

    Args:
        engines: their names.
        precisions: of `PRECISIONS`.
        reuse: add those engines that can reuse activations once more, reusing them.

    Returns:
        Backends, and a line for each precision that an engine lacks.

    Raises:
        ConfigError: no engine has any of the precisions.
    """
    found, lacking = [], []
    for name in dict.fromkeys(engines):
        for precision in dict.fromkeys(precisions):
            if precision == "f32":
                found.append(Backend(name, precision, functools.partial(open_engine, name)))
            elif name in INT8_ENGINES if precision == "int8" else _has(name, precision):
                opener = functools.partial(open_engine, name, precision=precision)
                found.append(Backend(name, precision, opener))
            else:
                lacking.append(f"{name} computes in float32 only, here: not in {precision}.")
    if not found:
        raise ConfigError(f"--precision {precisions[0]}: {' '.join(lacking)}")
    if reuse:
        found += [_reusing(backend) for backend in found if _can_reuse(backend)]
    there = {(backend.library, backend.precision) for backend in found}
    found += [
        Backend(name, "f32", reference)
        for name, reference in REFERENCES.items()
        if (name, "f32") not in there and find_spec(name) is not None
    ]
    return found, lacking


def _can_reuse(backend: Backend) -> bool:
    return backend.library == "openvino" and backend.precision != "int8"


def _reusing(backend: Backend) -> Backend:
    opener = functools.partial(
        open_engine, backend.library, precision=backend.precision, reuse=True
    )
    return Backend(backend.library, backend.precision, opener, reuse=True)
