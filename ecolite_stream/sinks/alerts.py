"""Messages about events, by rules: to a web server, an MQTT broker, a command, by e-mail."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecolite_stream.config.strict import load_config
from ecolite_stream.errors import ConfigError, one_line
from ecolite_stream.sinks.alert_book import AlertBook
from ecolite_stream.sinks.alert_rules import AlertRule, AlertTarget, EmailConfig
from ecolite_stream.sinks.base import Sink
from ecolite_stream.sinks.kind import Run, SinkKind
from ecolite_stream.sinks.mqtt import MqttConfig, publish_once
from ecolite_stream.sinks.webhook import WebhookSink
from ecolite_stream.types import Event, unix_ms_of

_SEND_S = 10.0
_EVENTS_KNOWN = 1000
Message = dict[str, Any]


@dataclass(frozen=True)
class AlertsConfig:
    """Messages about events, by rules (docs/events.md).

    Attributes:
        file: YAML file with more `rules`; None reads none.
        rules: which events lead to which messages; see docs/events.md.
        targets: where messages go, by names that rules of this file and of the page can use.
    """

    file: Path | None = None
    rules: tuple[AlertRule, ...] = ()
    targets: tuple[AlertTarget, ...] = ()

    def all_rules(self) -> tuple[AlertRule, ...]:
        """Those of the section and those of the file.

        Raises:
            ConfigError: the file cannot be read, two rules have one name, or one has no target.
        """
        more = () if self.file is None else load_config(self.file, AlertsConfig).rules
        rules = (*self.rules, *more)
        targets = {target.name: target for target in self.all_targets()}
        for rule in rules:
            if [other.name for other in rules].count(rule.name) > 1:
                raise ConfigError(f"two alert rules are called {rule.name!r}; rename one")
            if rule.target is not None and any(rule.inline_targets()):
                raise ConfigError(f"rule {rule.name!r} has a target and more; leave one of them")
        return tuple(rule.resolved(targets) for rule in rules)

    def all_targets(self) -> tuple[AlertTarget, ...]:
        """Those of the section and those of the file; raises as `all_rules` does."""
        more = () if self.file is None else load_config(self.file, AlertsConfig).targets
        targets = (*self.targets, *more)
        for target in targets:
            if [other.name for other in targets].count(target.name) > 1:
                raise ConfigError(f"two alert targets are called {target.name!r}; rename one")
        return targets

    def book(self, page_file: Path | None) -> AlertBook:
        """All of that, and the rules that were made on the page.

        Raises:
            ConfigError: a rule or a file is invalid.
        """
        return AlertBook(self.all_rules(), self.all_targets(), page_file)


Target = tuple[str, Callable[[Message], None]]
"""Where a message goes, without credentials, and what sends it; that raises an OSError."""


class AlertSink(Sink):
    """Sends messages about events that meet a rule, each event once a rule.

    A target that fails is tried again with the event, the others are not.

    Args:
        rules: those that are muted send nothing; a book may change meanwhile.
        mqtt: where the broker is; its `url` may be None where no rule needs it.
        clock: time of day, in seconds since 1970.

    Raises:
        ConfigError: a target cannot be one.
    """

    takes = (Event,)

    def __init__(
        self,
        rules: Sequence[AlertRule] | AlertBook,
        mqtt: MqttConfig,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.book = rules if isinstance(rules, AlertBook) else AlertBook(rules, clock=clock)
        self._mqtt = mqtt
        self._targets = {s.rule: targets_of(s.rule, mqtt) for s in self.book.states()}
        for name, target in self.book.targets.items():  # a rule of the page may use it later
            targets_of(AlertRule(name, target=name).resolved({name: target}), mqtt)
        self._clock = clock
        self._sent: dict[tuple[str, str], None] = {}  # (event, rule)
        self._last_s: dict[tuple[str, str], float] = {}  # (rule, stream)
        self._event: Event | None = None
        self._left: list[tuple[Target, Message]] = []

    def send(self, event: Event) -> None:
        if event is not self._event:
            self._event, self._left = event, self._due(event)
        failed = []
        left, self._left = self._left, []
        for target, message in left:
            try:
                target[1](message)
            except OSError as error:
                failed.append(f"{target[0]}: {one_line(error)}")
                self._left.append((target, message))
        if failed:
            raise OSError("; ".join(failed))

    def close(self) -> None:
        """Nothing is left to do."""

    def _due(self, event: Event) -> list[tuple[Target, Message]]:
        now_s = self._clock()
        began_s = now_s if event.started_at is None else unix_ms_of(event.started_at) / 1000
        lasted_s = now_s - began_s if event.end_s is None else event.end_s - event.start_s
        found: list[tuple[Target, Message]] = []
        for rule in self.book.active():
            key, place = (event.id, rule.name), (rule.name, event.stream)
            if key in self._sent or not rule.wants(event, lasted_s, began_s):
                continue
            self._sent[key] = None
            while len(self._sent) > _EVENTS_KNOWN:
                del self._sent[next(iter(self._sent))]
            if now_s - self._last_s.get(place, -float("inf")) < rule.cooldown_s:
                continue
            self._last_s[place] = now_s
            self.book.fired(rule.name)
            message = message_of(rule, event)
            found += [(target, message) for target in self._targets_of(rule)]
        return found

    def _targets_of(self, rule: AlertRule) -> list[Target]:
        """Where a rule's messages go; made once for each rule that the page changes."""
        if rule not in self._targets:
            there = {state.rule for state in self.book.states()}
            self._targets = {key: one for key, one in self._targets.items() if key in there}
            self._targets[rule] = targets_of(rule, self._mqtt)
        return self._targets[rule]


