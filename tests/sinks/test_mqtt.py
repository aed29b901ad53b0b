"""Events and states at a real broker, mosquitto: one that is absent, killed, frozen, or refuses."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("paho.mqtt", reason="the extra mqtt is not installed")

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks.mqtt import MqttConfig, MqttSink
from ecolite_stream.sinks.mqtt_topics import ViewTopics
from ecolite_stream.types import Event, Prediction
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(60)

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
BEGIN = Event(
    "door/1@12.500",
    *("door/1", "wave2", 12.5, None, 0.9, 0.8, "start"),
    started_at="1970-01-01T00:16:39.250Z",
)
END = dataclasses.replace(
    BEGIN, end_s=15.0, peak_score=0.97, kind="end", ended_at="1970-01-01T00:16:41.750Z"
)
SEEN = Prediction("door/1", 325, 13.0, "wave2", 0.9, (("wave2", 0.9),), 1.0, latency_ms=250.0)
ACTION, PREDICTION = "ecolite/door%2F1/action", "ecolite/door%2F1/prediction"


class Broker:
    """A mosquitto on loopback with its own port; `more` are further lines of its configuration."""

    def __init__(self, folder: Path, more: str = "allow_anonymous true") -> None:
        if MOSQUITTO is None:
            pytest.skip("mosquitto is not installed")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        me = f"user {os.environ.get('USER', 'root')}"
        self._config.write_text(f"{me}\nlistener {self.port} 127.0.0.1\n{more}\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        command = [MOSQUITTO, "-c", str(self._config)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


class Listener:
    """Somebody who subscribes to everything, and keeps what comes."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, str, bool]] = []
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda client, data, m: self.messages.append(
            (m.topic, m.payload.decode(), m.retain)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(10)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, topic: str) -> list[str]:
        return [payload for name, payload, _ in list(self.messages) if name == topic]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.of("ecolite/events")]


def sink_at(port: int, url: str = "mqtt://127.0.0.1:{}", **how: Any) -> MqttSink:
    return MqttSink(MqttConfig(url.format(port), **how), ["door/1"], clock=lambda: 1000.0)


def test_events_states_and_availability(broker: Broker) -> None:
    with Listener(broker.port) as listener:
        with sink_at(broker.port) as sink:
            eventually(lambda: listener.of(ACTION))
            for output in (SEEN, BEGIN):
                sink.send(output)
            eventually(lambda: listener.of(ACTION)[-1] == "wave2")
            sink.send(END)
        eventually(lambda: listener.of("ecolite/available") == ["online", "offline"])
        assert listener.of(ACTION) == ["none", "wave2", "none"]
        assert json.loads(listener.of(PREDICTION)[0]) == SEEN.as_dict()
        new, end = listener.events()
    assert (new["type"], end["type"]) == ("new", "end")
    assert new["before"] == new["after"] == end["before"]
    assert new["after"]["id"] == "door/1@12.500"
    assert (new["after"]["camera"], new["after"]["label"]) == ("door/1", "wave2")
    assert (new["after"]["start_time"], new["after"]["end_time"]) == (999.25, None)
    assert (end["after"]["end_time"], end["after"]["top_score"]) == (1001.75, 0.97)
    assert end["after"]["started_at"] == new["after"]["started_at"] == "1970-01-01T00:16:39.250Z"
    assert end["after"].items() >= END.as_dict().items()
    with Listener(broker.port) as late:  # what is retained, and nothing else
        eventually(lambda: len(late.messages) >= 3)
        assert {topic: payload for topic, payload, retained in late.messages if retained} == {
            "ecolite/available": "offline",
            ACTION: "none",
            PREDICTION: json.dumps(SEEN.as_dict()),
        }


VIEWS = {"door/1": ("left", "b/2", "subjects"), "hall": ()}


def test_views_have_topics_of_their_own(broker: Broker) -> None:
    config = MqttConfig(f"mqtt://127.0.0.1:{broker.port}")
    left, right = (dataclasses.replace(BEGIN, view=view, id=view) for view in ("left", "b/2"))
    with Listener(broker.port) as listener, MqttSink(config, list(VIEWS), views=VIEWS) as sink:

        def action(view: str) -> list[str]:
            return listener.of(f"ecolite/door%2F1/{view}action")

        eventually(lambda: len(listener.messages) >= 5)
        sink.send(left)
        sink.send(dataclasses.replace(right, label="jump"))
        sink.send(dataclasses.replace(END, view="b/2", id="b/2", label="jump"))
        sink.send(dataclasses.replace(SEEN, view="left"))
        eventually(lambda: action("b%2F2/") == ["none", "jump", "none"])
        assert (action("left/"), action("subjects/")) == (["none", "wave2"], ["none"])
        assert (action(""), listener.of("ecolite/hall/action")) == ([], ["none"])
        eventually(lambda: listener.of("ecolite/door%2F1/left/prediction"))


