"""`ecolite-bench unknown`."""

from __future__ import annotations

from pathlib import Path

import click

from ecolite_stream.bench.accuracy import online as online_bench
from ecolite_stream.bench.accuracy import unknown as unknown_bench
from ecolite_stream.bench.report.report import Report, Scope
from ecolite_stream.bench.shared import (
    BUNDLE,
    ENGINE,
    PATH,
    Output,
    opened,
    progress,
    publish,
    reported,
)
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.datasets.labelled_clips import find_videos
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle


@click.command()
@click.option("--data", type=PATH, required=True, help="Clips of known actions: <class>/<clip>.")
@click.option("--only", default="", help="Only known clips whose <class>/<clip> contains this.")
@click.option(
    "--other", "folders", type=PATH, multiple=True, required=True, help="Folder of other footage."
)
@BUNDLE
@ENGINE
@reported
def unknown(
    data: Path,
    only: str,
    folders: tuple[Path, ...],
    folder: Path | None,
    engine: str,
    output: Output,
) -> None:
    """Count what the bundle's bound of what is known gives up, and catches in other footage.

    For a bundle without a bound one is fitted to the known clips.
    """
    bundle = read_bundle(folder or demo_bundle_path())
    spec, config = bundle.spec, StreamConfig()
    labelled = online_bench.find_clips(data, spec.labels, only)
    videos: list[tuple[str, list[tuple[Path, str | None]]]] = []
    videos.append((data.name, [(clip.path, clip.label) for clip in labelled]))
    for other in folders:
        videos.append((other.name, [(path, None) for path in find_videos(other)]))
    total = sum(len(listed) for _, listed in videos)
    with opened(bundle, [engine]) as [backend], progress("streaming", total) as step:
        groups: list[unknown_bench.Group] = []
        for name, listed in videos:
            watched = []
            for path, label in listed:
                watched.append(unknown_bench.watch_logits(path, label, backend, spec, config))
                step(1)
            groups.append((name, watched))
    known, *others = groups
    bound = unknown_bench.bound_of(known[1], spec)
    names = ", ".join(str(other) for other in folders)
    settings = {"data": str(data), "only": only, "other": names, "engine": backend.name}
    publish(
        Report(
            "unknown",
            [bundle],
            Scope(online_bench.split_of(data, only), total, total, "videos"),
            settings,
            unknown_bench.unknown_tables(known, others, spec, config, bound),
            unknown_bench.unknown_json(known, others, bound),
            {},
        ),
        output,
    )
