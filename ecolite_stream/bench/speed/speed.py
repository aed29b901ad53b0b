"""Time engines: each part, a live step with the memory, and recomputing without it."""

from __future__ import annotations

import itertools
import statistics
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.bench.measuring.peak import Peak
from ecolite_stream.bench.measuring.timing import Calls, Timing, time_in_turns
from ecolite_stream.bench.measuring.watch import Watched, watch
from ecolite_stream.bench.report.report import bundle_name
from ecolite_stream.bench.speed.arithmetic import MultiplyAdds, multiply_adds
from ecolite_stream.bench.speed.backends import Backend
from ecolite_stream.bench.speed.limit import PRODUCT_MULTIPLY_ADDS, library_product, numpy_product
from ecolite_stream.engines import Engine
from ecolite_stream.model.bundle import Bundle, ModelSpec
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.sources import open_source
from ecolite_stream.types import FloatArray

STREAM_RUNS = 3
ENCODER, HEAD, LIVE_STEP, RECOMPUTE = "encoder", "head", "live_step", "recompute"
QUANTITIES = (ENCODER, HEAD, LIVE_STEP, RECOMPUTE)
PRODUCT = "product"
NUMPY, OWN = "numpy", "own"


@dataclass(frozen=True)
class Row:
    """Speed of one engine with one bundle.

    Attributes:
        bundle: its name.
        num_segments: N.
        new_frames: K, frames that a live step encodes.
        engine: its name.
        timings: by quantity: one frame through the encoder; the head; K frames one after the
            other and the head; all N frames and the head.
        precision: of the computation.
        work: multiply-adds of encoder and head; None if not counted.
        limits: times of a large matrix product, in the same turns: by `NUMPY`'s BLAS in float32,
            and by the library (`OWN`) in the row's precision, if available.
        peak: resident memory of a process with this engine alone.
    """

    bundle: str
    num_segments: int
    new_frames: int
    engine: str
    timings: Mapping[str, Timing]
    precision: str = "f32"
    work: MultiplyAdds | None = None
    limits: Mapping[str, Timing] = field(default_factory=dict)
    peak: Peak | None = None

    @property
    def gain(self) -> float:
        """Saving by the memory: recomputing all N frames over a live step."""
        return self.timings[RECOMPUTE].p50_ms / self.timings[LIVE_STEP].p50_ms

    def gain_over(self, reference: Row) -> float:
        """The reference's recomputing over this row's live step."""
        return reference.timings[RECOMPUTE].p50_ms / self.timings[LIVE_STEP].p50_ms

    def rate(self, part: str) -> float | None:
        """10^9 multiply-adds a second of `ENCODER` or `HEAD`; None if not counted."""
        if self.work is None:
            return None
        work = self.work.encoder if part == ENCODER else self.work.head
        return work / self.timings[part].p50_ms / 1e6

    def limit(self, whose: str) -> float | None:
        """10^9 multiply-adds a second of a large matrix product."""
        timing = self.limits.get(whose)
        return None if timing is None else PRODUCT_MULTIPLY_ADDS / timing.p50_ms / 1e6

    def share(self, part: str, whose: str) -> float | None:
        """`rate` over `limit`."""
        rate, limit = self.rate(part), self.limit(whose)
        return None if rate is None or limit is None else rate / limit


def speed_calls(engine: Engine, spec: ModelSpec, new_frames: int) -> Calls:
    """Calls to time of an engine; on random inputs, since speed does not depend on them.

    Only a live step sees features again: those that stay in its memory. An engine may reuse what it
    computed of them.
    """
    size = spec.preprocessing.image_size
    rng = np.random.default_rng(0)
    images = rng.normal(0, 50, (spec.num_segments, 3, size, size)).astype(np.float32)
    features = engine.encode(images)
    count = itertools.count(1)

    def never_seen(features: FloatArray) -> FloatArray:
        return features * np.float32(1 + 1e-3 * next(count))

    memory = deque(features, maxlen=spec.num_segments)

    def live_step() -> None:
        for image in images[:new_frames]:  # as they come, one by one
            memory.append(never_seen(engine.encode(image[None])[0]))
        engine.classify(np.stack(memory)[None])

    return {
        ENCODER: lambda: engine.encode(images[:1]),
        HEAD: lambda: engine.classify(never_seen(features)[None]),
        LIVE_STEP: live_step,
        RECOMPUTE: lambda: engine.classify(never_seen(engine.encode(images))[None]),
    }


