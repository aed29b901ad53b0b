"""Long recordings with a label track: FILE.csv beside FILE, with start_s, end_s and label."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ecolite_stream.bench.accuracy.online import (
    Metered,
    Moment,
    Share,
    events_of,
    moments_of,
    watch_file,
)
from ecolite_stream.bench.accuracy.online_tables import moment_json
from ecolite_stream.bench.accuracy.same import Agreed, Recorder, agree_offline
from ecolite_stream.bench.accuracy.track_events import EventMatch, match_events
from ecolite_stream.bench.report.charts import Bar, BarChart, Chart
from ecolite_stream.bench.report.report import Table
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.datasets.segments import Action, read_actions
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.types import Event


def read_track(video: Path, labels: Sequence[str]) -> list[Action]:
    """The label track of a video.

    Raises:
        ConfigError: it is missing, malformed, or has a label that is not in `labels`.
    """
    path = video.with_suffix(".csv")
    actions = read_actions(path)
    if unknown := sorted({action.label for action in actions} - set(labels)):
        raise ConfigError(f"{path}: the bundle has no label {', '.join(unknown)}")
    return actions


@dataclass(frozen=True)
class Agreement:
    """Agreement of the predictions of one video with its track.

    Attributes:
        video: its name.
        policy: of the memory.
        settled: predictions at least the memory's span after an action began.
        all: predictions within the track.
        delays_s: of each action but the first, how long after its start it was first the label;
            None if never before its end.
        switches: label changes between predictions within the track.
        covered_s: stream time of the track.
        idle_s: of that, idle time, without the memory's span after each action.
        false_events: events that began in that time.
        moments: its live predictions, in order.
        track: its actions.
        encoded: how many of its frames were encoded.
        engine_ms: wall-clock time that encoding and classifying took.
        events: agreement of events with actions; None if not counted.
        agreed: agreement with the offline path; None if not requested.
    """

    video: str
    policy: str
    settled: Share
    all: Share
    delays_s: tuple[float | None, ...] = ()
    switches: int = 0
    covered_s: float = 0.0
    idle_s: float = 0.0
    false_events: int = 0
    moments: tuple[Moment, ...] = ()
    track: tuple[Action, ...] = ()
    encoded: int = 0
    engine_ms: float = 0.0
    events: EventMatch | None = None
    agreed: Agreed | None = None

    @property
    def delay_s(self) -> float | None:
        """The median delay of the recognized actions; None without any."""
        found = [delay_s for delay_s in self.delays_s if delay_s is not None]
        return statistics.median(found) if found else None

    @property
    def switches_per_minute(self) -> float:
        return 60 * self.switches / self.covered_s

    @property
    def false_events_per_hour(self) -> float | None:
        """None without idle footage."""
        return 3600 * self.false_events / self.idle_s if self.idle_s > 0 else None


def watch_track(
    video: Path,
    track: Sequence[Action],
    engine: Engine,
    spec: ModelSpec,
    config: StreamConfig,
    offline: bool = False,
    on_time: Callable[[float], None] = lambda time_s: None,
) -> Agreement:
    """Stream a video and compare its predictions with its track.

    Args:
        video: the file.
        track: its actions.
        engine: of the bundle.
        spec: of the bundle.
        config: `top` is the number of labels.
        offline: whether to classify each prediction's segments offline, too.
        on_time: called with the stream time of each prediction, in seconds.

    Raises:
        SourceError: the video cannot be read.
    """
    metered = Metered(engine)
    recorder = Recorder(metered) if offline else None
    _, predictions = watch_file(
        video, recorder or metered, spec, config, lambda prediction: on_time(prediction.time_s)
    )
    found = agreement(
        video.name, config.memory.policy, moments_of(predictions), track, spec.clip_seconds
    )
    found = _with_events(found, events_of(predictions, spec, config), config, spec)
    agreed = agree_offline(video, recorder.clips, engine, spec) if recorder else None
    return replace(found, encoded=metered.encoded, engine_ms=metered.engine_ms, agreed=agreed)


def _with_events(
    found: Agreement, events: Sequence[Event], config: StreamConfig, spec: ModelSpec
) -> Agreement:
    ignore, span_s = config.events.ignore, spec.clip_seconds
    idle = idle_stretches(found.track, ignore, span_s)
    return replace(
        found,
        idle_s=sum(end_s - start_s for start_s, end_s in idle),
        false_events=sum(a <= event.start_s < b for a, b in idle for event in events),
        events=match_events(events, found.track, ignore, span_s),
    )


def agreement(
    video: str, policy: str, moments: Sequence[Moment], track: Sequence[Action], span_s: float
) -> Agreement:
    """Compare live predictions with a track; times outside it are left out.

    Args:
        video: its name.
        policy: of the memory.
        moments: live predictions.
        track: the actions.
        span_s: for how long after a change the memory holds the action before, in seconds.
    """
    covered = [(m, a) for m in moments for a in track if a.start_s <= m.time_s < a.end_s]
    settled = [(m, a) for m, a in covered if m.time_s - a.start_s >= span_s]
    labels = [moment.label for moment, _ in covered]
    return Agreement(
        video,
        policy,
        _right(settled),
        _right(covered),
        delays_s=tuple(_delay_s(action, moments) for action in track[1:]),
        switches=sum(a != b for a, b in itertools.pairwise(labels)),
        covered_s=sum(action.end_s - action.start_s for action in track),
        moments=tuple(moments),
        track=tuple(track),
    )


def idle_stretches(
    track: Sequence[Action], ignore: Sequence[str], span_s: float
) -> list[tuple[float, float]]:
    """(from, to) in seconds: idle time in which the memory holds no action.

    Args:
        track: the actions, in order.
        ignore: labels that are not events.
        span_s: for how long after an action the memory holds it; an event there is late, not false.
    """
    stretches = []
    shown_until_s = 0.0  # when the last action has left the memory
    for action in track:
        if action.label not in ignore:
            shown_until_s = action.end_s + span_s
        elif (start_s := max(action.start_s, shown_until_s)) < action.end_s:
            stretches.append((start_s, action.end_s))
    return stretches


def _delay_s(action: Action, moments: Sequence[Moment]) -> float | None:
    delays_s = (
        moment.time_s - action.start_s
        for moment in moments
        if moment.label == action.label and action.start_s <= moment.time_s < action.end_s
    )
    return next(delays_s, None)


def _right(pairs: Sequence[tuple[Moment, Action]]) -> Share:
    return Share(sum(moment.label == action.label for moment, action in pairs), len(pairs))


def track_table(agreements: Sequence[Agreement], span_s: float) -> Table:
    """Videos and policies below each other."""
    return Table(
        "Recordings with a label track, streamed",
        (
            *("video", "memory", "live right, settled", "live right, all", "delay s", "unnoticed"),
            *("switches/min", "events told", "false events/h", "idle s"),
        ),
        [
            (
                *(a.video, a.policy, str(a.settled), str(a.all)),
                None if a.delay_s is None else f"{a.delay_s:.2f}",
                f"{a.delays_s.count(None)} of {len(a.delays_s)}",
                f"{a.switches_per_minute:.1f}",
                None if a.events is None else str(a.events),
                None if a.false_events_per_hour is None else f"{a.false_events_per_hour:.1f}",
                f"{a.idle_s:.0f}",
            )
            for a in agreements
        ],
        notes=(
            f"settled: {span_s:g} s or more after the action changed. delay: from the change to "
            "the first right label, the median. unnoticed: changes without one.",
            "events told: actions with an event of their label; extra: events of none, or doubled.",
            "false events: that begin in idle footage, as ecolite-stream --events has them; the "
            f"first {span_s:g} s after an action are left out, for the memory still holds it.",
        ),
    )


def track_figures(agreements: Sequence[Agreement]) -> dict[str, Chart]:
    """Right predictions of each recording and policy."""
    bars = [
        Bar(f"{a.video}, {a.policy}, {what}", share.share, str(share), kind)
        for a in agreements
        for kind, (what, share) in enumerate({"settled": a.settled, "all": a.all}.items())
    ]
    title = "Recordings with a label track: predictions that are right"
    return {"tracks.png": BarChart(title, bars, full=1)} if bars else {}


def track_json(agreement: Agreement) -> dict[str, Any]:
    """All results in plain containers."""
    return {
        **asdict(replace(agreement, moments=())),
        "moments": [moment_json(moment) for moment in agreement.moments],
        "delay_s": agreement.delay_s,
        "switches_per_minute": round(agreement.switches_per_minute, 3),
        "false_events_per_hour": agreement.false_events_per_hour,
    }
