"""How fast engines are: each part, a live step with the memory, and the same without it.

Everything is timed in turns: all quantities of all engines, and again, so that whatever slows the
machine for a while hits them alike. Ratios can be trusted further than times.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.bench.references import REFERENCES
from ecolite_stream.bench.report import Cell, Table, bundle_name
from ecolite_stream.bench.watch import Watched, watch
from ecolite_stream.bundle import Bundle, ModelSpec
from ecolite_stream.engines import Engine
from ecolite_stream.recognizer import Recognizer
from ecolite_stream.sources import open_source

Clock = Callable[[], float]
Calls = Mapping[str, Callable[[], object]]

TURNS = 8
STREAM_RUNS = 3
ENCODER, HEAD, LIVE_STEP, RECOMPUTE = "encoder", "head", "live_step", "recompute"
QUANTITIES = (ENCODER, HEAD, LIVE_STEP, RECOMPUTE)


@dataclass(frozen=True)
class Timing:
    """Repeated measurements of one thing, in milliseconds."""

    samples_ms: tuple[float, ...]

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.samples_ms)

    @property
    def p95_ms(self) -> float:
        return float(np.percentile(self.samples_ms, 95))

    def to_json(self) -> dict[str, float | int]:
        """Plain containers."""
        return {
            "p50_ms": round(self.p50_ms, 4),
            "p95_ms": round(self.p95_ms, 4),
            "repetitions": len(self.samples_ms),
        }


@dataclass(frozen=True)
class Row:
    """How fast one engine runs one bundle.

    Attributes:
        bundle: its name.
        num_segments: N.
        new_frames: K, frames that a live step encodes.
        engine: its name.
        timings: by quantity: one frame through the encoder; the head; K frames one after the
            other and the head; all N frames and the head.
    """

    bundle: str
    num_segments: int
    new_frames: int
    engine: str
    timings: Mapping[str, Timing]

    @property
    def gain(self) -> float:
        """What the memory saves: recomputing all N frames over a live step."""
        return self.timings[RECOMPUTE].p50_ms / self.timings[LIVE_STEP].p50_ms

    def gain_over(self, reference: Row) -> float:
        """How many of this row's live steps one recomputing of the reference takes."""
        return reference.timings[RECOMPUTE].p50_ms / self.timings[LIVE_STEP].p50_ms


def speed_calls(engine: Engine, spec: ModelSpec, new_frames: int) -> Calls:
    """What is timed of an engine; random inputs, for speed does not depend on them."""
    size = spec.preprocessing.image_size
    rng = np.random.default_rng(0)
    images = rng.normal(0, 50, (spec.num_segments, 3, size, size)).astype(np.float32)
    features = engine.encode(images)

    def live_step() -> None:
        # A recognizer encodes frames as they come. Which of the remembered ones they replace does
        # not matter here, copying the N of them together does.
        new = [engine.encode(image[None])[0] for image in images[:new_frames]]
        engine.classify(np.stack([*features[new_frames:], *new])[None])

    return {
        ENCODER: lambda: engine.encode(images[:1]),
        HEAD: lambda: engine.classify(features[None]),
        LIVE_STEP: live_step,
        RECOMPUTE: lambda: engine.classify(engine.encode(images)[None]),
    }


def time_in_turns(
    calls: Mapping[str, Calls],
    seconds: float,
    turns: int = TURNS,
    clock: Clock = time.perf_counter,
    on_turn: Callable[[], None] = lambda: None,
) -> dict[str, dict[str, Timing]]:
    """Time every call of every engine for `seconds` in all, in `turns` rounds over all of them.

    A turn starts with a call that does not count: it warms caches up and lets the threads of the
    engine before come to rest. At least one call a turn counts, however long it takes.

    Args:
        calls: by engine and quantity.
        seconds: of measuring each of them.
        turns: number of rounds.
        clock: wall-clock seconds.
        on_turn: called after each turn of one call.
    """
    samples: dict[str, dict[str, list[float]]] = {
        name: {what: [] for what in own} for name, own in calls.items()
    }
    for _ in range(turns):
        for name, own in calls.items():
            for what, call in own.items():
                call()
                samples[name][what] += repeat_for(call, seconds / turns, clock)
                on_turn()
    return {
        name: {what: Timing(tuple(times_ms)) for what, times_ms in own.items()}
        for name, own in samples.items()
    }


def repeat_for(call: Callable[[], object], seconds: float, clock: Clock) -> list[float]:
    """Call again and again until `seconds` have passed; what each call took, in ms."""
    times_ms: list[float] = []
    start_s = before_s = clock()
    while not times_ms or before_s - start_s < seconds:
        call()
        after_s = clock()
        times_ms.append(1e3 * (after_s - before_s))
        before_s = after_s
    return times_ms


