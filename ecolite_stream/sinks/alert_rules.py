"""Alert rules: which events are worth a message, and when. Pure: no clock, no network."""

from __future__ import annotations

import re
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

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable() or len(self.name) > 64:
            raise ConfigError("name of a rule: expected 1 to 64 characters that can be printed")
        check_between("min_score", self.min_score, 0, 1)
        check_at_least("min_s", self.min_s, 0)
        check_at_least("cooldown_s", self.cooldown_s, 0)
        if not (self.webhook or self.mqtt or self.command or self.email):
            raise ConfigError(
                f"rule {self.name!r} sends nothing anywhere; add webhook, mqtt, command or email"
            )
        if self.mqtt is not None and (not self.mqtt or any(c in "+#" for c in self.mqtt)):
            raise ConfigError(f"mqtt is {self.mqtt!r}; expected a topic without + and #")

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
