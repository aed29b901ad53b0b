"""Alert rules, and messages that reach real other ends."""

from __future__ import annotations

import dataclasses
import json
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from ecolite_stream.app.cli import stream
from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks import alerts
from ecolite_stream.sinks.alert_rules import AlertRule, EmailConfig, HoursConfig
from ecolite_stream.sinks.alerts import AlertsConfig, AlertSink
from ecolite_stream.sinks.mqtt import MqttConfig
from ecolite_stream.types import Event, iso_utc
from tests.sinks.test_webhook import Server
from tests.sinks.test_webhook import server as server
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(60)

BEGAN_S = 1_795_860_000.0  # Saturday, 2026-11-28T10:00:00Z
EVENT = Event(
    "e1", "door", "wave2", 12.5, None, 0.9, 0.8, "start", started_at=iso_utc(int(BEGAN_S * 1000))
)


def ended(event: Event = EVENT, lasted_s: float = 8.0) -> Event:
    return dataclasses.replace(event, kind="end", end_s=event.start_s + lasted_s)


def rule(**how: Any) -> AlertRule:
    return AlertRule(**{"name": "r", "command": ("true",), **how})


def berlin(text: str, fold: int = 0) -> float:
    """A moment by the clocks of Berlin."""
    return (
        datetime.fromisoformat(text)
        .replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
        .timestamp()
    )


# Rules


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ({}, True),
        ({"streams": ("door",)}, True),
        ({"streams": ("yard",)}, False),
        ({"views": ("gate",)}, False),
        ({"labels": ("walk", "wave2")}, True),
        ({"labels": ("walk",)}, False),
        ({"min_score": 0.9}, True),
        ({"min_score": 0.91}, False),
        ({"min_s": 3.0}, True),
        ({"min_s": 3.1}, False),
    ],
)
def test_what_a_rule_wants(how: dict[str, Any], wanted: bool) -> None:
    assert rule(**how).wants(EVENT, 3.0, BEGAN_S) is wanted


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        ("2026-11-27T21:59", False),  # Friday
        ("2026-11-27T22:00", True),
        ("2026-11-28T05:59", True),  # still Friday's night
        ("2026-11-28T06:00", False),
        ("2026-11-28T23:00", False),  # Saturday's night is not Friday's
        ("2026-11-27T05:00", False),  # Thursday's night
    ],
)
def test_a_night_belongs_to_the_day_it_begins_on(at: str, inside: bool) -> None:
    hours = HoursConfig(("fri",), "22:00", "06:00", "Europe/Berlin")
    assert hours.has(berlin(at)) is inside


def test_daylight_saving_time() -> None:
    hours = HoursConfig((), "08:00", "09:00", "Europe/Berlin")
    before, after = berlin("2026-10-24T08:30"), berlin("2026-10-25T08:30")
    assert after - before == 25 * 3600  # the clocks went back that night
    assert hours.has(before) and hours.has(after)
    assert not hours.has(before + 24 * 3600)  # 07:30 by the clocks
    night = HoursConfig((), "02:00", "03:00", "Europe/Berlin")
    first, second = berlin("2026-10-25T02:30"), berlin("2026-10-25T02:30", fold=1)
    assert second - first == 3600
    assert night.has(first) and night.has(second)  # the hour that there is twice
    spring = berlin("2026-03-29T01:59")
    assert not any(night.has(spring + 60 * minute) for minute in range(120))  # there is none


