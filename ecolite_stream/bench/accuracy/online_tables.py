"""Tables and JSON of `ecolite-bench online`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ecolite_stream.bench.accuracy.online import ClipResult, Moment, PolicyResult
from ecolite_stream.bench.report.report import Table


def online_tables(results: Sequence[PolicyResult]) -> list[Table]:
    """Policies side by side, their classes, and the clips that were wrong."""
    tables = [_policies(results), _classes(results)]
    return tables + ([_wrong(results)] if any(map(_wrong_clips, results)) else [])


def _policies(results: Sequence[PolicyResult]) -> Table:
    unreadable = sum(clip.error is not None for clip in results[0].clips)
    return Table(
        f"Labelled clips, streamed: {len(results[0].clips)}"
        + (f"; unreadable: {unreadable}" if unreadable else ""),
        ("memory", "clips right", "live right, memory full", "live right, all", "never full"),
        [
            (r.policy, str(r.clips_right), str(r.full_right), str(r.live_right), r.never_full)
            for r in results
        ],
        notes=(
            "clips right: the highest mean score over the predictions with a full memory, or over "
            "all of them where none was (never full).",
        ),
    )


def _classes(results: Sequence[PolicyResult]) -> Table:
    labels = sorted({clip.label for clip in results[0].clips})
    return Table(
        "Clips right by class",
        ("class", "clips", *(result.policy for result in results)),
        [
            (
                label,
                sum(clip.label == label for clip in results[0].clips),
                *(sum(c.is_right for c in r.clips if c.label == label) for r in results),
            )
            for label in labels
        ],
    )


def _wrong(results: Sequence[PolicyResult]) -> Table:
    return Table(
        "Clips that were not right",
        ("memory", "clip", "taken for"),
        [
            (result.policy, clip.name, clip.taken_for or clip.error or "nothing")
            for result in results
            for clip in _wrong_clips(result)
        ],
    )


def _wrong_clips(result: PolicyResult) -> list[ClipResult]:
    return [clip for clip in result.clips if not clip.is_right]


def policy_json(result: PolicyResult) -> dict[str, Any]:
    """Results of one policy, in plain containers."""
    return {
        "memory": result.policy,
        "clips_right": result.clips_right.right,
        "clips": result.clips_right.total,
        "live_full_right": result.full_right.right,
        "live_full": result.full_right.total,
        "live_right": result.live_right.right,
        "live": result.live_right.total,
        "never_full": result.never_full,
        "results": [_clip_json(clip) for clip in result.clips],
    }


def _clip_json(clip: ClipResult) -> dict[str, Any]:
    return {
        "clip": clip.name,
        "label": clip.label,
        "taken_for": clip.taken_for,
        "error": clip.error,
        "events": clip.events,
        "offline": clip.agreed and asdict(clip.agreed),
        "predictions": [moment_json(moment) for moment in clip.moments],
    }


def moment_json(moment: Moment) -> dict[str, Any]:
    """A live prediction in plain containers."""
    return {
        "time_s": round(moment.time_s, 3),
        "label": moment.label,
        "score": round(moment.score, 4),
        "memory_fill": round(moment.memory_fill, 3),
    }
