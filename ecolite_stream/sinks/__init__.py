"""Sinks of predictions and events."""

from __future__ import annotations

from ecolite_stream.sinks.base import FrameSink, Sink
from ecolite_stream.sinks.console import ConsoleSink
from ecolite_stream.sinks.json_file import JsonFileSink
from ecolite_stream.sinks.json_lines import JsonLinesSink
from ecolite_stream.sinks.webhook import WebhookSink

__all__ = [
    "ConsoleSink",
    "FrameSink",
    "JsonFileSink",
    "JsonLinesSink",
    "Sink",
    "WebhookSink",
]
