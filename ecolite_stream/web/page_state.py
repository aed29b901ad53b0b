"""What the page shows of predictions and events: the newest of each stream, and a timeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ecolite_stream.media.clip_names import clip_name
from ecolite_stream.sinks.base import Sink
from ecolite_stream.types import Event, Output, Prediction, ViewKey, unix_ms_of

EVENTS_KEPT = 300
VIEW_KEPT_S = 10.0
"""Seconds of stream time for which a view without predictions is remembered."""


@dataclass
class _Noted:
    """Something of a stream as the page gets it, and the version at which it last changed."""

    stream: str
    facts: dict[str, Any]
    version: int


@dataclass(frozen=True)
class Changes:
    """What is new on the board.

    Attributes:
        version: of the board now.
        streams: names by number.
        predictions: the newest of each view, the longest known first.
        events: oldest first, each as it stands now.
    """

    version: int
    streams: tuple[str, ...] = ()
    predictions: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.predictions or self.events)


class PageState(Sink):
    """Keeps what a page needs to be complete, however late it comes: a sink like any other.

    Nobody waits for who looks at it, and nothing is queued: each asks for what has changed since
    it last did. All methods may be called from any thread.

    Args:
        streams: names of the streams; the page knows them by their numbers, which change when a
            stream is removed.
        clock: the time of day, in seconds since 1970; for events of recordings.
        on_removed: called with the name of a stream that was removed.
    """

    takes = (Prediction, Event)

    def __init__(
        self,
        streams: Sequence[str],
        clock: Callable[[], float] = time.time,
        on_removed: Callable[[str], object] = lambda name: None,
    ) -> None:
        self.streams = tuple(streams)
        self._clock = clock
        self._on_removed = on_removed
        self._live: dict[str, bool] = {}
        self._version = 0
        self._predictions: dict[ViewKey, _Noted] = {}
        self._events: dict[str, _Noted] = {}
        self._lock = threading.Lock()

    def send(self, output: Output) -> None:
        with self._lock:
            if output.stream not in self.streams:  # it was removed before this came
                return
            self._version += 1
            if isinstance(output, Prediction):
                self._note_prediction(output)
            else:
                self._note_event(output)

    def add_stream(self, name: str, views: Sequence[str] = ()) -> None:
        with self._lock:
            if name not in self.streams:
                self.streams = (*self.streams, name)

    def remove_stream(self, name: str) -> None:
        with self._lock:
            self.streams = tuple(one for one in self.streams if one != name)
            self._live.pop(name, None)
            self._drop_predictions(name)
            for event in [e for e, noted in self._events.items() if noted.stream == name]:
                del self._events[event]
        self._on_removed(name)

    def change_views(self, name: str, views: Sequence[str]) -> None:
        with self._lock:
            self._drop_predictions(name)

    def close(self) -> None:
        """What is on the board stays."""

    def note_live(self, stream: str, live: bool) -> None:
        """Whether the events of a stream have a time of day; never waits."""
        self._live[stream] = live

    def link_clips(self, names: Collection[str]) -> None:
        """Let each event have its clip if its file is among these names, and none otherwise."""
        with self._lock:
            for noted in self._events.values():
                name = clip_name(noted.facts["event"])
                clip = name if name in names else None
                if clip != noted.facts["clip"]:
                    self._version += 1
                    noted.facts["clip"] = clip
                    noted.version = self._version

    def since(self, version: int) -> Changes:
        """What has changed since that version; 0 is the beginning."""
        with self._lock:
            if version == self._version:
                return Changes(version, self.streams)
            numbers = {name: number for number, name in enumerate(self.streams)}

            def newer(noted: Iterable[_Noted]) -> list[dict[str, Any]]:
                return [
                    {**one.facts, "stream": numbers[one.stream]}
                    for one in noted
                    if one.version > version
                ]

            predictions, events = newer(self._predictions.values()), newer(self._events.values())
            return Changes(self._version, self.streams, predictions, events)

    def _drop_predictions(self, stream: str) -> None:
        for key in [key for key in self._predictions if key[0] == stream]:
            del self._predictions[key]

    def _note_prediction(self, prediction: Prediction) -> None:
        noted = _Noted(prediction.stream, prediction.as_dict(), self._version)
        self._predictions.pop(prediction.key, None)
        self._predictions[prediction.key] = noted
        if prediction.view:  # subjects come and go: those that have gone are forgotten
            since_s = prediction.time_s - VIEW_KEPT_S
            for key, noted in list(self._predictions.items()):
                if key[0] == prediction.stream and noted.facts["time_s"] < since_s:
                    del self._predictions[key]

    def _note_event(self, event: Event) -> None:
        before = self._events.get(event.id)
        live = self._live.get(event.stream, False)
        began_unix_s, ended_unix_s = self._when(event, before)
        facts = {
            **event.as_dict(),
            "live": live,
            "began_unix_s": began_unix_s,
            "ended_unix_s": ended_unix_s,
            "clip": before.facts["clip"] if before else None,
        }
        self._events[event.id] = _Noted(event.stream, facts, self._version)
        while len(self._events) > EVENTS_KEPT:
            del self._events[next(iter(self._events))]

    def _when(self, event: Event, before: _Noted | None) -> tuple[float, float | None]:
        """Times of day at which it began and ended, None while it lasts.

        A recording's event has none: there it is when the page heard of it.
        """
        if event.started_at is not None:
            ended = None if event.ended_at is None else unix_ms_of(event.ended_at) / 1000
            return unix_ms_of(event.started_at) / 1000, ended
        began = self._clock() if before is None else before.facts["began_unix_s"]
        return began, None if event.end_s is None else self._clock()
