"""Turn predictions into events: actions of a stream with a start and an end.

No clock, no thread: the same predictions give the same events.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from ecolite_stream.config.schema import EventConfig, StreamConfig
from ecolite_stream.model.spec import ModelSpec
from ecolite_stream.recognition.event_id import event_id
from ecolite_stream.types import Box, Event, EventKind, Prediction, StreamAnchor


@dataclass
class _OpenEvent:
    """An event without an end so far; reported after `min_s`.

    It keeps the anchor of its start, so that start and end are times of one clock.
    """

    id: str
    label: str
    start_s: float
    box: Box | None = None
    anchor: StreamAnchor | None = None
    bundle: str = ""
    peak: float = 0.0
    total: float = 0.0
    count: int = 0
    reported_s: float | None = None

    def add(self, score: float) -> None:
        self.peak = max(self.peak, score)
        self.total += score
        self.count += 1


class Decision:
    """Decides when events of one view begin and end.

    An event begins with a prediction whose label scores at least `enter`. It ends with the first
    prediction in which that label scores below `leave` or is not listed. It is reported after
    `min_s`; a shorter one is dropped. Events of a view never overlap. A gap in the stream ends the
    event at the last prediction before the gap.

    Args:
        stream: name of the stream.
        config: thresholds and durations.
        thresholds: the bundle's `enter` by label, used where the configuration has none.
        gap_s: seconds of stream time without a prediction that count as a gap.
        view: name of the view; empty where the stream has one.
        bundle: digest of the bundle; empty if unknown.
    """

    def __init__(
        self,
        stream: str,
        config: EventConfig | None = None,
        thresholds: Mapping[str, float] | None = None,
        gap_s: float = 5.0,
        view: str = "",
        bundle: str = "",
    ) -> None:
        self._view = view
        self._bundle = bundle
        self._stream = stream
        self._config = config or EventConfig()
        self._thresholds = thresholds or {}
        self._gap_s = gap_s
        self._open: _OpenEvent | None = None
        self._last_s: float | None = None
        self._free_s: dict[str, float] = {}  # label -> when it may begin again
        self._times_back = 0

    def observe(
        self, prediction: Prediction, anchor: StreamAnchor | None = None
    ) -> tuple[Event, ...]:
        """Process the next prediction.

        Args:
            prediction: of this view.
            anchor: of the stream. Without one, as in recordings of version 1, the id is
                STREAM@START and the event has no time of day.

        Returns:
            Starts, updates and ends; the end of one event comes before the start of another.
        """
        time_s = prediction.time_s
        events = self._break(time_s)
        self._last_s = time_s
        current = self._open
        if current is not None:
            score = _score(prediction, current.label)
            if score < self._config.leave_at(self._enter(current.label)):
                events += self._end(time_s)
            else:
                current.add(score)
        if self._open is None and self._begins(prediction):
            self._open = self._begin(prediction, anchor)
        return events + self._report(time_s)

    def change_bundle(self, spec: ModelSpec, bundle: str) -> tuple[Event, ...]:
        """Use the thresholds of another bundle from now on.

        Returns:
            The end of the open event, at the last prediction, if the bundle lacks its label.
        """
        self._thresholds, self._bundle = spec.thresholds, bundle
        if self._open is None or self._open.label in spec.labels:
            return ()
        return self.finish()

    def abstains(self, prediction: Prediction) -> bool:
        """Whether the label of a prediction scores too low to begin an event."""
        return _score(prediction, prediction.label) < self._enter(prediction.label)

    def finish(self, lost: bool = False) -> tuple[Event, ...]:
        """End the open event at the last prediction: the stream ended or fell silent.

        Args:
            lost: whether the stream is live and silent; it may come back.
        """
        ended = () if self._last_s is None else self._end(self._last_s)
        return tuple(dataclasses.replace(event, lost=lost) for event in ended)

    def _break(self, time_s: float) -> tuple[Event, ...]:
        """End the event at a gap before this time, or if time goes back: the stream restarted."""
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

    def _begin(self, prediction: Prediction, anchor: StreamAnchor | None) -> _OpenEvent:
        view, start_s, back = self._view, prediction.time_s, self._times_back
        if anchor is not None:
            name = event_id(anchor, view, start_s, back)
        else:
            stream = f"{self._stream}/{view}" if view else self._stream
            name = f"{stream}@{start_s:.3f}" + (f"#{back}" if back else "")
        begun = _OpenEvent(name, prediction.label, start_s, prediction.box, anchor, self._bundle)
        begun.add(_score(prediction, prediction.label))
        return begun

    def _enter(self, label: str) -> float:
        return self._config.enter_at(self._thresholds.get(label))

    def _report(self, time_s: float) -> tuple[Event, ...]:
        current, every_s = self._open, self._config.update_every_s
        if current is None:
            return ()
        if current.reported_s is None:
            if time_s - current.start_s < self._config.min_s:
                return ()
            kind: EventKind = "start"
        elif every_s is not None and time_s - current.reported_s >= every_s:
            kind = "update"
        else:
            return ()
        current.reported_s = time_s
        return (self._event(current, kind),)

    def _end(self, end_s: float) -> tuple[Event, ...]:
        ended, self._open = self._open, None
        if ended is None or ended.reported_s is None:
            return ()
        self._free_s[ended.label] = end_s + self._config.cooldown_s
        return (self._event(ended, "end", end_s),)

    def _event(self, current: _OpenEvent, kind: EventKind, end_s: float | None = None) -> Event:
        mean = min(current.total / current.count, current.peak)
        anchor = current.anchor
        return Event(
            current.id,
            self._stream,
            current.label,
            current.start_s,
            end_s,
            current.peak,
            mean,
            kind,
            view=self._view,
            box=current.box,
            started_at=None if anchor is None else anchor.at(current.start_s),
            ended_at=None if anchor is None or end_s is None else anchor.at(end_s),
            bundle=current.bundle,
        )


def decision_for(
    stream: str,
    config: StreamConfig,
    thresholds: Mapping[str, float] | None = None,
    view: str = "",
    bundle: str = "",
) -> Decision:
    """The decision of a view, from a configuration and the bundle's thresholds and digest."""
    return Decision(stream, config.events, thresholds, silence_s(config), view, bundle)


def silence_s(config: StreamConfig) -> float:
    """Seconds without a prediction that end an event: `memory.gap_s`, at least two periods."""
    return max(config.memory.gap_s, 2 * config.every_s)


def _score(prediction: Prediction, label: str) -> float:
    """The score of a label, 0 to 1; 0 where the prediction does not list it."""
    scores = {**dict(prediction.top), prediction.label: prediction.score}
    return min(max(scores.get(label, 0.0), 0.0), 1.0)  # a rounded softmax can be 1.0000001
