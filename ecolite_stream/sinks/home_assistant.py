"""MQTT discovery: Home Assistant finds the streams by itself.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ecolite_stream.sinks.base import FrameSink, Sink
from ecolite_stream.sinks.mqtt import MqttConfig, MqttSink
from ecolite_stream.sinks.mqtt_topics import NO_ACTION
from ecolite_stream.types import Frame
from ecolite_stream.version import __version__

ON, OFF = "ON", "OFF"
SILENT_S = 10.0
"""Seconds without a frame after which a camera counts as disconnected."""
_LOOK_EVERY_S = 1.0


class HomeAssistantSink(MqttSink, FrameSink):
    """The MQTT sink with entities of each stream, all retained:

        DISCOVERY/sensor/NODE/action/config             the action
        DISCOVERY/binary_sensor/NODE/lasting/config     on while an event lasts
        DISCOVERY/binary_sensor/NODE/connected/config   whether the camera sends pictures
        PREFIX/STREAM/connected                         ON or OFF, for the last one

    NODE comes from the prefix and the stream's name and is the same in each run. A stream with
    several views has an action and a binary sensor for each, in .../NODE/VIEW_action/config.

    Args:
        config: its `url` and `discovery` must be set.
        streams: names of the streams.
        clock: the time of day, in seconds since 1970.
        monotonic: seconds, for the time since the last frame.
        views: see `MqttSink`.
    """

    def __init__(
        self,
        config: MqttConfig,
        streams: Sequence[str],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        views: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(config, streams, clock, views)
        assert config.discovery is not None
        self._discovery = config.discovery.strip("/")
        self._monotonic = monotonic
        self._seen_s: dict[str, float] = {}
        self._announced: dict[str, set[str]] = {}  # topics, by stream
        self._ending = threading.Event()
        self._looking = threading.Thread(target=self._look, name="mqtt cameras", daemon=True)
        for name in streams:
            self._announce(name)
            self._set_topic(self._topics.topic(name, "connected"), OFF)

    def __enter__(self) -> Sink:
        super().__enter__()
        self._looking.start()
        return self

    def add_stream(self, name: str, views: Sequence[str] = ()) -> None:
        super().add_stream(name, views)
        self._announce(name)
        self._set_topic(self._topics.topic(name, "connected"), OFF)

    def change_views(self, name: str, views: Sequence[str]) -> None:
        super().change_views(name, views)
        self._announce(name)

    def show(self, frame: Frame, live: bool) -> bool:
        self._seen_s[frame.stream] = self._monotonic()
        return True

    def hurry(self) -> None:
        """End the thread that watches the cameras."""
        self._ending.set()

    def close(self) -> None:
        self._ending.set()
        if self._looking.ident is not None:
            self._looking.join(_LOOK_EVERY_S)
        super().close()

    def _announce(self, name: str) -> None:
        topics = self._topics
        views = topics.views(name)
        found = dict(discovery(self._discovery, self._prefix, name, topics.topic, views))
        for topic in self._announced.get(name, set()) - set(found):
            self._forget_topic(topic)
        self._announced[name] = set(found)
        for topic, config in found.items():
            self._set_topic(topic, json.dumps(config))

    def _look(self) -> None:
        while not self._ending.wait(_LOOK_EVERY_S):
            now_s = self._monotonic()
            for name, seen_s in list(self._seen_s.items()):
                is_there = now_s - seen_s < SILENT_S
                self._set_topic(self._topics.topic(name, "connected"), ON if is_there else OFF)
            self._send_states()


def discovery(
    root: str,
    prefix: str,
    stream: str,
    topic: Callable[[str, str, str], str],
    views: Sequence[str] = ("",),
) -> list[tuple[str, dict[str, Any]]]:
    """Topics and payloads by which Home Assistant finds a stream.

    Args:
        root: the discovery prefix of Home Assistant.
        prefix: first part of the run's topics.
        stream: name of the stream.
        topic: makes a topic from the stream's name, the kind of state and the view's name.
        views: names of its views; one empty name where it has one view.
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
    entities = [_camera(topic(stream, "connected", ""))]
    for view in views:
        entities += _view_entities(view, topic(stream, "action", view))
    return [
        (
            f"{root}/{component}/{node}/{key}/config",
            {**config, "unique_id": f"{node}_{key}", **common},
        )
        for component, key, config in entities
    ]


_SWITCHES = {"payload_on": ON, "payload_off": OFF}
_Entity = tuple[str, str, dict[str, Any]]
"""The component of Home Assistant, the last part of the id, and the configuration."""


def _camera(topic: str) -> _Entity:
    config = {
        "name": "Camera",
        "state_topic": topic,
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        **_SWITCHES,
    }
    return "binary_sensor", "connected", config


def _view_entities(view: str, topic: str) -> list[_Entity]:
    """The action of a view, and whether an event lasts there."""
    key, name = (f"{node_id('view', view)}_", f" {view}") if view else ("", "")
    lasting = {
        "name": f"Event{name}",
        "state_topic": topic,
        "value_template": f"{{{{ '{OFF}' if value == '{NO_ACTION}' else '{ON}' }}}}",
        **_SWITCHES,
    }
    action = {"name": f"Action{name}", "state_topic": topic, "icon": "mdi:run"}
    return [("sensor", f"{key}action", action), ("binary_sensor", f"{key}lasting", lasting)]


def node_id(prefix: str, stream: str) -> str:
    """A distinct name for a stream, of letters, digits, - and _."""
    words = f"{prefix}/{stream}".encode("utf-8", "surrogateescape")
    slug = re.sub(r"[^a-zA-Z0-9]+", "_", f"{prefix} {stream}").strip("_")[:40]
    return f"{slug}_{hashlib.sha256(words).hexdigest()[:8]}"
