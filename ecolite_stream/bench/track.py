"""Long recordings with a label track: FILE.csv beside FILE, with start_s, end_s and label."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.bench.online import Moment, Share, moments_of, watch_file
from ecolite_stream.bench.report import Table
from ecolite_stream.bundle import ModelSpec
from ecolite_stream.config import StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError

COLUMNS = ("start_s", "end_s", "label")


@dataclass(frozen=True)
class Action:
    """What is shown from `start_s` to `end_s`, in seconds of stream time."""

    start_s: float
    end_s: float
    label: str


def read_track(video: Path, labels: Sequence[str]) -> list[Action]:
    """The label track of a video.

    Raises:
        ConfigError: it is missing, is no track, or has a label that is none of `labels`.
    """
    path = video.with_suffix(".csv")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        actions = [Action(float(r["start_s"]), float(r["end_s"]), r["label"]) for r in rows]
    except OSError as error:
        raise ConfigError(f"label track {path} cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} is no label track; expected {', '.join(COLUMNS)}") from error
    if not actions:
        raise ConfigError(f"label track {path} is empty")
    if unknown := sorted({action.label for action in actions} - set(labels)):
        raise ConfigError(f"{path}: the bundle has no label {', '.join(unknown)}")
    return actions


@dataclass(frozen=True)
class Agreement:
    """How far the predictions of one video follow its track.

    Attributes:
        video: its name.
        policy: of the memory.
        settled: predictions at least the memory's span after the change to the action shown.
        all: predictions at any time that the track covers.
    """

    video: str
    policy: str
    settled: Share
    all: Share


def watch_track(
    video: Path, track: Sequence[Action], engine: Engine, spec: ModelSpec, config: StreamConfig
) -> Agreement:
    """Stream a video and hold its predictions against its track.

    Raises:
        SourceError: the video cannot be read.
    """
    moments = moments_of(watch_file(video, engine, spec, config))
    return agreement(video.name, config.memory.policy, moments, track, spec.clip_seconds)


def agreement(
    video: str, policy: str, moments: Sequence[Moment], track: Sequence[Action], span_s: float
) -> Agreement:
    """Hold live predictions against a track; times it does not cover are left out.

    Args:
        video: its name.
        policy: of the memory.
        moments: live predictions.
        track: what is shown when.
        span_s: for how long after a change the memory holds the action before, in seconds.
    """
    covered = [(m, a) for m in moments for a in track if a.start_s <= m.time_s < a.end_s]
    settled = [(m, a) for m, a in covered if m.time_s - a.start_s >= span_s]
    return Agreement(video, policy, _right(settled), _right(covered))


def _right(pairs: Sequence[tuple[Moment, Action]]) -> Share:
    return Share(sum(moment.label == action.label for moment, action in pairs), len(pairs))


def track_table(agreements: Sequence[Agreement], span_s: float) -> Table:
    """Videos and policies below each other."""
    return Table(
        "Recordings with a label track, streamed",
        ("video", "memory", "live right, settled", "live right, all"),
        [(a.video, a.policy, str(a.settled), str(a.all)) for a in agreements],
        notes=(f"settled: {span_s:g} s or more after the action changed.",),
    )
