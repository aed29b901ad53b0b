"""`ecolite-bench speed`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ecolite_stream.bench.measuring.peak import Peak, peak_apart
from ecolite_stream.bench.measuring.timing import TURNS
from ecolite_stream.bench.report.report import Report, Scope, bundle_name
from ecolite_stream.bench.shared import (
    ABOVE_ZERO,
    PATH,
    Output,
    closing_all,
    progress,
    publish,
    reported,
)
from ecolite_stream.bench.speed import speed as speed_bench
from ecolite_stream.bench.speed.backends import PRECISIONS, Backend, backends, precisions_in
from ecolite_stream.bench.speed.frames import FrameCosts, frame_table, measure_frames
from ecolite_stream.bench.speed.motion import measure_motion, motion_table
from ecolite_stream.bench.speed.speed_figures import speed_figures
from ecolite_stream.bench.speed.speed_tables import speed_tables, stream_table
from ecolite_stream.bench.speed.streams import write_camera_video
from ecolite_stream.engines import ENGINE_NAMES, Engine, installed_engines
from ecolite_stream.errors import ConfigError, EngineError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.sources import open_source

DRAWN_S = 4
"""Length of the synthetic video, in seconds, if no --stream is given."""


@dataclass(frozen=True)
class Asked:
    """Options of `ecolite-bench speed`; None and empty are the defaults."""

    folders: tuple[Path, ...]
    names: tuple[str, ...]
    precisions: tuple[str, ...]
    seconds: float
    new_frames: int | None
    reuse: bool
    video: Path | None
    output: Output


@click.command()
@click.option(
    "--bundle", "folders", type=PATH, multiple=True, help="Bundle; repeat for more. [embedded]"
)
@click.option(
    "--engine",
    "names",
    type=click.Choice(ENGINE_NAMES),
    multiple=True,
    help="Engine; repeat for more. [all installed]",
)
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(PRECISIONS),
    multiple=True,
    help="Precision; repeat for more. [all of an engine]",
)
@click.option(
    "--seconds",
    type=ABOVE_ZERO,
    default=2,
    show_default=True,
    help="Seconds to measure each number.",
)
@click.option("--new-frames", type=click.IntRange(1), help="New frames of a live step. [half of N]")
@click.option("--reuse", is_flag=True, help="Also time OpenVINO with activations reused.")
@click.option(
    "--stream", "video", type=PATH, help="Also stream this file. [decode a synthetic one]"
)
@reported
def speed(**options: Any) -> None:
    """Time decoding, encoder, head and live steps, against recomputing all frames each time."""
    asked = Asked(**options)
    bundles = [read_bundle(folder) for folder in asked.folders or (demo_bundle_path(),)]
    steps = [_new_frames(bundle, asked.new_frames) for bundle in bundles]
    names = asked.names or tuple(installed_engines())
    if not names:
        raise EngineError(
            "no inference engine is installed; run pip install 'ecolite-stream[openvino]'"
        )
    who, notes = backends(names, asked.precisions or precisions_in(bundles), asked.reuse)
    if asked.video:
        open_source(str(asked.video)).close()  # fail early on a wrong name
    rows: list[speed_bench.Row] = []
    streams: list[speed_bench.StreamRow] = []
    for bundle, frames in zip(bundles, steps, strict=True):
        peaks = _peaks(bundle, who)
        with _opened(bundle, who) as engines:
            rows += _rows(bundle, engines, peaks, frames, asked.seconds)
            if asked.video:
                own = {c: engine for c, engine in engines.items() if c.library in names}
                streams += _streams(asked.video, bundle, own)
    publish(_report(asked, bundles, (rows, notes), streams), asked.output)


def _report(
    asked: Asked,
    bundles: Sequence[Bundle],
    measured: tuple[Sequence[speed_bench.Row], Sequence[str]],
    streams: Sequence[speed_bench.StreamRow],
) -> Report:
    costs, video = _frame_costs(asked, bundles)
    motion = measure_motion(asked.seconds)
    tables = [*speed_tables(*measured), frame_table(video, costs), motion_table(motion)]
    if asked.video:
        tables.append(stream_table(video, streams))
    results = {
        "rows": [speed_bench.row_json(row) for row in measured[0]],
        "frames": [row.to_json() for row in costs],
        "motion": [row.to_json() for row in motion],
        "streams": [row.to_json() for row in streams],
    }
    settings = {
        "seconds": asked.seconds,
        "turns": TURNS,
        "stream": asked.video and str(asked.video),
        "not_measured": list(measured[1]),
    }
    rows, notes = measured
    scope = Scope(
        "no data set: random inputs", len(rows), len(rows) + len(notes) * len(bundles), "rows"
    )
    return Report("speed", bundles, scope, settings, tables, results, speed_figures(rows))


def _streams(
    video: Path, bundle: Bundle, engines: dict[Backend, Engine]
) -> list[speed_bench.StreamRow]:
    runs = speed_bench.STREAM_RUNS * len(engines)
    with progress(f"watching {video.name}", runs) as step:
        return speed_bench.measure_stream(video, bundle, engines, lambda: step(1))


def _new_frames(bundle: Bundle, wanted: int | None) -> int:
    num_segments = bundle.spec.num_segments
    if wanted is not None and wanted > num_segments:
        raise ConfigError(f"--new-frames is {wanted}, {bundle.path} has {num_segments} segments")
    return wanted or max(1, num_segments // 2)


def _frame_costs(asked: Asked, bundles: Sequence[Bundle]) -> tuple[list[FrameCosts], str]:
    with tempfile.TemporaryDirectory() as scratch:
        video = asked.video or Path(scratch) / "drawn.mp4"
        if not asked.video:
            write_camera_video(video, DRAWN_S)
        costs = []
        with progress("decoding", len(bundles)) as step:
            for b in bundles:
                how = b.spec.preprocessing
                costs.append(measure_frames(bundle_name(b), video, how, asked.seconds))
                step(1)
    return costs, video.name


@contextmanager
def _opened(bundle: Bundle, who: Sequence[Backend]) -> Iterator[dict[Backend, Engine]]:
    engines: list[Engine] = []
    with closing_all(engines):
        engines += [backend.open(bundle) for backend in who]
        yield dict(zip(who, engines, strict=True))


def _peaks(bundle: Bundle, who: Sequence[Backend]) -> dict[Backend, Peak | None]:
    peaks = {}
    with progress(f"memory of {bundle_name(bundle)}", len(who)) as step:
        for backend in who:
            peaks[backend] = peak_apart(backend.open, bundle)
            step(1)
    return peaks


def _rows(
    bundle: Bundle,
    engines: dict[Backend, Engine],
    peaks: dict[Backend, Peak | None],
    new_frames: int,
    seconds: float,
) -> list[speed_bench.Row]:
    calls = speed_bench.all_calls(bundle, engines, new_frames)
    turns = TURNS * sum(map(len, calls.values()))
    with progress(f"timing {bundle_name(bundle)}", turns) as step:
        return speed_bench.measure_speed(
            bundle, calls, peaks, new_frames, seconds, on_turn=lambda: step(1)
        )
