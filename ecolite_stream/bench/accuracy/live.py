"""Live predictions: delay, steadiness, calibration and cost."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from ecolite_stream.bench.accuracy.online import ClipResult, PolicyResult, Share
from ecolite_stream.bench.accuracy.reliability import (
    BIN_COLUMNS,
    NUM_BINS,
    Bin,
    bin_rows,
    calibration_error,
    reliability,
    reliability_figure,
)
from ecolite_stream.bench.report.charts import Axis, Chart, LineChart, Series
from ecolite_stream.bench.report.report import Cell, Table
from ecolite_stream.config.schema import EventConfig

STEPS = tuple(range(10, 101, 10))
"""Per cent of a clip that has been streamed."""

NO_EVENT = EventConfig().ignore
"""Labels that are not events."""

_ROUNDING_S = 1e-6


def right_after(clips: Sequence[ClipResult], percent: int) -> Share:
    """Clips whose newest prediction is right after that share of the clip.

    A clip without a prediction is not right.
    """
    right = 0
    for clip in clips:
        seen_s = clip.stream_s * percent / 100 + _ROUNDING_S
        labels = [moment.label for moment in clip.moments if moment.time_s <= seen_s]
        right += bool(labels) and labels[-1] == clip.label
    return Share(right, len(clips))


def first_right_s(clips: Sequence[ClipResult]) -> list[float | None]:
    """Seconds from the start of each clip to its first right prediction, or None."""
    return [next((m.time_s for m in clip.moments if m.label == clip.label), None) for clip in clips]


def median_first_s(clips: Sequence[ClipResult]) -> float | None:
    """The median of `first_right_s` without None; None if there is none."""
    found = [time_s for time_s in first_right_s(clips) if time_s is not None]
    return statistics.median(found) if found else None


def switches_per_minute(clips: Sequence[ClipResult]) -> float | None:
    """Label changes within clips; None without stream time."""
    switches = sum(
        before.label != after.label
        for clip in clips
        for before, after in zip(clip.moments, clip.moments[1:], strict=False)
    )
    stream_s = sum(clip.stream_s for clip in clips)
    return 60 * switches / stream_s if stream_s else None


def false_events_per_hour(clips: Sequence[ClipResult]) -> float | None:
    """Events that begin in idle clips; None without such clips."""
    idle = [clip for clip in clips if clip.label in NO_EVENT]
    idle_s = sum(clip.stream_s for clip in idle)
    return 3600 * sum(clip.events for clip in idle) / idle_s if idle_s else None


def score_bins(clips: Sequence[ClipResult]) -> list[Bin]:
    """Of all live predictions."""
    scores, right = _scores(clips)
    return reliability(scores, right)


def score_error(clips: Sequence[ClipResult]) -> float | None:
    """Expected calibration error of all live predictions; None without any."""
    scores, right = _scores(clips)
    return calibration_error(scores, right) if len(scores) else None


def _scores(clips: Sequence[ClipResult]) -> tuple[Any, Any]:
    pairs = [(m.score, m.label == clip.label) for clip in clips for m in clip.moments]
    scores, right = [score for score, _ in pairs], [is_right for _, is_right in pairs]
    return np.array(scores, np.float64), np.array(right, np.bool_)


def live_tables(results: Sequence[PolicyResult]) -> list[Table]:
    """Policies side by side; readable clips only."""
    clips = {result.policy: _read(result) for result in results}
    return [
        seen_table(clips),
        _steadiness_table(clips),
        *reliability_tables(clips),
    ]


Clips = dict[str, list[ClipResult]]
"""By memory policy."""


def seen_table(clips: Clips, what: str = "clip") -> Table:
    """Right after each of `STEPS`, policies side by side."""
    return Table(
        f"Right when so much of the {what} has been seen",
        ("seen", *clips),
        [(f"{step} %", *(str(right_after(own, step)) for own in clips.values())) for step in STEPS],
        notes=("The newest prediction counts; where there is none yet it is not right.",),
    )


def reliability_tables(clips: Clips, what: str = "clips") -> list[Table]:
    """A table of bins for each policy."""
    return [
        Table(
            f"Reliability of live scores of {what}, memory {name}",
            BIN_COLUMNS,
            bin_rows(score_bins(own)),
        )
        for name, own in clips.items()
    ]


def _steadiness_table(clips: Clips) -> Table:
    return Table(
        "Delay, steadiness, honesty and cost",
        (
            *("memory", "first right s", "never right", "switches/min", "false events/h"),
            *("calibration error", "frames encoded", "engine ms/clip"),
        ),
        [_steadiness(name, own) for name, own in clips.items()],
        notes=(
            "first right: from the start of a clip to the first right label, the median of those "
            "that ever were.",
            "switches: of the label within a clip. false events: that begin in clips of "
            f"{' and '.join(NO_EVENT)}, as ecolite-stream --events has them.",
            f"calibration error: {NUM_BINS} bins, all "
            "predictions. engine ms: spent encoding and classifying.",
        ),
    )


def _steadiness(name: str, clips: Sequence[ClipResult]) -> tuple[Cell, ...]:
    return (
        name,
        _text(median_first_s(clips), 2),
        f"{first_right_s(clips).count(None)} of {len(clips)}",
        _text(switches_per_minute(clips), 1),
        _text(false_events_per_hour(clips), 1),
        _text(score_error(clips), 4),
        sum(clip.encoded for clip in clips),
        _text(_mean_ms(clips), 1),
    )


def live_figures(results: Sequence[PolicyResult]) -> dict[str, Chart]:
    """Readable clips only."""
    return behaviour_figures({result.policy: _read(result) for result in results})


def behaviour_figures(clips: Clips, what: str = "clip", suffix: str = "") -> dict[str, Chart]:
    """Accuracy over the share streamed, and the reliability diagram, for each policy.

    Args:
        clips: by policy.
        what: one of them.
        suffix: of the files' names.
    """
    seen = [
        Series(name, [(step, 100 * right_after(own, step).share) for step in STEPS])
        for name, own in clips.items()
    ]
    bins = {
        f"{name}, error {_text(score_error(own), 4) or '-'}": score_bins(own)
        for name, own in clips.items()
    }
    axes = Axis(f"of the {what} seen", 100, " %"), Axis(f"{what}s right", 100, " %")
    title = f"Right when so much of the {what} has been seen"
    return {
        f"seen{suffix}.png": LineChart(title, *axes, seen),
        f"reliability{suffix}.png": reliability_figure("Reliability of live scores", bins),
    }


def live_json(result: PolicyResult) -> dict[str, Any]:
    """The same in plain containers."""
    clips = _read(result)
    names = ("from", "to", "predictions", "mean_score", "share_right")
    return {
        "right_after_percent": {str(step): right_after(clips, step).right for step in STEPS},
        "first_right_s": median_first_s(clips),
        "never_right": first_right_s(clips).count(None),
        "switches_per_minute": switches_per_minute(clips),
        "false_events_per_hour": false_events_per_hour(clips),
        "ece": score_error(clips),
        "reliability": [dict(zip(names, row, strict=True)) for row in score_bins(clips)],
        "frames_encoded": sum(clip.encoded for clip in clips),
        "engine_ms_per_clip": _mean_ms(clips),
    }


def _read(result: PolicyResult) -> list[ClipResult]:
    return [clip for clip in result.clips if clip.error is None]


def _mean_ms(clips: Sequence[ClipResult]) -> float | None:
    return sum(clip.engine_ms for clip in clips) / len(clips) if clips else None


def _text(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"
