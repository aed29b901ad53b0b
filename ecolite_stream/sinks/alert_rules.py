"""Alert rules: which events are worth a message, and when. Pure: no clock, no network."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ecolite_stream.config.redact import redact_url
from ecolite_stream.config.strict import check_at_least, check_between, check_one_of
from ecolite_stream.errors import ConfigError
from ecolite_stream.types import Event

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SECURITIES = ("starttls", "tls", "none")
_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


@dataclass(frozen=True)
class HoursConfig:
    """Days and hours of a time zone.

    Attributes:
        days: of `DAYS`; none means all. Hours that end after midnight belong to the day before.
        start: HH:MM, the first minute.
        end: HH:MM, exclusive; before `start` it is on the next day. Equal to it: the whole day.
        zone: such as Europe/Berlin; None is that of the machine.
    """

    days: tuple[str, ...] = ()
    start: str = "00:00"
    end: str = "00:00"
    zone: str | None = None

    def __post_init__(self) -> None:
        for day in self.days:
            check_one_of("days", day, DAYS)
        for name in ("start", "end"):
            if not _HOUR.fullmatch(getattr(self, name)):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; expected HH:MM in quotes")
        if self.zone is not None:
            try:
                ZoneInfo(self.zone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ConfigError(
                    f"zone is {self.zone!r}; expected a name such as Europe/Berlin"
                ) from error

    def has(self, unix_s: float) -> bool:
        """Whether a moment lies in it, by the clocks of the zone at that moment."""
        moment = datetime.fromtimestamp(unix_s, UTC)
        local = moment.astimezone(ZoneInfo(self.zone) if self.zone else None)
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        now, day = local.time(), local.date()
        if start < end:
            inside = start <= now < end
        else:
            inside = now >= start or now < end
            if now < end and start != end:
                day -= timedelta(days=1)
        return inside and (not self.days or DAYS[day.weekday()] in self.days)

    def words(self) -> str:
        """As --check-config says it."""
        hours = "all day" if self.start == self.end else f"{self.start}-{self.end}"
        return f"{' '.join(self.days) or 'every day'} {hours} {self.zone or 'local time'}"


@dataclass(frozen=True)
class EmailConfig:
    """A mail server and whom to write to.

    Attributes:
        to: addresses.
        sender: address of the sender.
        host: of the mail server.
        port: None is 587, 465 with `tls`, 25 with `none`.
        security: `starttls`, `tls` or `none`.
        user: None sends without logging in.
        password: of the user.
    """

    to: tuple[str, ...]
    sender: str
    host: str
    port: int | None = None
    security: str = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_one_of("security", self.security, SECURITIES)
        if not self.to:
            raise ConfigError("email.to is empty; name an address")
        for address in (*self.to, self.sender):
            if not _ADDRESS.fullmatch(address) or not address.isascii():
                raise ConfigError("email: an address is none; expected such as me@example.org")
        if self.port is not None:
            check_between("port", self.port, 1, 65535)
        if self.user is not None and self.security == "none":
            raise ConfigError("email: a password needs starttls or tls; set security")


@dataclass(frozen=True)
class AlertTarget:
    """Where messages go, under a name that rules can give as their `target`.

    Attributes:
        name: of the target.
        webhook, mqtt, command, email: as in `AlertRule`.
    """

    name: str
    webhook: str | None = field(default=None, repr=False)
    mqtt: str | None = None
    command: tuple[str, ...] = ()
    email: EmailConfig | None = None

    def __post_init__(self) -> None:
        check_rule_name(self.name, "a target")
        if not (self.webhook or self.mqtt or self.command or self.email):
            raise ConfigError(f"target {self.name!r} is empty; add webhook, mqtt, command or email")
        check_topic(self.mqtt)

    def words(self) -> list[str]:
        """Where it goes, without credentials."""
        return AlertRule(
            self.name,
            webhook=self.webhook,
            mqtt=self.mqtt,
            command=self.command,
            email=self.email,
        ).targets()


def check_rule_name(name: str, of: str) -> None:
    """Raise a ConfigError unless a rule or a target may have that name."""
    if not name.strip() or not name.isprintable() or len(name) > 64:
        raise ConfigError(f"name of {of}: expected 1 to 64 characters that can be printed")


def check_topic(topic: str | None) -> None:
    """Raise a ConfigError if it is a topic that cannot be published to."""
    if topic is not None and (not topic or any(c in "+#" for c in topic)):
        raise ConfigError(f"mqtt is {topic!r}; expected a topic without + and #")


@dataclass(frozen=True)
class AlertRule:
    """Which events lead to a message, and where it goes.

    Attributes:
        name: of the rule.
        streams, views, labels: those that count; none means all.
        min_score: best score so far, at least, 0 to 1.
        min_s: seconds that the event must have lasted.
        hours: when; none means always.
        cooldown_s: seconds after a message before another of the same stream.
        muted: send nothing.
        webhook: URL to post to.
        mqtt: topic below `mqtt.prefix`, at the broker of the section `mqtt`.
        command: program and arguments; it gets the message as JSON on standard input.
        email: mail server and addresses.
        target: name of one of `alerts.targets`, in place of the four above.
    """

    name: str
    streams: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    min_score: float = 0.0
    min_s: float = 0.0
    hours: tuple[HoursConfig, ...] = ()
    cooldown_s: float = 60.0
    muted: bool = False
    webhook: str | None = field(default=None, repr=False)
    mqtt: str | None = None
    command: tuple[str, ...] = ()
    email: EmailConfig | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        check_rule_name(self.name, "a rule")
        check_between("min_score", self.min_score, 0, 1)
        check_at_least("min_s", self.min_s, 0)
        check_at_least("cooldown_s", self.cooldown_s, 0)
        if not any(self.inline_targets()) and self.target is None:
            raise ConfigError(
                f"rule {self.name!r} sends nothing anywhere; "
                "add webhook, mqtt, command, email or target"
            )
        check_topic(self.mqtt)

    def inline_targets(self) -> tuple[object, ...]:
        """Its webhook, topic, command and e-mail; false where it has none."""
        return self.webhook, self.mqtt, self.command, self.email

    def as_target(self) -> AlertTarget:
        """Where it goes, as a target under its own name."""
        return AlertTarget(self.name, self.webhook, self.mqtt, self.command, self.email)

    def resolved(self, targets: Mapping[str, AlertTarget]) -> AlertRule:
        """The rule with all that its target stands for.

        Raises:
            ConfigError: there is no such target.
        """
        if self.target is None:
            return self
        found = targets.get(self.target)
        if found is None:
            known = ", ".join(targets) or "none; add alerts.targets to the configuration"
            raise ConfigError(
                f"rule {self.name!r}: there is no target {self.target!r}; targets: {known}"
            )
        return dataclasses.replace(
            self,
            webhook=found.webhook,
            mqtt=found.mqtt,
            command=found.command,
            email=found.email,
        )

    def wants(self, event: Event, lasted_s: float, unix_s: float) -> bool:
        """Whether an event is worth a message.

        Args:
            event: as it was last reported.
            lasted_s: seconds that it has lasted.
            unix_s: when it began, in seconds since 1970.
        """
        return (
            (not self.streams or event.stream in self.streams)
            and (not self.views or event.view in self.views)
            and (not self.labels or event.label in self.labels)
            and event.peak_score >= self.min_score
            and lasted_s >= self.min_s
            and (not self.hours or any(hours.has(unix_s) for hours in self.hours))
        )

    def words(self) -> str:
        """What the rule does, as --check-config says it."""
        parts = [
            f"alert {self.name}:",
            " or ".join(self.labels) or "any label",
            f"in {', '.join(self.streams) or 'any stream'}",
            f"view {', '.join(self.views)}" if self.views else "",
            f"from {self.min_score:.0%}" if self.min_score else "",
            f"lasting {self.min_s:g} s" if self.min_s else "",
            f"({' or '.join(hours.words() for hours in self.hours)})" if self.hours else "",
            f"at most every {self.cooldown_s:g} s a stream," if self.cooldown_s else "",
            "muted" if self.muted else f"to {', '.join(self.targets())}",
        ]
        return " ".join(part for part in parts if part)

    def targets(self) -> list[str]:
        """Where it goes, without credentials."""
        found = []
        if self.webhook:
            found.append(redact_url(self.webhook))
        if self.mqtt:
            found.append(f"MQTT {self.mqtt}")
        if self.command:
            found.append(f"command {self.command[0]}")
        if self.email:
            found.append(f"{len(self.email.to)} addresses by {self.email.host}")
        return found
