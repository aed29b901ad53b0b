"""Predictions become events: an action of one stream, with a start and an end.

Pure: no clock and no thread; the same predictions give the same events.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.recognition.event_id import event_id
from ecolite_stream.types import Box, Event, EventKind, Prediction, StreamAnchor


@dataclass
class _Going:
    """An event that lasts; it is reported once it has lasted long enough.

    It keeps the anchor that it began with: its start and end are times of one clock.
    """

    id: str
    label: str
    start_s: float
    box: Box | None = None
    anchor: StreamAnchor | None = None
    peak: float = 0.0
    total: float = 0.0
    count: int = 0
    told_s: float | None = None

    def add(self, score: float) -> None:
        self.peak = max(self.peak, score)
        self.total += score
        self.count += 1


class Decision:
    """Decides for one stream when an action begins and when it ends.

    An event begins with a prediction whose label scores at least `enter`, and ends with the first
    one in which that label scores below `leave`, or is not listed. It is told once it has lasted
    `min_s`; one that ends before was none. At most one event lasts at any time, so that events of
    a stream never overlap. A gap in the stream ends the event at the last prediction before it.

    Args:
        stream: name of the stream.
        config: when an event begins and ends.
        thresholds: `enter` by label, where the configuration names none: the bundle's.
        gap_s: seconds of stream time without a prediction that count as a gap.
        view: name of the view; empty where the stream has one.
    """

    def __init__(
        self,
        stream: str,
        config: EventConfig | None = None,
        thresholds: Mapping[str, float] | None = None,
        gap_s: float = 5.0,
        view: str = "",
    ) -> None:
        self._view = view
        self._stream = stream
        self._config = config or EventConfig()
        self._thresholds = thresholds or {}
        self._gap_s = gap_s
        self._going: _Going | None = None
        self._last_s: float | None = None
        self._free_s: dict[str, float] = {}  # label -> when it may begin again
        self._times_back = 0

    def observe(
        self, prediction: Prediction, anchor: StreamAnchor | None = None
    ) -> tuple[Event, ...]:
        """Take the next prediction of the stream.

        Args:
            prediction: of the stream, or of one view of it.
            anchor: the stream's, as noted when it began. Without one the id of an event is
                STREAM@START, as in recordings of version 1, and it has no time of day.

        Returns:
            What it begins, keeps up and ends; the end of one event comes before the start of
            another.
        """
        time_s = prediction.time_s
        events = self._break(time_s)
        self._last_s = time_s
        going = self._going
        if going is not None:
            score = _score(prediction, going.label)
            if score < self._config.leave_at(self._enter(going.label)):
                events += self._end(time_s)
            else:
                going.add(score)
        if self._going is None and self._begins(prediction):
            self._going = self._begin(prediction, anchor)
        return events + self._tell(time_s)

    def abstains(self, prediction: Prediction) -> bool:
        """Whether the label of a prediction scores too low for an event to begin with."""
        return _score(prediction, prediction.label) < self._enter(prediction.label)

    def finish(self, lost: bool = False) -> tuple[Event, ...]:
        """The end of the stream, or its silence: what lasted ends with its last prediction.

        Args:
            lost: the stream is live and silent; it may come back.
        """
        ended = () if self._last_s is None else self._end(self._last_s)
        return tuple(dataclasses.replace(event, lost=lost) for event in ended)

    def _break(self, time_s: float) -> tuple[Event, ...]:
        """What a gap before this moment ends, or time that goes back: a stream that starts anew."""
        if self._last_s is None or 0 <= time_s - self._last_s <= self._gap_s:
            return ()
        events = self._end(self._last_s)
        if time_s < self._last_s:
            self._times_back += 1
            self._free_s.clear()
        return events

    def _begins(self, prediction: Prediction) -> bool:
        label = prediction.label
        return (
            label not in self._config.ignore
            and prediction.known is not False
            and prediction.memory_fill >= self._config.min_fill
            and prediction.time_s >= self._free_s.get(label, prediction.time_s)
            and _score(prediction, label) >= self._enter(label)
        )

    def _begin(self, prediction: Prediction, anchor: StreamAnchor | None) -> _Going:
        view, start_s, back = self._view, prediction.time_s, self._times_back
        if anchor is not None:
            name = event_id(anchor, view, start_s, back)
        else:
            stream = f"{self._stream}/{view}" if view else self._stream
            name = f"{stream}@{start_s:.3f}" + (f"#{back}" if back else "")
        going = _Going(name, prediction.label, start_s, prediction.box, anchor)
        going.add(_score(prediction, prediction.label))
        return going

    def _enter(self, label: str) -> float:
        return self._config.enter_at(self._thresholds.get(label))

    def _tell(self, time_s: float) -> tuple[Event, ...]:
        going, every_s = self._going, self._config.update_every_s
        if going is None:
            return ()
        if going.told_s is None:
            if time_s - going.start_s < self._config.min_s:
                return ()
            kind: EventKind = "start"
        elif every_s is not None and time_s - going.told_s >= every_s:
            kind = "update"
        else:
            return ()
        going.told_s = time_s
        return (self._event(going, kind),)

    def _end(self, end_s: float) -> tuple[Event, ...]:
        going, self._going = self._going, None
        if going is None or going.told_s is None:
            return ()
        self._free_s[going.label] = end_s + self._config.cooldown_s
        return (self._event(going, "end", end_s),)

    def _event(self, going: _Going, kind: EventKind, end_s: float | None = None) -> Event:
        mean = min(going.total / going.count, going.peak)
        anchor = going.anchor
        return Event(
            going.id,
            self._stream,
            going.label,
            going.start_s,
            end_s,
            going.peak,
            mean,
            kind,
            view=self._view,
            box=going.box,
            started_at=None if anchor is None else anchor.at(going.start_s),
            ended_at=None if anchor is None or end_s is None else anchor.at(end_s),
        )


def decision_for(
    stream: str,
    config: StreamConfig,
    thresholds: Mapping[str, float] | None = None,
    view: str = "",
) -> Decision:
    """The decision of a view of a stream as a configuration and the bundle's thresholds have it."""
    return Decision(stream, config.events, thresholds, silence_s(config), view)


def silence_s(config: StreamConfig) -> float:
    """Seconds without a prediction that end an event.

    That is `memory.gap_s`; where predictions are rarer, twice their period.
    """
    return max(config.memory.gap_s, 2 * config.every_s)


def _score(prediction: Prediction, label: str) -> float:
    """The score of a label, 0 to 1; 0 where the prediction does not list it."""
    scores = {**dict(prediction.top), prediction.label: prediction.score}
    return min(max(scores.get(label, 0.0), 0.0), 1.0)  # rounding makes 1.0000001 of a softmax
