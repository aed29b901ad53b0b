"""Events and the state of each stream at an MQTT broker, in topics as Frigate shapes them."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecolite_stream.config.redact import redact_url
from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.kind import Run, SinkKind
from ecolite_stream.sinks.mqtt_topics import NO_ACTION, RetainedState, ViewTopics
from ecolite_stream.types import Event, Output, Prediction, unix_ms_of

if TYPE_CHECKING:
    from paho.mqtt.client import Client

_log = logging.getLogger(__name__)

_TYPES = {"start": "new", "update": "update", "end": "end"}
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_AT_LEAST_ONCE = 1
_EVENTS_WAITING = 256  # for a broker that is away; more are lost
_EVENTS_KNOWN = 1000
_KEEP_ALIVE_S = 15
_LONGEST_RECONNECT_S = 60
_LAST_WORDS_S = 0.5


@dataclass(frozen=True)
class MqttConfig:
    """Events and states at an MQTT broker (docs/events.md).

    Attributes:
        url: `mqtt://[USER:PASSWORD@]HOST[:PORT]`, or `mqtts://` for TLS; None publishes nothing.
        prefix: first part of every topic; two runs at one broker need two.
        predictions: publish each stream's newest prediction too.
        ca_file: PEM file of certificates that vouch for the broker; None takes those of the system.
        discovery: discovery prefix of Home Assistant, mostly `homeassistant`, which then finds the
            streams; None announces none.
    """

    url: str | None = field(default=None, repr=False)
    prefix: str = "ecolite"
    predictions: bool = True
    ca_file: Path | None = None
    discovery: str | None = None

    def __post_init__(self) -> None:
        for name, topic in (("prefix", self.prefix), ("discovery", self.discovery)):
            if topic is None:
                continue
            if not topic.strip("/") or any(c in "+#" or c < " " for c in topic):
                raise ConfigError(f"{name} is {topic!r}; expected a topic without + and #")


class MqttSink(Sink):
    """Publishes below a prefix, all but the events retained:

        available            online; offline when the run ends or is lost (the last will)
        events               {"type": "new" | "update" | "end", "before": {...}, "after": {...}}
        STREAM/action        the label of the event that lasts, or none
        STREAM/prediction    the newest prediction, as JSON Lines have it

    A stream with several views has both for each view, in STREAM/VIEW/...; all its subjects are one
    view, `subjects`. STREAM and VIEW are names, percent-encoded.

    Nothing here waits for the broker: paho's thread connects, for ever, and sends. Of `action` and
    `prediction` only the newest is kept for a broker that is slow or away, and all are said again
    to one that is back; events wait in a queue, are sent until the broker says it has them, and are
    an error once that queue is full.
    """

    takes = (Prediction, Event)

    def __init__(
        self,
        config: MqttConfig,
        streams: Sequence[str],
        clock: Callable[[], float] = time.time,
        views: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Args:
        config: where the broker is; its `url` must be set.
        streams: names of the streams, whose action is none at first.
        clock: the time of day, in seconds since 1970; for events of recordings.
        views: names of the views of each stream that has several, () for the others. Those of a
            stream that is missing here are taken from its predictions and events.

        Raises:
            ConfigError: it is no such URL, or its certificates cannot be read.
        """
        assert config.url is not None
        self._shown = redact_url(config.url)
        self._prefix = config.prefix
        self._predictions = config.predictions
        self._clock = clock
        self._events: dict[str, dict[str, Any]] = {}  # as last told, by id, while they last
        self._states: dict[str, RetainedState] = {}
        self._gone = threading.Event()
        self._complained = False
        self._lock = threading.Lock()
        self._client, self._address = self._make_client(config)
        self._topics = ViewTopics(config.prefix, views or {})
        for name in streams:
            self._reset_actions(name)

    def add_stream(self, name: str, views: Sequence[str] = ()) -> None:
        self.change_views(name, views)
        self._reset_actions(name)

    def change_views(self, name: str, views: Sequence[str]) -> None:
        gone, new = self._topics.change_views(name, views)
        for topic in gone:
            self._forget_topic(topic)
        for topic in new:
            self._set_topic(topic, NO_ACTION)

    def _reset_actions(self, name: str) -> None:
        for topic in self._topics.actions(name):
            self._set_topic(topic, NO_ACTION)

    def __enter__(self) -> Sink:
        self._client.connect_async(*self._address, _KEEP_ALIVE_S)
        self._client.loop_start()
        return self

    def send(self, output: Output) -> None:
        try:
            if isinstance(output, Event):
                self._send_event(output)
            else:
                topic = self._topics.prediction(output) if self._predictions else None
                if topic is not None:
                    self._set_topic(topic, json.dumps(output.as_dict()))
        finally:
            self._send_states()

    def close(self) -> None:
        """Say the last words, if the broker is there to hear them."""
        client, deadline_s = self._client, time.monotonic() + _LAST_WORDS_S
        is_connected = client.is_connected()
        if is_connected:
            self._say("offline").wait(deadline_s - time.monotonic())
        client.disconnect()
        if is_connected:
            self._gone.wait(_LAST_WORDS_S)

    def publish(self, topic: str, payload: str, timeout_s: float) -> None:
        """Publish one message by a connection of its own, without states and last will.

        Raises:
            OSError: the broker does not take it in time.
        """
        client, deadline_s = self._client, time.monotonic() + timeout_s
        refused: list[str] = []

        def connected(client: Client, data: Any, flags: Any, reason: Any, more: Any) -> None:
            if reason.is_failure:
                refused.append(str(reason).lower())

        client.will_clear()
        client.on_connect = connected
        client.connect_timeout = timeout_s
        try:
            client.connect(*self._address, _KEEP_ALIVE_S)
            client.loop_start()
            info = client.publish(topic, payload, _AT_LEAST_ONCE)
            while not info.is_published() and not refused and time.monotonic() < deadline_s:
                info.wait_for_publish(0.1)
        finally:
            client.disconnect()
            client.loop_stop()
        if not info.is_published():
            raise OSError(refused[0] if refused else "the broker did not answer in time")

    def _send_event(self, event: Event) -> None:
        from paho.mqtt.enums import MQTTErrorCode

        before = self._events.get(event.id)
        begun_unix_s = before["start_time"] if before else self._begun_unix_s(event)
        after = {**_as_frigate(event, begun_unix_s), **event.as_dict()}
        message = {
            "type": _TYPES[event.kind],
            "before": before or after,
            "after": after,
        }
        # The state first: it is right at a broker that comes back, however many events are lost.
        if (action := self._topics.action(event)) is not None:
            self._set_topic(*action)
        info = self._client.publish(f"{self._prefix}/events", json.dumps(message), _AT_LEAST_ONCE)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise OSError(f"{self._shown}: {_EVENTS_WAITING} events wait for the broker already")
        self._events.pop(event.id, None)
        if event.kind != "end":
            self._events[event.id] = after
            while len(self._events) > _EVENTS_KNOWN:  # of those whose end was lost
                del self._events[next(iter(self._events))]

    def _begun_unix_s(self, event: Event) -> float:
        """When it began; of a recording's, which has no time of day, as if it were read live."""
        if event.started_at is not None:
            return unix_ms_of(event.started_at) / 1000
        return self._clock() - (0.0 if event.end_s is None else event.end_s - event.start_s)

    def _say(self, available: str) -> RetainedState:
        """Whether this run is there; without a queue that could be too full, and before it."""
        state = RetainedState(available)
        state.sent(self._client.publish(f"{self._prefix}/available", available, 0, retain=True))
        return state

    def _set_topic(self, topic: str, value: str) -> None:
        with self._lock:
            self._states.setdefault(topic, RetainedState(value)).change(value)

    def _forget_topic(self, topic: str) -> None:
        """Clear a topic at the broker: nothing is retained for an empty payload."""
        with self._lock:
            if topic in self._states:
                self._states[topic].change("")

    def _send_states(self) -> None:
        """Publish what changed, one message of each on its way at any time."""
        with self._lock:
            for topic, state in self._states.items():
                if self._client.is_connected() and state.may_be_sent:
                    state.sent(self._client.publish(topic, state.value, 0, retain=True))

    def _make_client(self, config: MqttConfig) -> tuple[Client, tuple[str, int]]:
        import ssl

        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        parts, host, port = _split(config.url or "", self._shown)
        client = Client(CallbackAPIVersion.VERSION2)
        user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
        if user:
            unquote = urllib.parse.unquote
            client.username_pw_set(unquote(user), unquote(password) if colon else None)
        if parts.scheme == "mqtts":
            try:
                client.tls_set_context(ssl.create_default_context(cafile=config.ca_file))
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(
                    f"mqtt.ca_file {config.ca_file} cannot be read: {error}; "
                    "expected certificates in a PEM file"
                ) from error
        client.will_set(f"{self._prefix}/available", "offline", _AT_LEAST_ONCE, retain=True)
        client.reconnect_delay_set(1, _LONGEST_RECONNECT_S)
        client.max_queued_messages_set(_EVENTS_WAITING)
        client.max_inflight_messages_set(_EVENTS_WAITING)  # none stays behind at the end
        client.on_connect = self._connected
        client.on_publish = self._published
        client.on_connect_fail = self._not_connected
        client.on_disconnect = self._disconnected
        return client, (host, port)

    def _connected(self, client: Client, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._complain(str(reason).lower())
            return
        if self._complained:
            _log.warning("%s: connected", self._shown)
            self._complained = False
        self._say("online")
        with self._lock:
            for state in self._states.values():
                state.forget()
        self._send_states()

    def _published(self, client: Client, data: Any, mid: int, reason: Any, more: Any) -> None:
        with self._lock:
            for state in self._states.values():
                state.published(mid)
        self._send_states()

    def _not_connected(self, client: Client, data: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this where it catches what went wrong
        self._complain(getattr(error, "strerror", None) or str(error or "no connection"))

    def _disconnected(self, client: Client, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._complain("the connection was lost")
        else:
            self._gone.set()

    def _complain(self, reason: str) -> None:
        if not self._complained:
            _log.warning("%s: %s; trying again until it works", self._shown, reason)
            self._complained = True


def _as_frigate(event: Event, begun_unix_s: float) -> dict[str, Any]:
    """What Frigate calls the facts of an event; its times are right where the stream is live."""
    ended = None
    if event.ended_at is not None:
        ended = unix_ms_of(event.ended_at) / 1000
    elif event.end_s is not None:
        ended = round(begun_unix_s + event.end_s - event.start_s, 3)
    return {
        "id": event.id,
        "camera": event.stream,
        "label": event.label,
        "start_time": round(begun_unix_s, 3),
        "end_time": ended,
        "top_score": round(event.peak_score, 4),
        "score": round(event.mean_score, 4),
    }


def _split(url: str, shown: str) -> tuple[urllib.parse.SplitResult, str, int]:
    """The parts of a URL, the host and the port."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
        fits = parts.scheme in _PORTS and host and port != 0 and parts.path in ("", "/")
        fits = fits and not (parts.query or parts.fragment) and all(c > " " for c in url)
    except ValueError:
        fits = False
    if not fits:
        if "@" in shown:  # of what is no URL, more may be a password
            shown = "***@" + shown.rpartition("@")[2]
        raise ConfigError(
            f"mqtt is {shown!r}; expected a URL such as mqtt://HOST or mqtts://USER:PASSWORD@HOST"
        )
    return parts, host, port or _PORTS[parts.scheme]


def publish_once(config: MqttConfig, topic: str, payload: str, timeout_s: float) -> None:
    """Connect, publish one message, and disconnect once the broker has confirmed it.

    Raises:
        OSError: the broker does not take it in time.
    """
    sink = MqttSink(dataclasses.replace(config, predictions=False), ())
    sink.publish(topic, payload, timeout_s)


def _check(config: MqttConfig, run: Run) -> str:
    assert config.url is not None
    _build(config, run)
    return f"events to {redact_url(config.url)}"


def _build(config: MqttConfig, run: Run) -> Sink:
    if config.discovery is not None:
        from ecolite_stream.sinks.home_assistant import HomeAssistantSink

        return HomeAssistantSink(config, run.streams, views=run.views)
    return MqttSink(config, run.streams, views=run.views)


SINK = SinkKind(
    "mqtt",
    MqttConfig,
    key="url",
    metavar="URL",
    help="Publish events and states to an MQTT broker.",
    extra="mqtt",
    check=_check,
    build=_build,
)
