"""Measure the growth of memory over a long stream, and the memory of views."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from ecolite_stream.bench.measuring.process_tree import resident_mb
from ecolite_stream.bench.measuring.watch import watch
from ecolite_stream.bench.report.report import Table
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.views import MOST_VIEWS, ViewConfig
from ecolite_stream.engines import Engine
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.sources import Pattern, PatternSource
from ecolite_stream.types import Prediction

SETTLED_S = 60.0
"""Stream time after which memory should stay flat, in seconds."""

LIMIT_MB = 20.0


@dataclass(frozen=True)
class Reading:
    """Resources of the process at one moment.

    Attributes:
        stream_s: stream time, in seconds.
        resident_mb: resident memory, in 10^6 bytes, with the processes of engines.
        threads: number, with those of libraries.
        descriptors: open files, sockets and the like; on Windows, handles.
    """

    stream_s: float
    resident_mb: float
    threads: int
    descriptors: int


def read_process(stream_s: float) -> Reading:
    """Read the resources of this process."""
    own = psutil.Process()
    if sys.platform == "win32":
        descriptors = own.num_handles()
    else:
        descriptors = own.num_fds()
    return Reading(stream_s, resident_mb(), own.num_threads(), descriptors)


class Gauge:
    """Takes a reading at `SETTLED_S`, or half-way through a shorter stream, and each minute on.

    Args:
        total_s: length of the stream, in seconds.
        read: takes a reading; its argument is the stream time.
        on_progress: called with the whole seconds of stream time that have passed since.
    """

    def __init__(
        self,
        total_s: float,
        read: Callable[[float], Reading] = read_process,
        on_progress: Callable[[int], None] = lambda seconds: None,
    ) -> None:
        self.readings: list[Reading] = []
        self._next_s = min(SETTLED_S, total_s / 2)
        self._read = read
        self._on_progress = on_progress
        self._told_s = 0

    def send(self, prediction: Prediction) -> None:
        """Handle a prediction."""
        self._tell(int(prediction.time_s))
        if prediction.time_s >= self._next_s:
            self.readings.append(self._read(prediction.time_s))
            self._next_s += SETTLED_S

    def end(self, stream_s: float) -> None:
        """Take the last reading."""
        self.readings.append(self._read(stream_s))

    def _tell(self, now_s: int) -> None:
        if now_s > self._told_s:
            self._on_progress(now_s - self._told_s)
            self._told_s = now_s

    @property
    def growth_mb(self) -> float:
        """Resident memory at the end less that of the first reading, in 10^6 bytes."""
        return self.readings[-1].resident_mb - self.readings[0].resident_mb


def measure_memory(
    recognizer: Recognizer,
    seconds: float,
    on_progress: Callable[[int], None] = lambda seconds: None,
) -> Gauge:
    """Watch a test pattern of so many seconds of stream time as fast as it goes."""
    gauge = Gauge(seconds, on_progress=on_progress)
    source = PatternSource(Pattern(seconds=seconds))
    gauge.end(watch(source, recognizer, gauge.send).stream_s)
    return gauge


@dataclass(frozen=True)
class ViewCost:
    """Resident memory with one view and with several, in 10^6 bytes."""

    views: int
    one_mb: float
    several_mb: float

    @property
    def each_mb(self) -> float:
        """Of each view more."""
        return (self.several_mb - self.one_mb) / (self.views - 1)


def measure_views(engine: Engine, spec: ModelSpec, views: int, seconds: float) -> ViewCost:
    """Watch a test pattern through one view, then through several, each with its own memory.

    Args:
        engine: stays open.
        spec: of its bundle.
        views: number of the several, 2 to `MOST_VIEWS`.
        seconds: of stream time, each.
    """
    read_mb = []
    for count in (1, views):
        regions = tuple(
            ViewConfig(region=f"r{n}", box=(n / MOST_VIEWS / 2, 0.0, 0.5, 1.0))
            for n in range(count)
        )
        largest = _Largest()
        recognizer = Recognizer(engine, spec, StreamConfig(views=regions, gate=False))
        watch(PatternSource(Pattern(seconds=seconds)), recognizer, largest.send)
        read_mb.append(largest.resident_mb)
    return ViewCost(views, *read_mb)


class _Largest:
    """The largest resident memory at any prediction."""

    def __init__(self) -> None:
        self.resident_mb = 0.0

    def send(self, prediction: Prediction) -> None:
        self.resident_mb = max(self.resident_mb, resident_mb())


def views_table(engine: str, cost: ViewCost) -> Table:
    """Resident memory by number of views."""
    return Table(
        f"Memory of views, engine {engine}",
        ("views", "resident MB"),
        [(1, f"{cost.one_mb:.1f}"), (cost.views, f"{cost.several_mb:.1f}")],
        notes=(f"{cost.each_mb:.2f} MB a view more",),
    )


def memory_table(engine: str, gauge: Gauge, limit_mb: float) -> Table:
    """Readings over stream time."""
    return Table(
        f"Memory of a long stream, engine {engine}",
        ("stream s", "resident MB", "threads", "descriptors"),
        [
            (f"{r.stream_s:.0f}", f"{r.resident_mb:.1f}", r.threads, r.descriptors)
            for r in gauge.readings
        ],
        notes=(
            f"growth {gauge.growth_mb:+.1f} MB from the first reading to the end; "
            f"at most {limit_mb:g} MB is taken for flat",
        ),
    )


def memory_json(gauge: Gauge) -> dict[str, Any]:
    """Readings in plain containers."""
    return {
        "growth_mb": round(gauge.growth_mb, 3),
        "readings": [asdict(reading) for reading in gauge.readings],
    }