def test_what_is_retained_of_views_that_are_gone_goes(broker: Broker) -> None:
    config = MqttConfig(f"mqtt://127.0.0.1:{broker.port}")
    views = {"door/1": ("left", "right")}
    with Listener(broker.port) as listener:

        def kept() -> set[str]:
            newest = {topic: payload for topic, payload, _ in list(listener.messages)}
            return {topic for topic, payload in newest.items() if payload}

        with MqttSink(config, ["door/1"], views=views) as sink:
            sink.send(dataclasses.replace(SEEN, view="left"))
            eventually(lambda: "ecolite/door%2F1/left/prediction" in kept())
            sink.add_stream("door/1", ("right", "up"))
            sink.send(dataclasses.replace(SEEN, view="left"))  # it was on its way
        topics = {f"ecolite/door%2F1/{view}/action" for view in ("right", "up")}
        topics.add("ecolite/available")
        eventually(lambda: listener.of("ecolite/available")[-1] == "offline")
        assert kept() == topics
    with Listener(broker.port) as late:
        eventually(lambda: len(late.messages) >= 3)
        assert {topic for topic, _, _ in late.messages} == topics


@pytest.mark.parametrize("single", [False, True])
def test_subjects_share_their_topics(single: bool) -> None:
    topics = ViewTopics("p", {"door": () if single else ("subjects", "follow")})
    topic = "p/door/action" if single else "p/door/subjects/action"
    one, two = (
        dataclasses.replace(BEGIN, stream="door", view=view, label=view)
        for view in ("subject 1", "subject 2")
    )
    assert topics.action(one) == (topic, "subject 1")
    assert topics.action(two) == (topic, "subject 2")
    assert topics.action(dataclasses.replace(two, kind="end")) == (topic, "subject 1")
    assert topics.action(dataclasses.replace(one, kind="end")) == (topic, "none")
    assert topics.prediction(dataclasses.replace(SEEN, stream="door", view="left")) is None


def test_without_predictions_and_with_another_prefix(broker: Broker) -> None:
    with Listener(broker.port) as listener:
        with sink_at(broker.port, prefix="house/cam", predictions=False) as sink:
            eventually(lambda: listener.of("house/cam/available"))
            sink.send(SEEN)
            sink.send(BEGIN)
        eventually(lambda: listener.of("house/cam/available")[-1] == "offline")
        topics = {topic for topic, _, _ in listener.messages}
    assert topics == {f"house/cam/{name}" for name in ("available", "events", "door%2F1/action")}


def test_a_broker_that_comes_late_gets_the_events_and_the_newest_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(tmp_path)
    with sink_at(broker.port) as sink:
        eventually(lambda: "Connection refused" in caplog.text)
        for number in range(300):  # nothing waits for anybody
            sink.send(dataclasses.replace(SEEN, frame=number))
        sink.send(BEGIN)
        broker.start()
        try:
            with Listener(broker.port) as listener:
                eventually(lambda: listener.of("ecolite/available"))
                eventually(lambda: listener.events() and listener.of(PREDICTION))
                assert [event["type"] for event in listener.events()] == ["new"]
                assert [json.loads(p)["frame"] for p in listener.of(PREDICTION)] == [299]
                assert listener.of(ACTION) == ["wave2"]
        finally:
            broker.stop()
    assert "connected" in caplog.text


