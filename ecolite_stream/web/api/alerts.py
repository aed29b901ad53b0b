"""Operations on alert rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from ecolite_stream.config.strict import make_config
from ecolite_stream.errors import ConfigError
from ecolite_stream.sinks.alert_book import AlertBook, RuleState
from ecolite_stream.sinks.alert_rules import AlertRule
from ecolite_stream.types import iso_utc
from ecolite_stream.web.api.operations import ApiError, Call, Operation
from ecolite_stream.web.api.types import Alert, AlertBody, AlertList, Hours, Mute, Target

_ANSWER_S = 10.0
Result = TypeVar("Result")


class AlertOperations:
    """Lists, adds, changes, removes and mutes alert rules.

    Args:
        book: gives the rules of the run; None where it sends no alerts.
    """

    def __init__(self, book: Callable[[], AlertBook | None]) -> None:
        self._book = book

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        one, mute = "/alerts/{rule}", "/alerts/{rule}/mute"
        return (
            Operation("GET", "/alerts", "List alert rules and targets", self._list, AlertList),
            Operation(
                *("PUT", one, "Add or change an alert rule", self._put, Alert),
                body=AlertBody,
                role="write",
                errors=(409, 503),
            ),
            Operation(
                *("DELETE", one, "Remove an alert rule", self._remove, None, 204),
                role="write",
                errors=(404, 409, 503),
            ),
            Operation(
                *("PUT", mute, "Mute an alert rule for a time", self._mute, Alert),
                body=Mute,
                role="write",
                errors=(404, 409, 503),
            ),
            Operation(
                *("DELETE", mute, "Let a muted alert rule send again", self._unmute, Alert),
                role="write",
                errors=(404, 409, 503),
            ),
        )

    async def _list(self, call: Call) -> AlertList:
        book = self._book()
        if book is None:
            return AlertList((), ())
        targets = tuple(Target(one.name, tuple(one.words())) for one in book.targets.values())
        return AlertList(tuple(map(_as_answer, book.states())), targets)

    async def _put(self, call: Call) -> Alert:
        values = msgspec.to_builtins(call.body)
        rule = make_config(AlertRule, {"name": call.path("rule"), **values}, "body")
        book = self._there()
        if rule.target not in book.targets:
            known = ", ".join(book.targets) or "none; add alerts.targets to the configuration"
            raise ConfigError(f"target is {rule.target!r}; expected one of: {known}")
        return _as_answer(await self._changed(lambda: book.put(rule)))

    async def _remove(self, call: Call) -> None:
        book, name = self._there(), call.path("rule")
        await self._changed(lambda: book.remove(name))

    async def _mute(self, call: Call) -> Alert:
        book, name = self._there(), call.path("rule")
        return _as_answer(await self._changed(lambda: book.mute(name, call.body.minutes)))

    async def _unmute(self, call: Call) -> Alert:
        book, name = self._there(), call.path("rule")
        return _as_answer(await self._changed(lambda: book.mute(name, 0)))

    def _there(self) -> AlertBook:
        book = self._book()
        if book is None:
            raise ApiError(409, "this run sends no alerts; name a target under alerts.targets")
        return book

    async def _changed(self, change: Callable[[], Result]) -> Result:
        """Change the rules, in another thread: that writes a file.

        Raises:
            ApiError: there is no such rule, it cannot be changed here, or the file not be written.
        """
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await asyncio.to_thread(change)
        except KeyError as error:
            name = str(error.args[0])[:100]
            raise ApiError(404, f"there is no rule {name!r}; GET /api/alerts lists them") from error
        except ConfigError as error:
            raise ApiError(409, str(error)) from error
        except TimeoutError as error:
            raise ApiError(503, "the disk does not answer; try again later") from error
        except OSError as error:
            raise ApiError(503, f"the rules cannot be kept: {error}") from error


def _as_answer(state: RuleState) -> Alert:
    rule = state.rule
    values: dict[str, Any] = {
        key: getattr(rule, key)
        for key in ("name", "streams", "views", "labels", "min_score", "min_s", "cooldown_s")
    }
    return Alert(
        **values,
        hours=tuple(
            Hours(days=one.days, start=one.start, end=one.end, zone=one.zone)  # type: ignore[arg-type]
            for one in rule.hours
        ),
        target=rule.target,
        sends_to=tuple(rule.targets()),
        muted=rule.muted,
        muted_until=_iso(state.muted_until_s),
        fired_at=_iso(state.fired_s),
        own=state.own,
    )


def _iso(unix_s: float | None) -> str | None:
    return None if unix_s is None else iso_utc(round(1000 * unix_s))
