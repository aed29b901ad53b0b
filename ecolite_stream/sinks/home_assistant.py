"""Streams that Home Assistant finds by itself: MQTT discovery.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ecolite_stream.sinks.base import FrameSink, Sink
from ecolite_stream.sinks.mqtt import NO_ACTION, MqttConfig, MqttSink
from ecolite_stream.types import Frame
from ecolite_stream.version import __version__

ON, OFF = "ON", "OFF"
SILENT_S = 10.0
"""A camera without a frame for so long is not connected."""
_LOOK_EVERY_S = 1.0


class HomeAssistantSink(MqttSink, FrameSink):
    """The MQTT sink, with three entities for each stream, all retained:

        DISCOVERY/sensor/NODE/action/config             the action
        DISCOVERY/binary_sensor/NODE/lasting/config     on while an event lasts
        DISCOVERY/binary_sensor/NODE/connected/config   whether the camera sends pictures
        PREFIX/STREAM/connected                         ON or OFF, for the last one

    NODE is made from the prefix and the stream's name, and is the same in each run.

    Args:
        config: its `url` and `discovery` must be set.
        streams: names of the streams.
        clock: the time of day, in seconds since 1970.
        monotonic: seconds, for the time since the last frame.
    """

    def __init__(
        self,
        config: MqttConfig,
        streams: Sequence[str],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(config, streams, clock)
        assert config.discovery is not None
        self._discovery = config.discovery.strip("/")
        self._monotonic = monotonic
        self._seen_s: dict[str, float] = {}
        self._ending = threading.Event()
        self._looking = threading.Thread(target=self._look, name="mqtt cameras", daemon=True)
        for name in streams:
            self._announce(name)

    def __enter__(self) -> Sink:
        super().__enter__()
        self._looking.start()
        return self

    def add_stream(self, name: str) -> None:
        super().add_stream(name)
        self._announce(name)

    def show(self, frame: Frame, live: bool) -> bool:
        self._seen_s[frame.stream] = self._monotonic()
        return True

    def hurry(self) -> None:
        """Nothing takes long."""
        self._ending.set()

    def close(self) -> None:
        self._ending.set()
        if self._looking.ident is not None:
            self._looking.join(_LOOK_EVERY_S)
        super().close()

    def _announce(self, name: str) -> None:
        for topic, config in discovery(self._discovery, self._prefix, name, self._topic):
            self._set_topic(topic, json.dumps(config))
        self._set(name, "connected", OFF)

    def _look(self) -> None:
        while not self._ending.wait(_LOOK_EVERY_S):
            now_s = self._monotonic()
            for name, seen_s in list(self._seen_s.items()):
                self._set(name, "connected", ON if now_s - seen_s < SILENT_S else OFF)
            self._send_states()


def discovery(
    root: str, prefix: str, stream: str, topic: Callable[[str, str], str]
) -> list[tuple[str, dict[str, Any]]]:
    """Topics and payloads by which Home Assistant finds a stream.

    Args:
        root: what Home Assistant calls its discovery prefix.
        prefix: first part of the run's topics.
        stream: name of the stream.
        topic: makes a topic of a stream's name and what it says.
    """
    node = node_id(prefix, stream)
    common = {
        "availability_topic": f"{prefix}/available",
        "payload_available": "online",
        "payload_not_available": "offline",
        "device": {
            "identifiers": [node],
            "name": stream,
            "manufacturer": "ecolite-stream",
            "model": "Action recognition",
            "sw_version": __version__,
        },
        "origin": {"name": "ecolite-stream", "sw_version": __version__},
    }
    action, connected = topic(stream, "action"), topic(stream, "connected")
    switches = {"payload_on": ON, "payload_off": OFF}
    entities: list[tuple[str, str, dict[str, Any]]] = [
        ("sensor", "action", {"name": "Action", "state_topic": action, "icon": "mdi:run"}),
        (
            "binary_sensor",
            "lasting",
            {
                "name": "Event",
                "state_topic": action,
                "value_template": f"{{{{ '{OFF}' if value == '{NO_ACTION}' else '{ON}' }}}}",
                **switches,
            },
        ),
        (
            "binary_sensor",
            "connected",
            {
                "name": "Camera",
                "state_topic": connected,
                "device_class": "connectivity",
                "entity_category": "diagnostic",
                **switches,
            },
        ),
    ]
    return [
        (
            f"{root}/{component}/{node}/{key}/config",
            {**config, "unique_id": f"{node}_{key}", **common},
        )
        for component, key, config in entities
    ]


def node_id(prefix: str, stream: str) -> str:
    """A name of letters, digits, - and _ for a stream; no two streams share one."""
    words = f"{prefix}/{stream}".encode("utf-8", "surrogateescape")
    slug = re.sub(r"[^a-zA-Z0-9]+", "_", f"{prefix} {stream}").strip("_")[:40]
    return f"{slug}_{hashlib.sha256(words).hexdigest()[:8]}"