def test_a_broker_that_is_killed_is_found_again(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """It forgets everything; states are there again without a new prediction."""
    with sink_at(broker.port) as sink:
        with Listener(broker.port) as listener:
            sink.send(BEGIN)
            eventually(lambda: "wave2" in listener.of(ACTION))
            eventually(lambda: "online" in listener.of("ecolite/available"))
        broker.stop()
        eventually(lambda: "trying again" in caplog.text)
        broker.start()
        with Listener(broker.port) as listener:
            eventually(lambda: "wave2" in listener.of(ACTION))
            eventually(lambda: "online" in listener.of("ecolite/available"))


def test_the_last_will_of_a_run_that_is_cut_off(broker: Broker) -> None:
    with Listener(broker.port) as listener:
        sink = sink_at(broker.port)
        with sink:
            eventually(lambda: listener.of("ecolite/available") == ["online"])
            cut = sink._client.socket()
            assert cut is not None
            cut.shutdown(socket.SHUT_RDWR)
            eventually(lambda: "offline" in listener.of("ecolite/available"))


def test_a_frozen_broker_holds_nobody_up(broker: Broker) -> None:
    """Each state has one message on its way, however many there were; the end waits a moment."""
    sink = sink_at(broker.port)
    with sink:
        eventually(lambda: sink._client.is_connected())
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        for number in range(2000):
            sink.send(dataclasses.replace(SEEN, frame=number))
        assert len(sink._client._out_packet) <= 3


def test_events_that_no_broker_takes_are_an_error_and_the_state_is_right(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with sink_at(broker.port) as sink:
        sink.send(BEGIN)
        for number in range(255):
            sink.send(dataclasses.replace(BEGIN, id=str(number)))
        for _ in range(2):  # it is tried again
            with pytest.raises(OSError, match="256 events wait for the broker already"):
                sink.send(END)
        sink.send(SEEN)
        broker.start()
        try:
            with Listener(broker.port) as listener:
                eventually(lambda: len(listener.events()) == 256)
                eventually(lambda: listener.of(ACTION))
                assert listener.of(ACTION) == ["none"]
                sink.send(END)
                eventually(lambda: len(listener.events()) == 257)
                end = listener.events()[-1]
                assert (end["type"], end["before"]["end_time"]) == ("end", None)
        finally:
            broker.stop()


def test_a_state_is_right_though_its_start_was_lost(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with sink_at(broker.port) as sink:
        for number in range(256):
            sink.send(dataclasses.replace(END, id=str(number)))
        with pytest.raises(OSError, match="256 events wait"):
            sink.send(BEGIN)
        broker.start()
        try:
            with Listener(broker.port) as listener:
                eventually(lambda: listener.of(ACTION))
                assert listener.of(ACTION) == ["wave2"]
        finally:
            broker.stop()


def test_what_is_known_of_events_without_an_end_is_bounded(tmp_path: Path) -> None:
    sink = sink_at(Broker(tmp_path).port)
    sink._client.max_queued_messages_set(0)  # without a limit
    for number in range(3000):
        sink.send(dataclasses.replace(BEGIN, id=str(number)))
    assert len(sink._events) == 1000


def test_credentials_are_used_and_never_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed")
    passwords = tmp_path / "passwords"
    subprocess.run([program, "-b", "-c", str(passwords), "me", "sec@ret"], check=True)
    broker = Broker(tmp_path, f"allow_anonymous false\npassword_file {passwords}")
    broker.start()
    try:
        right = sink_at(broker.port, "mqtt://me:sec%40ret@127.0.0.1:{}")
        with right:
            eventually(lambda: right._client.is_connected())
        wrong = sink_at(broker.port, "mqtt://me:hush@127.0.0.1:{}")
        with wrong:
            eventually(lambda: "not authorized; trying again" in caplog.text)
    finally:
        broker.stop()
    assert "sec" not in caplog.text and "hush" not in caplog.text


def test_tls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    how = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([program, "req", *how, *more], check=True, capture_output=True)
    broker = Broker(tmp_path, f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}")
    broker.start()
    try:
        known = sink_at(broker.port, "mqtts://127.0.0.1:{}", ca_file=certificate)
        with known:
            eventually(lambda: known._client.is_connected())
        with sink_at(broker.port, "mqtts://127.0.0.1:{}"):
            eventually(lambda: "certificate" in caplog.text)
    finally:
        broker.stop()


@pytest.mark.parametrize(
    "url",
    ["", "host", "http://host", "mqtt://", "mqtt://host:x", "mqtt://host/topic", "mqtt://a b"],
)
def test_what_is_no_broker(url: str) -> None:
    with pytest.raises(ConfigError, match="expected a URL such as mqtt://HOST"):
        MqttSink(MqttConfig(url), [])


@pytest.mark.parametrize("url", ["mqtt://me:secret@host/topic", "me:secret@host", "secret@host"])
def test_passwords_are_not_in_errors(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MqttSink(MqttConfig(url), [])
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(MqttConfig("mqtt://me:secret@host"))


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ca_file .*none\.pem cannot be read"):
        MqttSink(MqttConfig("mqtts://host", ca_file=tmp_path / "none.pem"), [])


@pytest.mark.parametrize("prefix", ["", "/", "a/+/b", "a/#", "a\0"])
def test_what_is_no_prefix(prefix: str) -> None:
    with pytest.raises(ConfigError, match="expected a topic without"):
        MqttConfig(prefix=prefix)
