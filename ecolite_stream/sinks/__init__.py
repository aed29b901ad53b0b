"""Where predictions and events go."""

from __future__ import annotations

from collections.abc import Sequence

from ecolite_stream.config.schema import MqttConfig
from ecolite_stream.errors import ConfigError
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
    "mqtt_sink",
]


def mqtt_sink(config: MqttConfig, streams: Sequence[str]) -> Sink:
    """The sink that publishes at a broker; it connects when it is entered.

    Raises:
        ConfigError: the extra is not installed, or the configuration cannot be.
    """
    try:
        from ecolite_stream.sinks.mqtt import MqttSink
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"mqtt needs {error.name}, which is not installed; "
            "run pip install 'ecolite-stream[mqtt]'"
        ) from error
    return MqttSink(config, streams)
