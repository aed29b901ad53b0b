"""Tables of `ecolite-bench speed`: ratios first, as times depend on the machine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ecolite_stream.bench.report.report import Cell, Table
from ecolite_stream.bench.speed.limit import SIDE
from ecolite_stream.bench.speed.references import REFERENCES
from ecolite_stream.bench.speed.speed import ENCODER, HEAD, NUMPY, OWN, QUANTITIES, Row, StreamRow

WHO = ("bundle", "N", "engine", "precision")


def speed_tables(rows: Sequence[Row], notes: Sequence[str] = ()) -> list[Table]:
    """Engines side by side, bundle by bundle.

    Args:
        rows: of one run.
        notes: what could not be measured.
    """
    tables = [ratio_table(rows, notes), limit_table(rows), time_table(rows)]
    return tables + ([memory_table(rows)] if any(row.peak for row in rows) else [])


def ratio_table(rows: Sequence[Row], notes: Sequence[str] = ()) -> Table:
    """Savings by the memory, and ratios to the references."""
    by_name = {(row.bundle, row.engine): row for row in rows if row.precision == "f32"}
    references = [name for name in REFERENCES if any(row.engine == name for row in rows)]
    return Table(
        "Speed: ratios",
        (*WHO, "new frames", "saved", *(f"vs {name}" for name in references)),
        [
            (
                *_who(row),
                row.new_frames,
                _times(row.gain),
                *(_against(row, by_name.get((row.bundle, name))) for name in references),
            )
            for row in rows
        ],
        notes=(
            "saved: recompute all / live step. vs: recompute all of that library, in float32 / "
            "live step of this row. Ratios are of p50.",
            "Every library runs with its default number of threads.",
            *notes,
        ),
    )


def limit_table(rows: Sequence[Row]) -> Table:
    """Encoder and head as shares of the machine's limit."""
    return Table(
        "Multiply-adds a second, against a matrix product's",
        (
            *WHO,
            *("encoder of own", "head of own", "encoder of numpy", "head of numpy"),
            *("encoder G/s", "head G/s", "own product G/s", "numpy product G/s"),
        ),
        [
            (
                *_who(row),
                *(
                    _percent(row.share(what, who))
                    for who in (OWN, NUMPY)
                    for what in (ENCODER, HEAD)
                ),
                *(_number(row.rate(what)) for what in (ENCODER, HEAD)),
                *(_number(row.limit(who)) for who in (OWN, NUMPY)),
            )
            for row in rows
        ],
        notes=(
            f"product: of two {SIDE} x {SIDE} matrices, timed in the same turns: by the row's own "
            "library in its precision, and by numpy's BLAS in float32.",
            "Multiply-adds are those of the layers as written. Above 100 % a library does with "
            "fewer (Winograd, skipped padding), or its product is not at its best.",
        ),
    )


def time_table(rows: Sequence[Row]) -> Table:
    """The times behind the ratios."""
    return Table(
        "Speed: p50 / p95 / p99 in ms",
        (*WHO, "encoder, a frame", "head", "live step", "recompute all"),
        [(*_who(row), *(str(row.timings[what]) for what in QUANTITIES)) for row in rows],
        notes=(
            "live step: the new frames one by one, then the head.",
            "recompute all: N frames, then the head, as a script without a memory does.",
        ),
    )


def memory_table(rows: Sequence[Row]) -> Table:
    """Resident memory of each engine alone."""
    return Table(
        "Peak resident memory",
        (*WHO, "engine MB", "in all MB"),
        [
            (*_who(row), f"{row.peak.peak_mb - row.peak.before_mb:.0f}", f"{row.peak.peak_mb:.0f}")
            for row in rows
            if row.peak
        ],
        notes=(
            "Each in a process of its own: opened, and a few clips recognized. engine: above what "
            "Python and this package take.",
        ),
    )


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


def _who(row: Row) -> tuple[Cell, ...]:
    return (row.bundle, row.num_segments, row.engine, row.precision)


def _against(row: Row, reference: Row | None) -> str | None:
    return _times(row.gain_over(reference)) if reference else None


def _times(ratio: float) -> str:
    return f"{ratio:.2f}x"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.0f} %"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"
