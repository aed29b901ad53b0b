"""Engines run a bundle's graphs; `open_engine` opens one by name.

Importing this package imports no inference library; opening an engine imports its own.
"""

from __future__ import annotations

from importlib import import_module

from ecolite_stream.config.choices import AUTO, ENGINE_NAMES, ENGINES
from ecolite_stream.engines.base import Engine, GraphEngine, parse_device, uninterrupted
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle, Graph

__all__ = [
    "ENGINE_NAMES",
    "Engine",
    "choose_engine",
    "installed_engines",
    "open_engine",
    "precisions_of",
    "require_graphs",
    "require_reuse",
]


def installed_engines() -> list[str]:
    """Names of the installed engines, in the order of `ENGINE_NAMES`."""
    return [name for name in ENGINE_NAMES if _known(name).is_installed()]


def open_engine(
    name: str,
    bundle: Bundle,
    device: str | None = None,
    precision: str | None = None,
    reuse: bool = False,
) -> GraphEngine:
    """Open a bundle with the engine of that name.

    Args:
        name: one of `ENGINE_NAMES`, or `auto`: the first installed one that can run the
            bundle; on an Ascend its own runtime first.
        bundle: the model.
        device: `cpu`, `ascend:0`, `gpu:0`, see `parse_device`; None is the engine's default.
        precision: `f32`, `bf16`, `f16`; None is the engine's default on that device.
        reuse: keep activations of the 3D net from call to call, see `engines.reuse`.

    Raises:
        ConfigError: there is no such device.
        EngineError: it is unknown, not installed, lacks that device or precision, cannot run
            the bundle, or cannot reuse activations of it.
    """
    if name == "auto":
        name = _first_able(bundle, device, precision)
    with uninterrupted():
        return _known(name)(bundle, device, precision, reuse)


def choose_engine(
    name: str, bundle: Bundle, device: str | None = None, precision: str | None = None
) -> str:
    """The name of the engine that `open_engine` would open; every engine can do `auto`.

    Raises:
        ConfigError: there is no such device.
        EngineError: it is unknown, not installed, lacks that device or precision, or the bundle
            has no graph for it.
    """
    if precision == AUTO:
        precision = None
    if name == "auto":
        return _first_able(bundle, device, precision)
    require_graphs(name, bundle, device, precision)
    if not _known(name).is_installed():
        raise EngineError(f"engine {name} is not installed; have {', '.join(installed_engines())}")
    _known(name).require_here(parse_device(device or "cpu"))
    return name


def require_graphs(
    name: str, bundle: Bundle, device: str | None = None, precision: str | None = None
) -> list[Graph]:
    """The graphs that an engine would run; needs no library.

    Raises:
        ConfigError: there is no such device.
        EngineError: it is unknown, lacks that device or precision, or the bundle has no graph
            for it.
    """
    return _known(name).require(bundle, device, precision)


def require_reuse(name: str) -> None:
    """Check that an engine can reuse activations; needs no library.

    Raises:
        EngineError: it cannot, or is unknown.
    """
    _known(name).require_reuse()


def precisions_of(name: str, device: str | None = None) -> tuple[str, ...]:
    """Precisions of an engine on a device, the default first.

    Raises:
        ConfigError: there is no such device.
        EngineError: it is unknown.
    """
    known = _known(name)
    return known.precisions_on(parse_device(device or known.devices[0]).kind)


def _known(name: str) -> type[GraphEngine]:
    if name not in ENGINES:
        raise EngineError(f"engine is {name!r}; expected auto, {', '.join(ENGINE_NAMES)}")
    module, _, kind = ENGINES[name].partition(".")
    engine: type[GraphEngine] = getattr(import_module(f"{__name__}.{module}"), kind)
    return engine


def _first_able(bundle: Bundle, device: str | None, precision: str | None) -> str:
    reasons = []
    place = parse_device(device or "cpu")
    on_ascend = place.kind == "ascend"
    # One by one: looking at an engine imports its module.
    for name in sorted(ENGINE_NAMES, key=lambda name: on_ascend and name != "mslite"):
        if not _known(name).is_installed():
            continue
        try:
            require_graphs(name, bundle, device, precision)
            _known(name).require_here(place)
            return name
        except EngineError as error:
            reasons.append(str(error))
    raise EngineError(
        "; ".join(reasons)
        or "no inference engine is installed; run pip install 'ecolite-stream[openvino]'"
    )
