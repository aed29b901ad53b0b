"""Live action recognition with ECO-Lite beside real cameras.

    from ecolite_stream import Recognizer, demo_bundle_path, open_engine, open_source, read_bundle

Names are imported when they are first used, so that importing the package stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecolite_stream.bundle import Bundle, ModelSpec, demo_bundle_path, read_bundle
    from ecolite_stream.config import EventConfig, MemoryConfig, ReconnectConfig, StreamConfig
    from ecolite_stream.decision import Decision
    from ecolite_stream.engines import Engine, open_engine
    from ecolite_stream.errors import (
        BundleError,
        ConfigError,
        EcoliteError,
        EngineError,
        SourceError,
    )
    from ecolite_stream.metrics import Metrics
    from ecolite_stream.naming import NamedSource
    from ecolite_stream.pipeline import Pipeline, stream_inputs
    from ecolite_stream.recognizer import Recognizer
    from ecolite_stream.sinks import ConsoleSink, JsonFileSink, JsonLinesSink, Sink, WebhookSink
    from ecolite_stream.sources import Source, open_source
    from ecolite_stream.types import Event, Frame, Prediction

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "BundleError",
    "ConfigError",
    "ConsoleSink",
    "Decision",
    "EcoliteError",
    "Engine",
    "EngineError",
    "Event",
    "EventConfig",
    "Frame",
    "JsonFileSink",
    "JsonLinesSink",
    "MemoryConfig",
    "Metrics",
    "ModelSpec",
    "NamedSource",
    "Pipeline",
    "Prediction",
    "Recognizer",
    "ReconnectConfig",
    "Sink",
    "Source",
    "SourceError",
    "StreamConfig",
    "WebhookSink",
    "demo_bundle_path",
    "open_engine",
    "open_source",
    "read_bundle",
    "stream_inputs",
]

_HOMES = {
    "bundle": ("Bundle", "ModelSpec", "demo_bundle_path", "read_bundle"),
    "config": ("EventConfig", "MemoryConfig", "ReconnectConfig", "StreamConfig"),
    "decision": ("Decision",),
    "engines": ("Engine", "open_engine"),
    "errors": ("BundleError", "ConfigError", "EcoliteError", "EngineError", "SourceError"),
    "metrics": ("Metrics",),
    "naming": ("NamedSource",),
    "pipeline": ("Pipeline", "stream_inputs"),
    "recognizer": ("Recognizer",),
    "sinks": ("ConsoleSink", "JsonFileSink", "JsonLinesSink", "Sink", "WebhookSink"),
    "sources": ("Source", "open_source"),
    "types": ("Event", "Frame", "Prediction"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
