"""Engines run a bundle's graphs; `open_engine` opens one by its name.

Importing this package imports no inference library; opening an engine imports its own.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from ecolite_stream.bundle import Bundle
from ecolite_stream.engines.base import Engine, uninterrupted
from ecolite_stream.engines.mindspore import MindSporeEngine
from ecolite_stream.engines.openvino import OpenVinoEngine
from ecolite_stream.errors import EngineError

__all__ = ["Engine", "installed_engines", "open_engine"]

# Fastest first, as `ecolite-bench speed` measures them; each has the name of its library.
_ENGINES: dict[str, Callable[[Bundle], Engine]] = {
    "openvino": OpenVinoEngine,
    "mindspore": MindSporeEngine,
}


def installed_engines() -> list[str]:
    """Names of the engines whose library is installed, fastest first."""
    return [name for name in _ENGINES if find_spec(name) is not None]


def open_engine(name: str, bundle: Bundle) -> Engine:
    """Open a bundle with the engine of that name; `auto` takes the fastest one installed.

    Raises:
        EngineError: it is unknown, not installed, or cannot run the bundle.
    """
    if name == "auto":
        installed = installed_engines()
        if not installed:
            raise EngineError(
                "no inference engine is installed; run pip install 'ecolite-stream[openvino]'"
            )
        name = installed[0]
    if name not in _ENGINES:
        raise EngineError(f"engine is {name!r}; expected auto, {', '.join(_ENGINES)}")
    with uninterrupted():
        return _ENGINES[name](bundle)
