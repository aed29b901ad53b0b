"""What a run counts, for Prometheus. The registry is injected; names and units by its conventions.

Counting costs next to nothing, so a run always counts; `serve` lets others look.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, start_http_server

from ecolite_stream.errors import ConfigError
from ecolite_stream.types import Event, Prediction, Sent

STATES = ("connecting", "live", "stalled", "waiting", "ended", "failed")
LOOPBACK = "127.0.0.1"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters, gauges and histograms of one run.

    Args:
        registry: where they are registered; a new one if None.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = registry or CollectorRegistry()
        self._clock = clock

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"ecolite_{name}", what, labels, registry=self.registry)

        self.frames_read = counter("frames_read", "Frames read from the source", "stream")
        self.frames_due = counter("frames_due", "Frames that were due to be encoded", "stream")
        self.frames_encoded = counter("frames_encoded", "Frames that were encoded", "stream")
        self._dropped = counter(
            "frames_dropped", "Due frames that were not encoded", "stream", "cause"
        )
        self._predictions = counter("predictions", "Predictions made", "stream", "label")
        self._events = counter("events", "Events that began", "stream", "label")
        self.reconnects = counter("stream_reconnects", "Times it was opened again", "stream")
        self._delivered = counter("sink_delivered", "Predictions and events a sink took", "sink")
        self._sink_failures = counter("sink_failures", "Errors a sink raised", "sink")
        self._not_delivered = counter(
            "sink_dropped", "Predictions and events that never reached a sink", "sink", "cause"
        )
        self._not_shown = counter(
            "sink_frames_dropped", "Frames for which a sink had no room", "sink", "stream"
        )
        self._stage = Histogram(
            "ecolite_stage_seconds",
            "Time a stage took for one batch",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._latency = Histogram(
            "ecolite_latency_seconds",
            "Time from a frame's arrival to its prediction's sink",
            ["stream"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._label_age = Gauge(
            "ecolite_label_age_seconds",
            "Time since the frame behind the newest prediction arrived",
            ["stream"],
            registry=self.registry,
        )
        self._memory_fill = Gauge(
            "ecolite_memory_fill_ratio",
            "Share of the memory's segments that are real",
            ["stream"],
            registry=self.registry,
        )
        self._state = Enum(
            "ecolite_stream_state",
            "What a stream is doing",
            ["stream"],
            states=list(STATES),
            registry=self.registry,
        )

    def state(self, stream: str, state: str) -> None:
        """A stream is now in one of `STATES`."""
        self._state.labels(stream).state(state)

    def dropped(self, stream: str, cause: str) -> None:
        """A due frame was not encoded."""
        self._dropped.labels(stream, cause).inc()

    def predicted(self, prediction: Prediction) -> None:
        """A prediction was made."""
        self._predictions.labels(prediction.stream, prediction.label).inc()
        self._memory_fill.labels(prediction.stream).set(prediction.memory_fill)
        arrived_s = prediction.arrived_s
        if arrived_s is not None:
            age = self._label_age.labels(prediction.stream)
            age.set_function(lambda: self._clock() - arrived_s)

    def began(self, event: Event) -> None:
        """An event began."""
        self._events.labels(event.stream, event.label).inc()

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Observe how long the block takes, as a stage of one batch."""
        start_s = self._clock()
        yield
        self._stage.labels(stage).observe(self._clock() - start_s)

    def delivered(self, sink: str, output: Sent, age_s: float | None) -> None:
        """A sink took something; a prediction's frame arrived so many seconds ago."""
        self._delivered.labels(sink).inc()
        if age_s is not None and isinstance(output, Prediction):
            self._latency.labels(output.stream).observe(age_s)

    def sink_failed(self, sink: str) -> None:
        """A sink raised something."""
        self._sink_failures.labels(sink).inc()

    def not_delivered(self, sink: str, cause: str) -> None:
        """A prediction or an event never reached a sink."""
        self._not_delivered.labels(sink, cause).inc()

    def not_shown(self, sink: str, stream: str) -> None:
        """A frame came for which a sink had no room."""
        self._not_shown.labels(sink, stream).inc()


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of `[HOST:]PORT`; without a host it is this machine alone.

    Raises:
        ConfigError: it is neither.
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]:|([^:\[\]]+):)?(\d{1,5})", text.strip())
    if not match or int(match[3]) > 65535:
        raise ConfigError(f"address is {text!r}; expected PORT or HOST:PORT, such as 9464")
    return match[1] or match[2] or LOOPBACK, int(match[3])


@contextlib.contextmanager
def serve(metrics: Metrics, address: str) -> Iterator[int]:
    """Serve metrics over HTTP at `[HOST:]PORT` while the block runs; gives the port.

    Raises:
        ConfigError: nothing can listen there.
    """
    host, port = parse_address(address)
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"metrics cannot be served at {host}:{port}: {error}; choose another port"
        ) from error
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(2)