def test_hours_without_an_end_are_the_whole_day_and_days_are_the_zones() -> None:
    saturday = HoursConfig(("sat",), zone="Pacific/Auckland")
    assert saturday.has(datetime.fromisoformat("2026-11-27T11:30Z").timestamp())
    assert not saturday.has(datetime.fromisoformat("2026-11-28T11:30Z").timestamp())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: HoursConfig(("friday",)), "days is 'friday'; expected mon, tue"),
        (lambda: HoursConfig(start="8:00"), "start is '8:00'; expected HH:MM"),
        (lambda: HoursConfig(end="24:00"), "end is '24:00'"),
        (lambda: HoursConfig(zone="Berlin"), "zone is 'Berlin'; expected a name such as"),
        (lambda: HoursConfig(zone="../etc"), "zone is"),
        (lambda: AlertRule("r"), "sends nothing anywhere"),
        (lambda: rule(name=""), "1 to 64 characters"),
        (lambda: rule(min_score=2), "min_score is 2"),
        (lambda: rule(mqtt="a/#"), "expected a topic"),
        (lambda: EmailConfig((), "me@host", "host"), "email.to is empty"),
        (lambda: EmailConfig(("a@b\nBcc: c@d",), "me@host", "host"), "an address is none"),
        (lambda: EmailConfig(("a@b",), "me@h", "h", security="none", user="u"), "starttls or tls"),
    ],
)
def test_rules_that_cannot_be(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        make()
    assert words in str(wrong.value)


# When messages are sent


class Sent:
    """Rules whose messages are noted, by a clock that is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *rules: AlertRule) -> None:
        self.now_s = BEGAN_S
        self.messages: list[tuple[str, str]] = []
        self.broken: set[str] = set()
        monkeypatch.setattr(alerts, "targets_of", lambda one, _: [(one.name, self.take)])
        self.sink = AlertSink(rules, MqttConfig(), lambda: self.now_s)

    def take(self, message: dict[str, Any]) -> None:
        if message["alert"] in self.broken:
            raise OSError("it is down")
        self.messages.append((message["alert"], message["event"]))


def test_one_message_for_an_event_however_often_it_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = Sent(monkeypatch, rule())
    for event in (EVENT, dataclasses.replace(EVENT, kind="update"), ended()):
        sent.sink.send(event)
    assert sent.messages == [("r", "e1")]


def test_an_event_that_lasts_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent(monkeypatch, rule(min_s=5))
    sent.sink.send(EVENT)
    assert sent.messages == []
    sent.now_s += 6
    sent.sink.send(dataclasses.replace(EVENT, kind="update"))
    assert sent.messages == [("r", "e1")]
    recorded = dataclasses.replace(EVENT, id="e2", stream="film", started_at=None)
    sent.sink.send(recorded)
    sent.sink.send(ended(recorded))
    assert sent.messages[1:] == [("r", "e2")]


def test_cooldown_of_each_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent(monkeypatch, rule(cooldown_s=60))
    for number, (name, after_s) in enumerate(
        [("door", 0), ("door", 59), ("yard", 59), ("door", 60)]
    ):
        sent.now_s = BEGAN_S + after_s
        sent.sink.send(dataclasses.replace(EVENT, id=str(number), stream=name))
    assert [event for _, event in sent.messages] == ["0", "2", "3"]


def test_a_muted_rule_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent(monkeypatch, rule(muted=True))
    sent.sink.send(EVENT)
    assert sent.messages == []


def test_only_what_failed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent(monkeypatch, rule(name="a"), rule(name="b"), rule(name="c"))
    sent.broken = {"b"}
    with pytest.raises(OSError, match="b: it is down"):
        sent.sink.send(EVENT)
    assert sent.messages == [("a", "e1"), ("c", "e1")]
    sent.broken = set()
    sent.sink.send(EVENT)
    assert sent.messages == [("a", "e1"), ("c", "e1"), ("b", "e1")]
    sent.sink.send(EVENT)
    assert len(sent.messages) == 3


# Where they go


def send(one: AlertRule, mqtt: MqttConfig | None = None, event: Event = EVENT) -> None:
    AlertSink([one], mqtt or MqttConfig(), lambda: BEGAN_S).send(event)


def test_to_a_web_server(server: Server) -> None:
    send(AlertRule("night", webhook=server.url))
    ((_, _, _, body),) = server.requests
    message = json.loads(body)
    assert message["alert"] == "night"
    assert message["text"] == "wave2 in door, 90%, since 2026-11-28T10:00:00.000Z"
    assert message["event"] == "e1"
    server.codes.append(500)
    with pytest.raises(OSError) as failed:
        send(AlertRule("night", webhook=server.url))
    assert "answered 500" in str(failed.value)
    assert "hush" not in str(failed.value)


def test_to_a_command_without_a_shell(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    code = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    send(AlertRule("night", command=(sys.executable, "-c", code, str(out), "$(touch bad); `x`")))
    assert json.loads(out.read_text())["label"] == "wave2"
    with pytest.raises(OSError, match="ended with 3"):
        send(AlertRule("night", command=(sys.executable, "-c", "raise SystemExit(3)")))
    with pytest.raises(ConfigError, match="there is no program 'no such program'"):
        send(AlertRule("night", command=("no such program",)))


def test_a_command_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(alerts, "_SEND_S", 3.0)
    out = tmp_path / "child"
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "open(sys.argv[1], 'w').write(str(child.pid)); time.sleep(60)"
    )
    with pytest.raises(OSError, match="took longer than 3 s"):
        send(AlertRule("night", command=(sys.executable, "-c", code, str(out))))
    if out.exists():  # a machine that is busy may not have come so far
        child = Path(f"/proc/{out.read_text()}/stat")
        eventually(lambda: not child.exists() or child.read_text().split()[2] == "Z")


def test_to_a_broker(tmp_path: Path) -> None:
    pytest.importorskip("paho.mqtt", reason="the extra mqtt is not installed")
    from tests.sinks.test_mqtt import Broker, Listener

    broker = Broker(tmp_path)
    broker.start()
    mqtt = MqttConfig(f"mqtt://127.0.0.1:{broker.port}")
    try:
        with Listener(broker.port) as listener:
            send(AlertRule("night", mqtt="alerts"), mqtt)
            eventually(lambda: listener.of("ecolite/alerts"))
            assert json.loads(listener.of("ecolite/alerts")[0])["alert"] == "night"
            time.sleep(0.2)
            assert listener.of("ecolite/available") == []  # it says nothing of the run
    finally:
        broker.stop()
    with pytest.raises(OSError, match=r"127\.0\.0\.1|refused"):
        send(AlertRule("night", mqtt="alerts"), mqtt)
    with pytest.raises(ConfigError, match=r"set mqtt\.url"):
        send(AlertRule("night", mqtt="alerts"))


class MailServer(socketserver.StreamRequestHandler):
    """As much of SMTP as one message needs."""

    lines: list[str]

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        in_data = False
        while line := self.rfile.readline():
            self.server.lines.append(line.decode().rstrip("\r\n"))  # type: ignore[attr-defined]
            if in_data:
                in_data = line != b".\r\n"
                if in_data:
                    continue
            if line.upper().startswith(b"DATA"):
                in_data = True
                self.wfile.write(b"354 go on\r\n")
            elif line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 fine\r\n")


@pytest.fixture
def mail_server() -> Iterator[Any]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailServer) as server:
        server.lines = []  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_by_e_mail(mail_server: Any) -> None:
    port = mail_server.server_address[1]
    email = EmailConfig(("you@example.org",), "me@example.org", "127.0.0.1", port, "none")
    evil = dataclasses.replace(EVENT, label="wave\r\nBcc: all@example.org")
    send(AlertRule("night", email=email), event=evil)
    assert "rcpt TO:<you@example.org>" in mail_server.lines
    assert sum(line.startswith("rcpt") for line in mail_server.lines) == 1
    assert not any(line.startswith("Bcc:") for line in mail_server.lines)
    assert sum(line.startswith("Subject:") for line in mail_server.lines) == 1
    assert "night: wave Bcc: all@example.org in door" in " ".join(
        "".join(mail_server.lines).split()
    )
    with pytest.raises(OSError):
        send(AlertRule("night", email=dataclasses.replace(email, security="starttls")))


# Commands


CONFIG = """
source: pattern
alerts:
  rules:
    - name: night
      labels: [wave2]
      min_score: 0.8
      min_s: 3
      hours: [{days: [fri, sat], start: "22:00", end: "06:00", zone: Europe/Berlin}]
      command: [PROGRAM, -c, "pass"]
"""


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(stream, args)
    return result.exit_code, result.output + str(result.exception or "")


def test_alerts_test_sends_one(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG.replace("PROGRAM", sys.executable))
    code, text = run("alerts", "test", "--config", str(config))
    assert (code, text.splitlines()[0]) == (0, f"night: sent to command {sys.executable}")
    assert (
        "there is no rule 'day'; known: night"
        in run("alerts", "test", "day", "--config", str(config))[1]
    )
    config.write_text(CONFIG.replace("PROGRAM", sys.executable).replace('"pass"', '"1/0"'))
    code, text = run("alerts", "test", "--config", str(config))
    assert code != 0
    assert "ended with 1" in text
    config.write_text("source: pattern\n")
    assert "has no alert rules" in run("alerts", "test", "--config", str(config))[1]


def test_what_a_rule_would_do() -> None:
    hours = HoursConfig(("fri", "sat"), "22:00", "06:00", "Europe/Berlin")
    one = AlertRule(
        "night", ("door",), (), ("wave2",), 0.8, 3.0, (hours,), webhook="https://u:p@host/x?token=a"
    )
    assert one.words() == (
        "alert night: wave2 in door from 80% lasting 3 s (fri sat 22:00-06:00 Europe/Berlin) "
        "at most every 60 s a stream, to https://host/x?token=***"
    )
    assert "https" not in repr(one)


def test_rules_of_a_file_and_of_the_section_are_one_list(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules:\n  - {name: a, command: 'true'}\n")
    config = AlertsConfig(file, (rule(name="b"),))
    assert [one.name for one in config.all_rules()] == ["b", "a"]
    with pytest.raises(ConfigError, match="two alert rules are called 'a'"):
        AlertsConfig(file, (rule(name="a"),)).all_rules()
    file.write_text("rules:\n  - {name: a, comand: 'true'}\n")
    with pytest.raises(ConfigError, match="did you mean 'command'"):
        config.all_rules()
