"""Compare the events of a recording with its actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ecolite_stream.types import Event


class Shown(Protocol):
    """An action of a label track."""

    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def label(self) -> str: ...


@dataclass(frozen=True)
class EventMatch:
    """Events against actions, idle stretches left out.

    Attributes:
        actions: number in the track; adjacent rows of one label are one action.
        told: actions with an event of their label while they last or stay in the memory.
        extra: events of no action, or second events of one.
    """

    actions: int
    told: int
    extra: int

    def __str__(self) -> str:
        return f"{self.told}/{self.actions}, {self.extra} extra"


def match_events(
    events: Sequence[Event], track: Sequence[Shown], ignore: Sequence[str], span_s: float
) -> EventMatch:
    """Match each event to an action of its label that it overlaps, one event to an action.

    Args:
        events: that have ended, in order.
        track: the actions, in order.
        ignore: labels that are not events.
        span_s: for how long after an action the memory still holds it.
    """
    waiting = [stretch for stretch in _stretches(track) if stretch[2] not in ignore]
    actions, extra = len(waiting), 0
    for event in events:
        end_s = event.start_s if event.end_s is None else event.end_s
        found = [
            stretch
            for stretch in waiting
            if stretch[2] == event.label
            and event.start_s < stretch[1] + span_s
            and end_s > stretch[0]
        ]
        if found:
            waiting.remove(found[0])
        else:
            extra += 1
    return EventMatch(actions, actions - len(waiting), extra)


def _stretches(track: Sequence[Shown]) -> list[tuple[float, float, str]]:
    """(start_s, end_s, label), rows of one label that follow each other as one."""
    stretches: list[tuple[float, float, str]] = []
    for action in track:
        if stretches and stretches[-1][1:] == (action.start_s, action.label):
            start_s = stretches.pop()[0]
            stretches.append((start_s, action.end_s, action.label))
        else:
            stretches.append((action.start_s, action.end_s, action.label))
    return stretches
