"""Where predictions go."""

from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.console import ConsoleSink
from ecolite_stream.sinks.json_lines import JsonLinesSink

__all__ = ["ConsoleSink", "JsonLinesSink", "Sink"]
