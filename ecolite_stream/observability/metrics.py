"""Metrics of a run, for Prometheus; names and units follow its conventions.

Counting is cheap, so a run always counts; `metrics_server` serves the metrics.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
)

from ecolite_stream.config.views import view_label
from ecolite_stream.types import Event, Prediction, Sample, Sent, ViewKey
from ecolite_stream.version import __version__

STAGES = ("decode", "preprocess", "wait", "encode", "classify")
"""Stages of a frame, in order, before a prediction goes to the sinks."""
STATES = ("connecting", "live", "stalled", "waiting", "paused", "ended", "failed")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_FINER = (0.0001, 0.00025, 0.0005)
_Metric = TypeVar("_Metric", Counter, Gauge, Enum, Histogram)


class _Maker:
    """Creates metrics with conventional names.

    Attributes:
        of_streams: the metrics with the label `stream`, and the names of their labels.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.of_streams: list[tuple[Counter | Gauge | Enum | Histogram, tuple[str, ...]]] = []

    def counter(self, name: str, what: str, *labels: str) -> Counter:
        made = Counter(f"ecolite_{name}", what, labels, registry=self._registry)
        return self._noted(made, labels)

    def gauge(self, name: str, what: str, *labels: str) -> Gauge:
        made = Gauge(f"ecolite_{name}", what, labels, registry=self._registry)
        return self._noted(made, labels)

    def state(self, name: str, what: str) -> Enum:
        labels = ("stream",)
        made = Enum(f"ecolite_{name}", what, labels, states=list(STATES), registry=self._registry)
        return self._noted(made, labels)

    def histogram(
        self, name: str, what: str, label: str, finer: tuple[float, ...] = ()
    ) -> Histogram:
        buckets = (*finer, *_SECONDS)
        made = Histogram(f"ecolite_{name}", what, [label], buckets=buckets, registry=self._registry)
        return self._noted(made, (label,))

    def _noted(self, made: _Metric, labels: tuple[str, ...]) -> _Metric:
        if "stream" in labels:
            self.of_streams.append((made, labels))
        return made

    def about_the_process(self) -> None:
        """Its version, memory, processor time and open files."""
        build = Info("ecolite_build", "What is running", registry=self._registry)
        build.info({"version": __version__})
        ProcessCollector(registry=self._registry)


