"""How live predictions behave: how early they are right, how steady, how honest, at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ecolite_stream.bench.calibrate import NUM_BINS, calibration_error, reliability
from ecolite_stream.bench.online import ClipResult, PolicyResult, Share
from ecolite_stream.bench.report import Table
from ecolite_stream.config import EventConfig

STEPS = tuple(range(10, 101, 10))
"""Per cent of a clip that has been seen."""

NO_EVENT = EventConfig().ignore
"""Labels that are no event."""

_ROUNDING_S = 1e-6


def right_after(clips: Sequence[ClipResult], percent: int) -> Share:
    """Clips whose newest prediction is right when that much of them has been seen.

    One that has no prediction yet is not right.
    """
    right = 0
    for clip in clips:
        seen_s = clip.stream_s * percent / 100 + _ROUNDING_S
        labels = [moment.label for moment in clip.moments if moment.time_s <= seen_s]
        right += bool(labels) and labels[-1] == clip.label
    return Share(right, len(clips))


def switches_per_minute(clips: Sequence[ClipResult]) -> float | None:
    """How often the label changes within a clip; None where no stream time passed."""
    switches = sum(
        before.label != after.label
        for clip in clips
        for before, after in zip(clip.moments, clip.moments[1:], strict=False)
    )
    stream_s = sum(clip.stream_s for clip in clips)
    return 60 * switches / stream_s if stream_s else None


def false_events_per_hour(clips: Sequence[ClipResult]) -> float | None:
    """Events that begin in clips of idle footage; None where there are none of those."""
    idle = [clip for clip in clips if clip.label in NO_EVENT]
    idle_s = sum(clip.stream_s for clip in idle)
    return 3600 * sum(clip.events for clip in idle) / idle_s if idle_s else None


def score_bins(clips: Sequence[ClipResult]) -> list[tuple[float, float, int, float, float]]:
    """See `ecolite_stream.bench.calibrate.reliability`; all live predictions."""
    scores, right = _scores(clips)
    return reliability(scores, right)


def score_error(clips: Sequence[ClipResult]) -> float | None:
    """Expected calibration error of all live predictions; None where there are none."""
    scores, right = _scores(clips)
    return calibration_error(scores, right) if len(scores) else None


def _scores(clips: Sequence[ClipResult]) -> tuple[Any, Any]:
    pairs = [(m.score, m.label == clip.label) for clip in clips for m in clip.moments]
    scores, right = [score for score, _ in pairs], [is_right for _, is_right in pairs]
    return np.array(scores, np.float64), np.array(right, np.bool_)


def live_tables(results: Sequence[PolicyResult]) -> list[Table]:
    """Policies side by side; only clips that could be read."""
    names = tuple(result.policy for result in results)
    clips = [_read(result) for result in results]
    return [
        Table(
            "Right when so much of the clip has been seen",
            ("seen", *names),
            [(f"{step} %", *(str(right_after(own, step)) for own in clips)) for step in STEPS],
            notes=("The newest prediction counts; a clip without one yet is not right.",),
        ),
        Table(
            "Steadiness, honesty and cost",
            (
                *("memory", "switches/min", "false events/h", "calibration error"),
                *("frames encoded", "engine ms/clip"),
            ),
            [
                (
                    name,
                    _text(switches_per_minute(own), 1),
                    _text(false_events_per_hour(own), 1),
                    _text(score_error(own), 4),
                    sum(clip.encoded for clip in own),
                    _text(_mean_ms(own), 1),
                )
                for name, own in zip(names, clips, strict=True)
            ],
            notes=(
                "switches: of the label within a clip. false events: that begin in clips of "
                f"{' and '.join(NO_EVENT)}, as ecolite-stream --events tells them.",
                f"calibration error: {NUM_BINS} bins, all "
                "predictions. engine ms: spent encoding and classifying.",
            ),
        ),
        *(_reliability(name, own) for name, own in zip(names, clips, strict=True)),
    ]


def _reliability(name: str, clips: Sequence[ClipResult]) -> Table:
    return Table(
        f"Reliability of live scores, memory {name}",
        ("score", "predictions", "mean score", "share right"),
        [
            (f"{low:.2f} to {high:.2f}", count, f"{score:.3f}", f"{share:.3f}")
            for low, high, count, score, share in score_bins(clips)
        ],
    )


def live_json(result: PolicyResult) -> dict[str, Any]:
    """The same in plain containers."""
    clips = _read(result)
    names = ("from", "to", "predictions", "mean_score", "share_right")
    return {
        "right_after_percent": {str(step): right_after(clips, step).right for step in STEPS},
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
