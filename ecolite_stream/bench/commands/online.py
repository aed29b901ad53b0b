"""`ecolite-bench online`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from ecolite_stream.bench.accuracy import online as online_bench
from ecolite_stream.bench.accuracy import track as track_bench
from ecolite_stream.bench.accuracy.live import live_figures, live_json, live_tables
from ecolite_stream.bench.accuracy.online_tables import online_tables, policy_json
from ecolite_stream.bench.accuracy.same import Agreed, same_table
from ecolite_stream.bench.accuracy.track_actions import action_figures, action_tables
from ecolite_stream.bench.report.report import Report, Scope
from ecolite_stream.bench.shared import (
    ABOVE_ZERO,
    BUNDLE,
    ENGINE,
    PATH,
    PRECISION,
    Output,
    StreamClock,
    opened,
    progress,
    publish,
    reported,
)
from ecolite_stream.config.choices import POLICIES
from ecolite_stream.config.schema import MemoryConfig, StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.model.bundle import Bundle, ModelSpec, demo_bundle_path, read_bundle


@dataclass(frozen=True)
class Online:
    """Options of `ecolite-bench online`; None and empty are the defaults."""

    data: Path | None
    videos: tuple[Path, ...]
    only: str
    policies: tuple[str, ...]
    every_s: float | None
    smoothing: float | None
    folder: Path | None
    engine: str
    precision: str | None
    offline: bool
    no_gate: bool
    output: Output

    def configs(self, labels: Sequence[str]) -> list[StreamConfig]:
        """One configuration for each policy; predictions list all labels."""
        # Without the gate each prediction is the network's own, as offline.
        gate = not (self.no_gate or self.offline)
        config = StreamConfig(top=len(labels), smoothing=self.smoothing, gate=gate)
        if self.every_s:
            config = dataclasses.replace(config, every_s=self.every_s)
        policies = dict.fromkeys(self.policies or POLICIES)
        return [dataclasses.replace(config, memory=MemoryConfig(policy=p)) for p in policies]


@click.command()
@click.option("--data", type=PATH, help="Folder with <class>/<clip> files.")
@click.option(
    "--track", "videos", type=PATH, multiple=True, help="Video with a label track, .csv, beside it."
)
@click.option("--only", default="", help="Only clips whose <class>/<clip> contains this text.")
@click.option(
    "--memory",
    "policies",
    type=click.Choice(POLICIES),
    multiple=True,
    help="Memory policy; repeat for more. [all]",
)
@click.option("--every", "every_s", type=ABOVE_ZERO, help="Seconds between predictions. [0.5]")
@click.option(
    "--smoothing", type=float, help="Weight of earlier predictions. [that of ecolite-stream]"
)
@click.option(
    "--offline", is_flag=True, help="Also classify the segments of each prediction offline."
)
@click.option("--no-gate", is_flag=True, help="Ask the network even where nothing moves.")
@BUNDLE
@ENGINE
@PRECISION
@reported
def online(**options: Any) -> None:
    """Stream labelled clips through the pipeline of ecolite-stream and count right labels."""
    asked = Online(**options)
    if asked.data is None and not asked.videos:
        raise ConfigError("nothing to stream; give --data DIR or --track VIDEO")
    bundle = read_bundle(asked.folder or demo_bundle_path())
    with opened(bundle, [asked.engine], precision=asked.precision) as [engine]:
        results = _clips(asked, engine, bundle.spec) if asked.data else []
        agreements = _tracks(asked, engine, bundle.spec)
    publish(_report(asked, bundle, engine.name, results, agreements), asked.output)
    _refuse_unreadable(results)


def _report(
    asked: Online,
    bundle: Bundle,
    engine: str,
    results: Sequence[online_bench.PolicyResult],
    agreements: Sequence[track_bench.Agreement],
) -> Report:
    tables = online_tables(results) + live_tables(results) if results else []
    if agreements:
        tables.append(track_bench.track_table(agreements, bundle.spec.clip_seconds))
        tables += action_tables(agreements)
    if asked.offline:
        tables.append(same_table(_same(results, agreements)))
    settings = {
        "data": asked.data and str(asked.data),
        "only": asked.only,
        "tracks": [video.name for video in asked.videos],
        "engine": engine,
        "precision": asked.precision,
        "every_s": asked.every_s,
        "smoothing": asked.smoothing,
        "gate": not (asked.no_gate or asked.offline),
    }
    content = {
        "memories": [{**policy_json(r), **live_json(r)} for r in results],
        "tracks": [track_bench.track_json(agreement) for agreement in agreements],
    }
    figures = {
        **(live_figures(results) if results else {}),
        **track_bench.track_figures(agreements),
        **action_figures(agreements),
    }
    scope = _scope(asked, results)
    return Report("online", [bundle], scope, settings, tables, content, figures)


def _scope(asked: Online, results: Sequence[online_bench.PolicyResult]) -> Scope:
    """Clips and recordings; unreadable clips are not evaluated."""
    clips = results[0].clips if results else []
    split = [online_bench.split_of(asked.data, asked.only)] if asked.data else []
    split += [f"recording {video.name}" for video in asked.videos]
    tracks = len(asked.videos)
    read = sum(clip.error is None for clip in clips)
    what = " and ".join(["clips"] * bool(asked.data) + ["recordings"] * bool(tracks))
    return Scope(", ".join(split), read + tracks, len(clips) + tracks, what)


def _clips(asked: Online, engine: Engine, spec: ModelSpec) -> list[online_bench.PolicyResult]:
    clips = online_bench.find_clips(cast(Path, asked.data), spec.labels, asked.only)
    with progress("streaming", len(clips)) as step:
        return online_bench.watch_clips(
            clips,
            engine,
            spec,
            asked.configs(spec.labels),
            on_clip=lambda: step(1),
            offline=asked.offline,
        )


def _tracks(asked: Online, engine: Engine, spec: ModelSpec) -> list[track_bench.Agreement]:
    if not asked.videos:
        return []
    tracks = [(video, track_bench.read_track(video, spec.labels)) for video in asked.videos]
    configs = asked.configs(spec.labels)
    lengths_s = [math.ceil(max(action.end_s for action in track)) for _, track in tracks]
    agreements = []
    with progress("streaming recordings", len(configs) * sum(lengths_s)) as step:
        for (video, track), length_s in zip(tracks, lengths_s, strict=True):
            for config in configs:
                clock = StreamClock(length_s, step)
                found = track_bench.watch_track(
                    video, track, engine, spec, config, asked.offline, clock.tell
                )
                clock.tell(length_s)
                agreements.append(found)
    return agreements


def _same(
    results: Sequence[online_bench.PolicyResult], agreements: Sequence[track_bench.Agreement]
) -> list[tuple[str, str, Agreed]]:
    rows = [
        ("clips", result.policy, sum((c.agreed for c in result.clips if c.agreed), Agreed()))
        for result in results
    ]
    return rows + [(a.video, a.policy, a.agreed) for a in agreements if a.agreed]


def _refuse_unreadable(results: Sequence[online_bench.PolicyResult]) -> None:
    broken = [clip for clip in results[0].clips if clip.error] if results else []
    for clip in broken:
        click.echo(f"unreadable: {clip.name}: {clip.error}", err=True)
    if broken:
        raise SourceError(f"{len(broken)} of {len(results[0].clips)} clips cannot be read")