class Metrics:
    """Counters, gauges and histograms of one run.

    Args:
        registry: of the metrics; a new one if None.
        clock: seconds, monotonic.

    Attributes:
        registry, clock: as given.
        stages: histograms of the seconds of each of `STAGES`.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = registry or CollectorRegistry()
        self.clock = clock
        self._newest_label: dict[ViewKey, str] = {}
        self._streams: set[str] | None = None
        self._lock = threading.Lock()  # of the two above, and of the removal of series
        make = _Maker(self.registry)
        make.about_the_process()
        self.frames_read = make.counter("frames_read", "Frames read from the source", "stream")
        self.frames_due = make.counter("frames_due", "Frames due to be encoded", "stream")
        self.frames_encoded = make.counter("frames_encoded", "Frames encoded", "stream")
        self._spared = make.counter(
            "frames_spared", "Due frames that needed no encoding: nothing moved", "stream", "view"
        )
        self.frames_not_followed = make.counter(
            "frames_not_followed",
            "Frames while the whole picture moved, so that no view could follow",
            "stream",
        )
        self._dropped = make.counter(
            "frames_dropped", "Due frames that were not encoded", "stream", "cause"
        )
        self.reconnects = make.counter("stream_reconnects", "Times it was opened again", "stream")
        self._state = make.state("stream_state", "What a stream is doing")
        self._make_those_of_labels(make)
        self._delivered = make.counter("sink_delivered", "What a sink took", "sink")
        self._sink_failures = make.counter("sink_failures", "Errors a sink raised", "sink")
        self._not_delivered = make.counter(
            "sink_dropped", "What never reached a sink", "sink", "cause"
        )
        self._not_shown = make.counter(
            "sink_frames_dropped", "Frames for which a sink had no room", "sink", "stream"
        )
        stage_seconds = make.histogram(
            "stage_seconds",
            "Time a stage took: decode, preprocess and wait of a frame, the others of a batch",
            "stage",
            _FINER,
        )
        self.stages = {stage: stage_seconds.labels(stage) for stage in STAGES}
        self._delivery = make.histogram(
            "sink_delivery_seconds",
            "Time until a sink took what it was sent, tries included",
            "sink",
            _FINER,
        )
        self._latency = make.histogram(
            "latency_seconds", "Time from a frame's arrival to its prediction's sink", "stream"
        )
        self._of_streams = make.of_streams

    def _make_those_of_labels(self, make: _Maker) -> None:
        view, label = ("stream", "view"), ("stream", "view", "label")
        self._predictions = make.counter("predictions", "Predictions made", *label)
        self._abstentions = make.counter(
            "abstentions", "Predictions whose label scored too low for an event", *label
        )
        self._unknown = make.counter(
            "unknown_predictions", "Predictions of what is unlike the training", *view
        )
        self._switches = make.counter(
            "label_switches", "Predictions with another label than the last", *label
        )
        self._events = make.counter("events", "Events that began", *label)
        self._label_age = make.gauge(
            "label_age_seconds", "Time since the frame behind the newest prediction arrived", *view
        )
        self._memory_fill = make.gauge(
            "memory_fill_ratio", "Share of the memory's segments that are real", *view
        )

    def add_stream(self, stream: str) -> None:
        """Observe the latency of a stream; without any call, that of every stream."""
        with self._lock:
            self._streams = {*(self._streams or ()), stream}

    def remove_stream(self, stream: str) -> None:
        """Remove all series of an ended stream; later ones of its name start at 0."""
        with self._lock:
            if self._streams is not None:
                self._streams.discard(stream)
            for key in [key for key in self._newest_label if key[0] == stream]:
                del self._newest_label[key]
            for metric, labels in self._of_streams:
                for values in _series_of(metric, labels, stream):
                    metric.remove(*values)

    def state(self, stream: str, state: str) -> None:
        """Set a stream's state, one of `STATES`."""
        self._state.labels(stream).state(state)

    def dropped(self, stream: str, cause: str) -> None:
        """Count a due frame that was not encoded."""
        self._dropped.labels(stream, cause).inc()

    def spared(self, sample: Sample) -> None:
        """Count a due frame that needed no encoding in a view."""
        self._spared.labels(sample.stream, view_label(sample.view)).inc()

    def predicted(self, prediction: Prediction) -> None:
        """Count a prediction."""
        view, label = (prediction.stream, view_label(prediction.view)), prediction.label
        self._predictions.labels(*view, label).inc()
        if prediction.known is False:
            self._unknown.labels(*view).inc()
        with self._lock:
            before = self._newest_label.get(prediction.key, label)
            self._newest_label[prediction.key] = label
        if before != label:
            self._switches.labels(*view, label).inc()
        self._memory_fill.labels(*view).set(prediction.memory_fill)
        arrived_s = prediction.arrived_s
        if arrived_s is not None:
            age = self._label_age.labels(*view)
            age.set_function(lambda: self.clock() - arrived_s)

    def view_ended(self, key: ViewKey) -> None:
        """Forget an ended view; with the last of its name, its gauges are removed."""
        stream, view = key[0], view_label(key[1])
        with self._lock:
            self._newest_label.pop(key, None)
            if all((s, view_label(v)) != (stream, view) for s, v in self._newest_label):
                for gauge in (self._label_age, self._memory_fill):
                    gauge.remove(stream, view)

    def abstained(self, prediction: Prediction) -> None:
        """Count a prediction whose label scored too low for an event."""
        view = view_label(prediction.view)
        self._abstentions.labels(prediction.stream, view, prediction.label).inc()

    def began(self, event: Event) -> None:
        """Count an event that began."""
        self._events.labels(event.stream, view_label(event.view), event.label).inc()

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Observe the seconds of the block, as a stage of one batch."""
        start_s = self.clock()
        yield
        self.stages[stage].observe(self.clock() - start_s)

    def taken(self, samples: Iterable[Sample]) -> None:
        """Observe how long samples waited for the engine."""
        now_s = self.clock()
        for sample in samples:
            if sample.ready_s is not None:
                self.stages["wait"].observe(now_s - sample.ready_s)

    def delivered(self, sink: str, output: Sent, delivery_s: float, age_s: float | None) -> None:
        """Count an item that a sink received.

        Args:
            sink: its name.
            output: the item.
            delivery_s: seconds since the item was sent.
            age_s: seconds since a prediction's frame arrived, if known.
        """
        self._delivered.labels(sink).inc()
        self._delivery.labels(sink).observe(delivery_s)
        if age_s is not None and isinstance(output, Prediction):
            with self._lock:  # a removed stream's last ones may come late
                if self._streams is None or output.stream in self._streams:
                    self._latency.labels(output.stream).observe(age_s)

    def sink_failed(self, sink: str) -> None:
        """Count an error of a sink."""
        self._sink_failures.labels(sink).inc()

    def not_delivered(self, sink: str, cause: str) -> None:
        """Count a prediction or an event that never reached a sink."""
        self._not_delivered.labels(sink, cause).inc()

    def not_shown(self, sink: str, stream: str) -> None:
        """Count a frame for which a sink had no room."""
        self._not_shown.labels(sink, stream).inc()


def _series_of(
    metric: Counter | Gauge | Enum | Histogram, labels: tuple[str, ...], stream: str
) -> set[tuple[str, ...]]:
    """Values of the labels of all series of a stream."""
    samples = (sample for family in metric.collect() for sample in family.samples)
    return {
        tuple(sample.labels[label] for label in labels)
        for sample in samples
        if sample.labels.get("stream") == stream
    }
