"""`ecolite-bench speed`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ecolite_stream.bench import speed as speed_bench
from ecolite_stream.bench.references import open_references
from ecolite_stream.bench.report import Report, bundle_name
from ecolite_stream.bench.shared import (
    ABOVE_ZERO,
    JSON,
    PATH,
    closing_all,
    opened,
    progress,
    publish,
)
from ecolite_stream.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.engines import ENGINE_NAMES, Engine, installed_engines
from ecolite_stream.errors import ConfigError
from ecolite_stream.sources import open_source


@click.command()
@click.option("--bundle", "folders", type=PATH, multiple=True, help="Again for more. [embedded]")
@click.option(
    "--engine",
    "names",
    type=click.Choice(ENGINE_NAMES),
    multiple=True,
    help="Again for more. [all that are installed]",
)
@click.option(
    "--seconds", type=ABOVE_ZERO, default=2, show_default=True, help="Of measuring each number."
)
@click.option("--new-frames", type=click.IntRange(1), help="Of a live step. [half of N]")
@click.option("--stream", "video", type=PATH, help="Also watch this file, as ecolite-stream does.")
@JSON
def speed(
    folders: tuple[Path, ...],
    names: tuple[str, ...],
    seconds: float,
    new_frames: int | None,
    video: Path | None,
    json_file: Path | None,
) -> None:
    """Time encoder, head and live steps, against recomputing all frames each time."""
    bundles = [read_bundle(folder) for folder in folders or (demo_bundle_path(),)]
    steps = [_new_frames(bundle, new_frames) for bundle in bundles]
    if video:
        open_source(str(video)).close()  # a wrong name is found out before anything is measured
    rows, streams = [], []
    for bundle, frames in zip(bundles, steps, strict=True):
        with opened(bundle, names or installed_engines() or ["auto"]) as engines:
            rows += _speed_rows(bundle, engines, frames, seconds)
            streams += speed_bench.measure_stream(video, bundle, engines) if video else []
    tables = [speed_bench.speed_table(rows)]
    if video:
        tables.append(speed_bench.stream_table(video.name, streams))
    results = {
        "rows": [speed_bench.row_json(row) for row in rows],
        "streams": [row.to_json() for row in streams],
    }
    settings = {"seconds": seconds, "turns": speed_bench.TURNS, "stream": video and str(video)}
    publish(Report("speed", bundles, settings, tables, results), json_file)


def _new_frames(bundle: Bundle, wanted: int | None) -> int:
    num_segments = bundle.spec.num_segments
    if wanted is not None and wanted > num_segments:
        raise ConfigError(f"--new-frames is {wanted}, {bundle.path} has {num_segments} segments")
    return wanted or max(1, num_segments // 2)


def _speed_rows(
    bundle: Bundle, engines: Sequence[Engine], new_frames: int, seconds: float
) -> list[speed_bench.Row]:
    references = open_references(bundle, besides=[engine.name for engine in engines])
    contestants = [*engines, *references]
    turns = speed_bench.TURNS * len(speed_bench.QUANTITIES) * len(contestants)
    with closing_all(references), progress(f"timing {bundle_name(bundle)}", turns) as step:
        return speed_bench.measure_speed(
            bundle, contestants, new_frames, seconds, on_turn=lambda: step(1)
        )
