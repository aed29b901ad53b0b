"""The alert rules of a run: those of the configuration, and those that people make on the page."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ecolite_stream.config.strict import check_between, load_config
from ecolite_stream.errors import ConfigError
from ecolite_stream.media.new_files import replace_text
from ecolite_stream.sinks.alert_rules import AlertRule, AlertTarget
from ecolite_stream.types import iso_utc

MOST_RULES = 100
LONGEST_MUTE_MIN = 7 * 24 * 60


@dataclass(frozen=True)
class PageAlerts:
    """The keys of the file of the page.

    Attributes:
        rules: made on the page; each has a `target` that the configuration names.
        muted_until: until when a rule sends nothing, by its name; ISO 8601.
    """

    rules: tuple[AlertRule, ...] = ()
    muted_until: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RuleState:
    """A rule and what has become of it.

    Attributes:
        rule: with its targets.
        own: whether it was made on the page and can be changed there.
        muted_until_s: seconds since 1970; None if it is not muted for a time.
        fired_s: when it last sent a message in this run, likewise; None if it never did.
    """

    rule: AlertRule
    own: bool
    muted_until_s: float | None
    fired_s: float | None

    def is_muted(self, now_s: float) -> bool:
        """Whether the rule sends nothing now."""
        return self.rule.muted or (self.muted_until_s is not None and now_s < self.muted_until_s)


class AlertBook:
    """All rules, which of them are muted, and when each last fired; any thread may call it.

    Rules of the page only send to targets that the configuration names: whoever may change rules
    can neither run a program nor make the service connect anywhere else.

    Args:
        rules: of the configuration, with their targets.
        targets: of the configuration.
        path: file of the page; None keeps nothing, so that no rule can be changed.
        clock: time of day, in seconds since 1970.

    Raises:
        ConfigError: the file is invalid, or a rule in it has a target that is not there.
    """

    def __init__(
        self,
        rules: Sequence[AlertRule],
        targets: Sequence[AlertTarget] = (),
        path: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self.targets = {rule.name: rule.as_target() for rule in rules if rule.target is None}
        self.targets |= {target.name: target for target in targets}
        self._path = path
        self._clock = clock
        self._fired_s: dict[str, float] = {}
        self._lock = threading.Lock()
        self._own: dict[str, AlertRule] = {}
        self._muted_until_s: dict[str, float] = {}
        if path is not None and path.exists():
            self._read(path)

    def states(self) -> list[RuleState]:
        """Every rule: those of the configuration first."""
        with self._lock:
            return [self._state(name) for name in (*self._rules, *self._own)]

    def active(self) -> list[AlertRule]:
        """The rules that are not muted now."""
        now_s = self._clock()
        return [state.rule for state in self.states() if not state.is_muted(now_s)]

    def fired(self, name: str) -> None:
        """Note that a rule sends a message now."""
        self._fired_s[name] = self._clock()

    def put(self, rule: AlertRule) -> RuleState:
        """Add a rule of the page, or change it.

        Raises:
            ConfigError: it is not the page's, has another target, or there are too many.
            OSError: the file cannot be written.
        """
        with self._lock:
            if rule.name in self._rules:
                raise ConfigError(
                    f"rule {rule.name!r} is in the configuration file; change it there"
                )
            if rule.name not in self._own and len(self._own) >= MOST_RULES:
                raise ConfigError(f"there are {MOST_RULES} rules; remove one first")
            own = {**self._own, rule.name: self._resolved(rule)}
            self._write(own, self._muted_until_s)
            return self._state(rule.name)

    def remove(self, name: str) -> None:
        """Remove a rule of the page.

        Raises:
            KeyError: there is no such rule.
            ConfigError: it is in the configuration file.
            OSError: the file cannot be written.
        """
        with self._lock:
            self._check_known(name)
            if name in self._rules:
                raise ConfigError(f"rule {name!r} is in the configuration file; remove it there")
            muted = {key: until for key, until in self._muted_until_s.items() if key != name}
            self._write({key: rule for key, rule in self._own.items() if key != name}, muted)
            self._fired_s.pop(name, None)

    def mute(self, name: str, minutes: float) -> RuleState:
        """Let a rule send nothing for some minutes; 0 lets it send again.

        Raises:
            KeyError: there is no such rule.
            ConfigError: as many minutes are too many.
            OSError: the file cannot be written.
        """
        check_between("minutes", minutes, 0, LONGEST_MUTE_MIN)
        with self._lock:
            self._check_known(name)
            now_s = self._clock()
            muted = {key: until for key, until in self._muted_until_s.items() if until > now_s}
            muted.pop(name, None)
            if minutes:
                muted[name] = now_s + 60 * minutes
            self._write(self._own, muted)
            return self._state(name)

    def _state(self, name: str) -> RuleState:
        own = name in self._own
        rule = self._own[name] if own else self._rules[name]
        return RuleState(rule, own, self._muted_until_s.get(name), self._fired_s.get(name))

    def _check_known(self, name: str) -> None:
        if name not in self._rules and name not in self._own:
            raise KeyError(name)

    def _resolved(self, rule: AlertRule) -> AlertRule:
        """A rule of the page with its target."""
        if rule.target is None or any(rule.inline_targets()):
            raise ConfigError(
                f"rule {rule.name!r}: rules of the page need a target of the configuration"
            )
        return rule.resolved(self.targets)

    def _read(self, path: Path) -> None:
        found = load_config(path, PageAlerts)
        for rule in found.rules:
            if rule.name in self._rules or rule.name in self._own:
                raise ConfigError(f"{path}: two alert rules are called {rule.name!r}; rename one")
            try:
                self._own[rule.name] = self._resolved(rule)
            except ConfigError as error:
                raise ConfigError(f"{path}: {error}") from error
        for name, until in found.muted_until.items():
            try:
                self._muted_until_s[name] = datetime.fromisoformat(until).timestamp()
            except (ValueError, OverflowError, OSError) as error:
                raise ConfigError(
                    f"{path}: muted_until: {until!r} is no time; expected ISO 8601"
                ) from error

    def _write(self, own: dict[str, AlertRule], muted_until_s: dict[str, float]) -> None:
        """Write the file, then take what it has; the lock is held."""
        if self._path is None:
            raise ConfigError("this run has no file for rules; set web.alerts_file")
        content = {
            "rules": [rule_values(rule) for rule in own.values()],
            "muted_until": {
                name: iso_utc(round(1000 * until_s)) for name, until_s in muted_until_s.items()
            },
        }
        header = "# Made on the page of ecolite-stream, which writes this file anew.\n"
        replace_text(self._path, header + yaml.safe_dump(content, sort_keys=False))
        self._own, self._muted_until_s = own, muted_until_s


def rule_values(rule: AlertRule) -> dict[str, Any]:
    """A rule of the page as YAML has it, without what is as by default, and without its targets."""
    skipped = {"webhook", "mqtt", "command", "email"}
    values: dict[str, Any] = {}
    for one in dataclasses.fields(rule):
        value = getattr(rule, one.name)
        if one.name not in skipped and value != one.default:
            values[one.name] = list(value) if isinstance(value, tuple) else value
    if rule.hours:
        values["hours"] = [
            {**dataclasses.asdict(hours), "days": list(hours.days)} for hours in rule.hours
        ]
    return values
