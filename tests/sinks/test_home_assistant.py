"""What Home Assistant finds at a real broker."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("paho.mqtt", reason="the extra mqtt is not installed")

from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks.home_assistant import HomeAssistantSink, node_id
from ecolite_stream.sinks.mqtt import MqttConfig
from ecolite_stream.types import Frame
from tests.sinks.test_mqtt import BEGIN, END, Broker, Listener
from tests.sinks.test_mqtt import broker as broker
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(60)

NODE = node_id("ecolite", "door/1")
TOPICS = {
    f"ha/sensor/{NODE}/action/config",
    f"ha/binary_sensor/{NODE}/lasting/config",
    f"ha/binary_sensor/{NODE}/connected/config",
}
DOCUMENTED = {
    *("name", "unique_id", "state_topic", "value_template", "payload_on", "payload_off"),
    *("device_class", "entity_category", "icon", "device", "origin"),
    *("availability_topic", "payload_available", "payload_not_available"),
}
"""Keys that Home Assistant documents for MQTT sensors and binary sensors, of those used."""


def sink_at(broker: Broker, now_s: list[float]) -> HomeAssistantSink:
    config = MqttConfig(f"mqtt://127.0.0.1:{broker.port}", discovery="ha")
    return HomeAssistantSink(config, ["door/1"], lambda: 1000.0, lambda: now_s[0])


def announced(listener: Listener) -> dict[str, dict[str, Any]]:
    return {
        topic: json.loads(payload)
        for topic, payload, _ in list(listener.messages)
        if topic.startswith("ha/")
    }


def value(template: str, payload: str) -> str:
    """What Home Assistant makes of a payload by a template."""
    jinja2 = pytest.importorskip("jinja2")
    return str(jinja2.Template(template).render(value=payload))


def test_three_entities_of_one_device(broker: Broker) -> None:
    with sink_at(broker, [0.0]), Listener(broker.port) as listener:
        eventually(lambda: set(announced(listener)) == TOPICS)
        found = announced(listener)
    for config in found.values():
        assert set(config) <= DOCUMENTED
        assert config["availability_topic"] == "ecolite/available"
        assert config["device"]["identifiers"] == [NODE]
        assert config["device"]["name"] == "door/1"
    assert len({config["unique_id"] for config in found.values()}) == 3
    camera = found[f"ha/binary_sensor/{NODE}/connected/config"]
    assert (camera["device_class"], camera["payload_on"]) == ("connectivity", "ON")


def test_who_comes_later_finds_them_too(broker: Broker) -> None:
    with sink_at(broker, [0.0]), Listener(broker.port) as first:
        eventually(lambda: set(announced(first)) == TOPICS)
    with Listener(broker.port) as later:
        eventually(lambda: set(announced(later)) == TOPICS)
        assert all(kept for topic, _, kept in later.messages if topic in TOPICS)
        eventually(lambda: later.of("ecolite/available") == ["offline"])


def test_a_broker_that_forgot_is_told_again(broker: Broker) -> None:
    with sink_at(broker, [0.0]):
        with Listener(broker.port) as listener:
            eventually(lambda: set(announced(listener)) == TOPICS)
        broker.stop()
        broker.start()
        with Listener(broker.port) as listener:
            eventually(lambda: set(announced(listener)) == TOPICS)


def test_states_as_the_entities_read_them(broker: Broker) -> None:
    now_s = [100.0]
    with sink_at(broker, now_s) as sink, Listener(broker.port) as listener:
        eventually(lambda: set(announced(listener)) == TOPICS)
        lasting = announced(listener)[f"ha/binary_sensor/{NODE}/lasting/config"]
        camera = announced(listener)[f"ha/binary_sensor/{NODE}/connected/config"]
        eventually(lambda: listener.of(camera["state_topic"])[-1:] == ["OFF"])
        sink.show(Frame("door/1", 0, 0.0, np.zeros((2, 2, 3), np.uint8)), True)
        eventually(lambda: listener.of(camera["state_topic"])[-1] == "ON")
        now_s[0] += 10.5
        eventually(lambda: listener.of(camera["state_topic"])[-1] == "OFF")
        sink.send(BEGIN)
        sink.send(END)
        eventually(lambda: listener.of(lasting["state_topic"])[-2:] == ["wave2", "none"])
        seen = [value(lasting["value_template"], text) for text in ("none", "wave2", "none")]
        assert seen == ["OFF", "ON", "OFF"]


def test_a_stream_that_joins_is_announced(broker: Broker) -> None:
    with sink_at(broker, [0.0]) as sink, Listener(broker.port) as listener:
        sink.add_stream("yard")
        node = node_id("ecolite", "yard")
        eventually(lambda: f"ha/sensor/{node}/action/config" in announced(listener))


def test_views_are_entities_of_one_device(broker: Broker) -> None:
    config = MqttConfig(f"mqtt://127.0.0.1:{broker.port}", discovery="ha")
    views = {"door/1": ("left", "right")}
    with (
        HomeAssistantSink(config, ["door/1"], views=views) as sink,
        Listener(broker.port) as listener,
    ):
        eventually(lambda: len(announced(listener)) == 5)
        found = announced(listener).values()
        assert {one["name"] for one in found} == {
            *("Camera", "Action left", "Event left", "Action right", "Event right")
        }
        assert len({one["unique_id"] for one in found}) == 5
        assert {one["state_topic"] for one in found} == {
            *("ecolite/door%2F1/left/action", "ecolite/door%2F1/right/action"),
            "ecolite/door%2F1/connected",
        }
        sink.add_stream("door/1", ())
        eventually(lambda: set(present(listener)) == TOPICS)


def present(listener: Listener) -> list[str]:
    """Announcements that were not taken back."""
    newest = {topic: payload for topic, payload, _ in list(listener.messages)}
    return [topic for topic, payload in newest.items() if topic.startswith("ha/") and payload]


def test_node_ids_are_what_topics_allow_and_differ() -> None:
    names = ["door", "door ", "dóor", "d/oor", "\udcff", "x" * 300]
    found = [node_id("ecolite", name) for name in names]
    assert len(set(found)) == len(names)
    assert all(set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789_") for one in found)
    assert all(len(one) <= 50 for one in found)


@pytest.mark.parametrize("topic", ["", "/", "a/+", "a#"])
def test_prefixes_that_cannot_be(topic: str) -> None:
    with pytest.raises(ConfigError, match="discovery is"):
        MqttConfig("mqtt://host", discovery=topic)


def test_off_by_default() -> None:
    assert MqttConfig("mqtt://host").discovery is None