def all_calls(
    bundle: Bundle, engines: Mapping[Backend, Engine], new_frames: int
) -> dict[str, Calls]:
    """Calls to time of all engines of a bundle, and numpy's matrix product."""
    calls: dict[str, Calls] = {}
    for backend, engine in engines.items():
        own = dict(speed_calls(engine, bundle.spec, new_frames))
        if product := library_product(backend.library, backend.precision):
            own[PRODUCT] = product
        calls[str(backend)] = own
    return {**calls, NUMPY: {PRODUCT: numpy_product()}}


def measure_speed(
    bundle: Bundle,
    calls: Mapping[str, Calls],
    backends: Mapping[Backend, Peak | None],
    new_frames: int,
    seconds: float,
    on_turn: Callable[[], None] = lambda: None,
) -> list[Row]:
    """A row for each engine of one bundle.

    Args:
        bundle: that the engines have opened.
        calls: of `all_calls`.
        backends: the engines, with their memory.
        new_frames: K, at most N; as in the calls.
        seconds: for each quantity of each engine.
        on_turn: called `TURNS` times for each of the calls.
    """
    timings = time_in_turns(calls, seconds, on_turn=on_turn)
    name, spec = bundle_name(bundle), bundle.spec
    rows = []
    for who, peak in backends.items():
        own = timings[str(who)]
        limits = {NUMPY: timings[NUMPY][PRODUCT]}
        if PRODUCT in own:
            limits[OWN] = own[PRODUCT]
        parts = {what: own[what] for what in QUANTITIES}
        settings = (name, spec.num_segments, new_frames, who.engine, parts, who.precision)
        rows.append(Row(*settings, work=multiply_adds(spec), limits=limits, peak=peak))
    return rows


def row_json(row: Row) -> dict[str, Any]:
    """A row in plain containers."""
    return {
        "bundle": row.bundle,
        "num_segments": row.num_segments,
        "new_frames": row.new_frames,
        "engine": row.engine,
        "precision": row.precision,
        "recompute_over_live": round(row.gain, 3),
        **{what: timing.to_json() for what, timing in row.timings.items()},
        "multiply_adds": row.work and vars(row.work),
        "matrix_product": {
            "multiply_adds": PRODUCT_MULTIPLY_ADDS,
            **{whose: timing.to_json() for whose, timing in row.limits.items()},
        },
        "memory": row.peak and vars(row.peak),
    }


@dataclass(frozen=True)
class StreamRow:
    """Speed of one engine streaming a file with one bundle, in several runs."""

    bundle: str
    engine: str
    runs: Sequence[Watched]

    @property
    def realtime_factor(self) -> float:
        """Stream seconds per second, of the median run."""
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


def measure_stream(
    video: Path,
    bundle: Bundle,
    engines: Mapping[Backend, Engine],
    on_run: Callable[[], None] = lambda: None,
) -> list[StreamRow]:
    """Stream a file with each engine, in turns, as fast as possible, with default settings.

    Each engine has `STREAM_RUNS` turns; `on_run` is called after each.

    Raises:
        SourceError: the file cannot be read.
    """
    runs: dict[Backend, list[Watched]] = {backend: [] for backend in engines}
    for _ in range(STREAM_RUNS):
        for backend, engine in engines.items():
            recognizer = Recognizer(engine, bundle.spec)
            source = open_source(str(video))
            runs[backend].append(watch(source, recognizer, lambda prediction: None))
            on_run()
    return [StreamRow(bundle_name(bundle), str(who), own) for who, own in runs.items()]
