"""Report of `ecolite-bench ucf101`: tables beside published results, and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecolite_stream.bench.accuracy.offline import EARLY, Pace
from ecolite_stream.bench.accuracy.published import Published, published_for
from ecolite_stream.bench.accuracy.scores import Scores
from ecolite_stream.bench.accuracy.splits import Selection
from ecolite_stream.bench.report.charts import Bar, BarChart, Chart, ConfusionChart
from ecolite_stream.bench.report.report import Cell, Table
from ecolite_stream.model.bundle import ModelSpec

WORST_PAIRS = 20


def score_tables(scores: Scores, selection: Selection, spec: ModelSpec, pace: Pace) -> list[Table]:
    """Tables: results, speed, classes, confusions, problems."""
    tables = [_results(scores, selection, spec), _speed(pace), _classes(scores)]
    if pairs := scores.worst_pairs():
        title = f"Most frequent confusions: {min(WORST_PAIRS, len(pairs))} of {len(pairs)} pairs"
        tables.append(Table(title, ("class", "taken for", "videos"), pairs[:WORST_PAIRS]))
    if problems := _problems(scores, selection):
        tables.append(Table("Not in order", ("what", "video", "why"), problems))
    return tables


def score_figures(scores: Scores) -> dict[str, Chart]:
    """Accuracy by class, the confusion matrix and its worst pairs."""
    bars = [
        Bar(label, right / n, f"{100 * right / n:.0f} % of {n}")
        for label, n, right in scores.by_class()
    ]
    figures: dict[str, Chart] = {
        "accuracy.png": BarChart("Right by class, top-1, the worst first", bars, full=1)
    }
    if scores.read:
        figures["confusion.png"] = ConfusionChart(*scores.confusion())
    if pairs := scores.worst_pairs()[:WORST_PAIRS]:
        taken = [Bar(f"{label}, taken for {other}", n, str(n)) for label, other, n in pairs]
        figures["pairs.png"] = BarChart("Most frequent confusions, videos", taken)
    return figures


def _results(scores: Scores, selection: Selection, spec: ModelSpec) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            "this bundle",
            _percent(scores.top1),
            _percent(scores.top5),
            f"{scores.loss:.4f}" if scores.read else None,
            f"{len(scores.read)} of {scores.total}",
            None,
        )
    ]
    rows += [_published_row(other, scores, spec) for other in published_for(spec)]
    return Table(
        f"Whole clips, N={spec.num_segments}: {selection.note}",
        ("what", "top-1 %", "top-5 %", "loss", "videos", "this bundle's top-1 minus it"),
        rows,
        notes=(
            "videos: evaluated of all. What cannot be read or is missing counts as wrong.",
            "Ties count as wrong. loss: of what could be read, without the bundle's temperature.",
            "Published results are of the named data set; the difference is shown for a bundle "
            "with as many labels. Compare the same split, crops and all its videos.",
        ),
    )


def _published_row(other: Published, scores: Scores, spec: ModelSpec) -> tuple[Cell, ...]:
    top5 = None if other.top5 is None else _percent(other.top5)
    is_same = len(spec.labels) == other.classes
    difference = f"{100 * (scores.top1 - other.top1):+.2f}" if is_same else None
    what = f"published: {other.what}"
    return (what, _percent(other.top1), top5, None, other.videos, difference)


def _speed(pace: Pace) -> Table:
    measured = pace.to_json()
    return Table(
        "Speed of this run",
        (
            *("videos recognized", "videos/s", "videos/s without decoding"),
            *("peak resident MB", f"after {EARLY} videos"),
        ),
        [
            (
                pace.videos,
                _number(measured, "videos_per_s"),
                _number(measured, _WITHOUT),
                _number(measured, "peak_resident_mb"),
                _number(measured, "early_resident_mb"),
            )
        ],
        notes=(
            "without decoding: from pixels to logits, measured while next clips are decoded beside "
            "it; of one worker with --address. Results kept from an earlier run are not counted. "
            "peak resident: of this process.",
        ),
    )


_WITHOUT = "videos_per_s_without_decoding"


def _number(measured: Mapping[str, Any], key: str) -> str | None:
    return None if measured[key] is None else f"{measured[key]:.2f}"


def _classes(scores: Scores) -> Table:
    rows = [(label, n, right, _percent(right / n)) for label, n, right in scores.by_class()]
    return Table("By class, the worst first", ("class", "videos", "right", "top-1 %"), rows)


def _problems(scores: Scores, selection: Selection) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = [("unreadable", o.clip, o.error) for o in scores.unreadable]
    rows += [("missing", name, "of the split, not on disk") for name in selection.missing]
    if selection.unnamed:
        rows.append(("missing", f"{selection.unnamed} more", "by the published count"))
    return rows + [("extra", name, "not of the split; not evaluated") for name in selection.extra]


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