def measure_speed(
    bundle: Bundle,
    engines: Sequence[Engine],
    new_frames: int,
    seconds: float,
    on_turn: Callable[[], None] = lambda: None,
) -> list[Row]:
    """A row for each of the opened engines and references of one bundle.

    Args:
        bundle: what they have opened.
        engines: engines and references.
        new_frames: K, at most N.
        seconds: of measuring each quantity of each engine.
        on_turn: called `TURNS` times for each of `QUANTITIES` of each engine.
    """
    calls = {engine.name: speed_calls(engine, bundle.spec, new_frames) for engine in engines}
    name, num_segments = bundle_name(bundle), bundle.spec.num_segments
    return [
        Row(name, num_segments, new_frames, engine, timings)
        for engine, timings in time_in_turns(calls, seconds, on_turn=on_turn).items()
    ]


def measure_stream(video: Path, bundle: Bundle, engines: Sequence[Engine]) -> list[StreamRow]:
    """Watch a file with each engine, in turns, as fast as it goes, with default settings.

    Raises:
        SourceError: the file cannot be watched.
    """
    runs: dict[str, list[Watched]] = {engine.name: [] for engine in engines}
    for _ in range(STREAM_RUNS):
        for engine in engines:
            recognizer = Recognizer(engine, bundle.spec)
            source = open_source(str(video))
            runs[engine.name].append(watch(source, recognizer, lambda prediction: None))
    return [StreamRow(bundle_name(bundle), engine, own) for engine, own in runs.items()]


def speed_table(rows: Sequence[Row]) -> Table:
    """Engines side by side, bundle by bundle, and how they stand against the references."""
    by_name = {(row.bundle, row.engine): row for row in rows}
    references = [name for name in REFERENCES if any(row.engine == name for row in rows)]
    columns = ("bundle", "engine", "encoder, a frame", "head", "new frames", "live step")
    against = tuple(f"vs {name}" for name in references)
    return Table(
        "Speed: p50 (p95) in ms",
        (*columns, "recompute all", "saved", *against),
        [_cells(row, [by_name.get((row.bundle, name)) for name in references]) for row in rows],
        notes=(
            "live step: the new frames one by one, then the head.",
            "recompute all: N frames, then the head, as a script without a memory does.",
            "saved: recompute all / live step. vs: recompute all of that library / live step of "
            "this one. Ratios are of p50.",
            "Every library runs in float32 with its default number of threads.",
        ),
    )


def _cells(row: Row, references: Sequence[Row | None]) -> tuple[Cell, ...]:
    def spread(what: str) -> str:
        return f"{row.timings[what].p50_ms:.2f} ({row.timings[what].p95_ms:.2f})"

    return (
        row.bundle,
        row.engine,
        spread(ENCODER),
        spread(HEAD),
        row.new_frames,
        spread(LIVE_STEP),
        spread(RECOMPUTE),
        _times(row.gain),
        *(_times(row.gain_over(reference)) if reference else None for reference in references),
    )


def _times(ratio: float) -> str:
    return f"{ratio:.2f}x"


def row_json(row: Row) -> dict[str, Any]:
    """A row in plain containers."""
    return {
        "bundle": row.bundle,
        "num_segments": row.num_segments,
        "new_frames": row.new_frames,
        "engine": row.engine,
        "recompute_over_live": round(row.gain, 3),
        **{what: timing.to_json() for what, timing in row.timings.items()},
    }


@dataclass(frozen=True)
class StreamRow:
    """How fast one engine watches a file with one bundle, in several runs."""

    bundle: str
    engine: str
    runs: Sequence[Watched]

    @property
    def realtime_factor(self) -> float:
        """Stream seconds watched in a second; of the median run."""
        return statistics.median(run.realtime_factor for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """Plain containers."""
        return {
            "bundle": self.bundle,
            "engine": self.engine,
            "frames": self.runs[0].frames,
            "stream_s": round(self.runs[0].stream_s, 3),
            "wall_s": [round(run.wall_s, 4) for run in self.runs],
            "realtime_factor": round(self.realtime_factor, 3),
        }


def stream_table(video: str, rows: Sequence[StreamRow]) -> Table:
    """The real-time factor of `ecolite-stream` with each bundle and engine."""
    return Table(
        f"ecolite-stream on {video}: decoding to predictions, default settings",
        ("bundle", "engine", "frames", "stream s", "wall s", "real-time factor"),
        [
            (
                row.bundle,
                row.engine,
                row.runs[0].frames,
                f"{row.runs[0].stream_s:.1f}",
                f"{statistics.median(run.wall_s for run in row.runs):.2f}",
                _times(row.realtime_factor),
            )
            for row in rows
        ],
        notes=(f"The median of {len(rows[0].runs)} runs in turns; starting up is not counted.",),
    )
