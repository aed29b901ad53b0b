"""Live predictions of recordings, with each action of a track as a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ecolite_stream.bench.accuracy.live import (
    Clips,
    behaviour_figures,
    first_right_s,
    median_first_s,
    reliability_tables,
    score_error,
    seen_table,
)
from ecolite_stream.bench.accuracy.online import ClipResult
from ecolite_stream.bench.accuracy.track import Agreement
from ecolite_stream.bench.report.charts import Chart
from ecolite_stream.bench.report.report import Cell, Table


def actions_of(agreement: Agreement) -> list[ClipResult]:
    """The actions of a recording as clips."""
    return [
        ClipResult(
            f"{agreement.video}@{action.start_s:g}",
            action.label,
            None,
            tuple(
                replace(moment, time_s=moment.time_s - action.start_s)
                for moment in agreement.moments
                if action.start_s <= moment.time_s < action.end_s
            ),
            stream_s=action.end_s - action.start_s,
        )
        for action in agreement.track
    ]


def action_tables(agreements: Sequence[Agreement]) -> list[Table]:
    """Policies side by side, over the actions of all recordings."""
    actions = _by_policy(agreements)
    return [
        seen_table(actions, "action"),
        Table(
            "Recordings: delay, honesty and cost",
            (
                *("memory", "first right s", "never right", "calibration error"),
                *("frames encoded", "engine ms/stream s"),
            ),
            [_row(name, own, agreements) for name, own in actions.items()],
            notes=(
                "first right: from the start of an action to the first right label, the median of "
                "those that ever were; the first of a recording counts too.",
                "engine ms: spent encoding and classifying, by the time that the track covers.",
            ),
        ),
        *reliability_tables(actions, "recordings"),
    ]


def action_figures(agreements: Sequence[Agreement]) -> dict[str, Chart]:
    """Accuracy over the share of an action, and the reliability diagram."""
    actions = _by_policy(agreements)
    return behaviour_figures(actions, "action", "_tracks") if actions else {}


def _by_policy(agreements: Sequence[Agreement]) -> Clips:
    actions: Clips = {}
    for agreement in agreements:
        actions.setdefault(agreement.policy, []).extend(actions_of(agreement))
    return actions


def _row(
    policy: str, actions: Sequence[ClipResult], agreements: Sequence[Agreement]
) -> tuple[Cell, ...]:
    own = [agreement for agreement in agreements if agreement.policy == policy]
    covered_s = sum(agreement.covered_s for agreement in own)
    first_s, error = median_first_s(actions), score_error(actions)
    return (
        policy,
        None if first_s is None else f"{first_s:.2f}",
        f"{first_right_s(actions).count(None)} of {len(actions)}",
        None if error is None else f"{error:.4f}",
        sum(agreement.encoded for agreement in own),
        f"{sum(agreement.engine_ms for agreement in own) / covered_s:.1f}",
    )