def message_of(rule: AlertRule, event: Event) -> Message:
    """What is sent: the rule, a sentence, and the event as JSON Lines have it."""
    text = f"{event.label} in {event.stream}, {event.peak_score:.0%}"
    if event.started_at is not None:
        text += f", since {event.started_at}"
    return {"alert": rule.name, "text": text, **event.as_dict()}


def targets_of(rule: AlertRule, mqtt: MqttConfig) -> list[Target]:
    """Where a rule's messages go.

    Raises:
        ConfigError: a URL, a program or a broker cannot be used.
    """
    senders: list[Callable[[Message], None]] = []
    if rule.webhook:
        senders.append(WebhookSink(rule.webhook, _SEND_S).post)
    if rule.mqtt:
        if mqtt.url is None:
            raise ConfigError(f"rule {rule.name!r} publishes by MQTT; set mqtt.url")
        topic = f"{mqtt.prefix}/{rule.mqtt}"
        senders.append(lambda message: publish_once(mqtt, topic, json.dumps(message), _SEND_S))
    if rule.command:
        if shutil.which(rule.command[0]) is None:
            raise ConfigError(f"rule {rule.name!r}: there is no program {rule.command[0]!r}")
        senders.append(lambda message: _run(rule.command, message))
    if rule.email:
        email = rule.email
        senders.append(lambda message: _mail(email, message))
    return list(zip(rule.targets(), senders, strict=True))


def _run(command: Sequence[str], message: Message) -> None:
    """Run a program without a shell; kill it and its children when it takes too long."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            process.communicate(json.dumps(message).encode(), timeout=_SEND_S)
        except subprocess.TimeoutExpired as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise OSError(f"took longer than {_SEND_S:g} s") from error
    if process.returncode:
        raise OSError(f"ended with {process.returncode}")


def _mail(config: EmailConfig, message: Message) -> None:
    import smtplib
    import ssl
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"], mail["To"] = config.sender, ", ".join(config.to)
    # A label is data: a line break in it must not begin another header.
    subject = f"{message['alert']}: {message['text']}".encode("utf-8", "replace").decode()
    mail["Subject"] = " ".join(subject.split())
    mail.set_content(json.dumps(message, indent=2))
    port = config.port or {"tls": 465, "starttls": 587}.get(config.security, 25)
    context = ssl.create_default_context()
    try:
        with (
            smtplib.SMTP_SSL(config.host, port, timeout=_SEND_S, context=context)
            if config.security == "tls"
            else smtplib.SMTP(config.host, port, timeout=_SEND_S)
        ) as server:
            if config.security == "starttls":
                server.starttls(context=context)
            if config.user is not None:
                server.login(config.user, config.password or "")
            server.send_message(mail)
    except smtplib.SMTPAuthenticationError as error:
        raise OSError("the mail server refuses the user or the password") from error
    except smtplib.SMTPException as error:
        raise OSError(one_line(error)[:200]) from error


class _AlertKind(SinkKind[AlertsConfig]):
    def is_wanted(self, config: Any) -> bool:
        alerts = config.section(AlertsConfig)
        return bool(alerts.rules or alerts.targets) or super().is_wanted(config)


def _check(config: AlertsConfig, run: Run) -> str:
    mqtt = run.config.section(MqttConfig)
    rules = [state.rule for state in config.book(run.config.web.alerts_file).states()]
    for target in config.all_targets():
        targets_of(AlertRule("target", target=target.name).resolved({target.name: target}), mqtt)
    for rule in rules:
        targets_of(rule, mqtt)
    return "; ".join(rule.words() for rule in rules) or "no alerts"


def _build(config: AlertsConfig, run: Run) -> Sink:
    return AlertSink(config.book(run.config.web.alerts_file), run.config.section(MqttConfig))


SINK = _AlertKind(
    "alerts",
    AlertsConfig,
    key="file",
    metavar="FILE",
    help="Send messages about events by the rules in FILE.",
    check=_check,
    build=_build,
)
