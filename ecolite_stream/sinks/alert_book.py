"""The alert rules of a run: those of the configuration, and those that people make on the page."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ecolite_stream.config.strict import check_between, check_readable, load_config
from ecolite_stream.errors import ConfigError
from ecolite_stream.media.new_files import locked_folder, replace_text
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
class _Kept:
    """What the file of the page has: rules, and until when each muted one sends nothing."""

    own: dict[str, AlertRule] = field(default_factory=dict)
    muted_until_s: dict[str, float] = field(default_factory=dict)


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

    Rules of the page only send to targets that the configuration names: people who may change rules
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
        self._changing = threading.Lock()  # held while the file is written; readers need no lock
        self._kept = self._read()

    def states(self) -> list[RuleState]:
        """Every rule: those of the configuration first. It never waits for the disk."""
        kept = self._kept
        return [self._state(name, kept) for name in (*self._rules, *kept.own)]

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
        with self._change() as kept:
            if rule.name in self._rules:
                raise ConfigError(
                    f"rule {rule.name!r} is in the configuration file; change it there"
                )
            if rule.name not in kept.own and len(kept.own) >= MOST_RULES:
                raise ConfigError(f"there are {MOST_RULES} rules; remove one first")
            own = {**kept.own, rule.name: self._resolved(rule)}
            return self._state(rule.name, self._write(dataclasses.replace(kept, own=own)))

    def remove(self, name: str) -> None:
        """Remove a rule of the page.

        Raises:
            KeyError: there is no such rule.
            ConfigError: it is in the configuration file.
            OSError: the file cannot be written.
        """
        with self._change() as kept:
            self._check_known(name, kept)
            if name in self._rules:
                raise ConfigError(f"rule {name!r} is in the configuration file; remove it there")
            self._write(
                _Kept(
                    {key: rule for key, rule in kept.own.items() if key != name},
                    {key: until for key, until in kept.muted_until_s.items() if key != name},
                )
            )
            self._fired_s.pop(name, None)

    def mute(self, name: str, minutes: float) -> RuleState:
        """Let a rule send nothing for some minutes; 0 lets it send again.

        Raises:
            KeyError: there is no such rule.
            ConfigError: as many minutes are too many.
            OSError: the file cannot be written.
        """
        check_between("minutes", minutes, 0, LONGEST_MUTE_MIN)
        with self._change() as kept:
            self._check_known(name, kept)
            now_s = self._clock()
            muted = {key: until for key, until in kept.muted_until_s.items() if until > now_s}
            muted.pop(name, None)
            if minutes:
                muted[name] = now_s + 60 * minutes
            return self._state(name, self._write(dataclasses.replace(kept, muted_until_s=muted)))

    def _state(self, name: str, kept: _Kept) -> RuleState:
        own = name in kept.own
        rule = kept.own[name] if own else self._rules[name]
        return RuleState(rule, own, kept.muted_until_s.get(name), self._fired_s.get(name))

    def _check_known(self, name: str, kept: _Kept) -> None:
        if name not in self._rules and name not in kept.own:
            raise KeyError(name)

    @contextlib.contextmanager
    def _change(self) -> Iterator[_Kept]:
        """What the file has now, while nobody else changes it: another run may share the file."""
        if self._path is None:
            raise ConfigError("this run has no file for rules; set web.alerts_file")
        folder = self._path.parent
        folder.mkdir(parents=True, exist_ok=True)
        with self._changing, locked_folder(folder):
            yield self._read()

    def _resolved(self, rule: AlertRule) -> AlertRule:
        """A rule of the page with its target."""
        if rule.target is None or any(rule.inline_targets()):
            raise ConfigError(
                f"rule {rule.name!r}: rules of the page need a target of the configuration"
            )
        return rule.resolved(self.targets)

    def _read(self) -> _Kept:
        """What the file has; nothing without one."""
        path = self._path
        if path is None or not path.exists():
            return _Kept()
        found, own = load_config(path, PageAlerts), dict[str, AlertRule]()
        for rule in found.rules:
            if rule.name in self._rules or rule.name in own:
                raise ConfigError(f"{path}: two alert rules are called {rule.name!r}; rename one")
            try:
                own[rule.name] = self._resolved(rule)
            except ConfigError as error:
                raise ConfigError(f"{path}: {error}") from error
        return _Kept(own, {name: _unix_s(path, one) for name, one in found.muted_until.items()})

    def _write(self, kept: _Kept) -> _Kept:
        """Write the file, then take what it has."""
        assert self._path is not None  # or `_change` had raised
        content = {
            "rules": [rule_values(rule) for rule in kept.own.values()],
            "muted_until": {
                name: iso_utc(round(1000 * until_s)) for name, until_s in kept.muted_until_s.items()
            },
        }
        header = "# Made on the page of ecolite-stream, which writes this file anew.\n"
        text = header + yaml.safe_dump(content, sort_keys=False)
        check_readable(text, self._path)
        replace_text(self._path, text)
        self._kept = kept
        return kept


def _unix_s(path: Path, until: str) -> float:
    try:
        return datetime.fromisoformat(until).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigError(
            f"{path}: muted_until: {until!r} is no time; expected ISO 8601"
        ) from error


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
