"""The command line `ecolite-bench`."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import click

from ecolite_stream import __version__
from ecolite_stream.bench import calibrate as calibrate_bench
from ecolite_stream.bench import engines as engines_bench
from ecolite_stream.bench import memory as memory_bench
from ecolite_stream.bench import online as online_bench
from ecolite_stream.bench import speed as speed_bench
from ecolite_stream.bench import streams as streams_bench
from ecolite_stream.bench import track as track_bench
from ecolite_stream.bench import ucf101 as ucf101_bench
from ecolite_stream.bench.live import live_json, live_tables
from ecolite_stream.bench.offline import CROPS, check_crops
from ecolite_stream.bench.redescribe import redescribe
from ecolite_stream.bench.references import open_references
from ecolite_stream.bench.report import Report, Table, bundle_name
from ecolite_stream.bench.shared import (
    ABOVE_ZERO,
    BUNDLE,
    ENGINE,
    JSON,
    PATH,
    closing_all,
    opened,
    progress,
    publish,
)
from ecolite_stream.bench.splits import SPLITS
from ecolite_stream.bundle import (
    Bundle,
    ModelSpec,
    demo_bundle_path,
    read_bundle,
)
from ecolite_stream.commands import run
from ecolite_stream.config import MemoryConfig, StreamConfig
from ecolite_stream.engines import ENGINE_NAMES, Engine, installed_engines
from ecolite_stream.engines.check import TOLERANCE, check_apart
from ecolite_stream.errors import BundleError, ConfigError, EcoliteError, SourceError
from ecolite_stream.memory import POLICIES
from ecolite_stream.recognizer import Recognizer
from ecolite_stream.sources import open_source


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="ecolite-stream")
def bench() -> None:
    """Measure what a bundle is worth on this machine.

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 a limit is exceeded,
    2 usage or configuration, 3 a clip or video, 4 bundle, 5 engine, 130 interrupted.
    """


@bench.command()
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


@bench.command()
@BUNDLE
@click.option("--device", help="cpu, ascend, ascend:0, gpu:0. [each engine's own]")
@JSON
def engines(folder: Path | None, device: str | None, json_file: Path | None) -> None:
    """Check every installed engine against the bundle's golden numbers; fails where one is off."""
    bundle, names = read_bundle(folder or demo_bundle_path()), installed_engines()
    outcomes = []
    with progress("checking", len(names)) as step:
        for name in names:
            outcomes.append(check_apart(name, bundle, device))
            step(1)
    settings = {"device": device, "tolerance": TOLERANCE}
    table, results = engines_bench.engines_table(outcomes), engines_bench.engines_json(outcomes)
    publish(Report("engines", [bundle], settings, [table], results), json_file)
    engines_bench.require_agreement(outcomes)


@bench.command()
@click.option("--minutes", type=ABOVE_ZERO, default=10, show_default=True, help="Of stream time.")
@click.option(
    "--limit-mb", type=ABOVE_ZERO, default=memory_bench.LIMIT_MB, show_default=True, help="Growth."
)
@BUNDLE
@ENGINE
@JSON
def memory(
    minutes: float, limit_mb: float, folder: Path | None, engine: str, json_file: Path | None
) -> None:
    """Watch a long test pattern and see whether the process grows; fails where it does."""
    bundle, seconds = read_bundle(folder or demo_bundle_path()), 60 * minutes
    with opened(bundle, [engine]) as [backend], progress("streaming", round(seconds)) as step:
        recognizer = Recognizer(backend, bundle.spec)
        gauge = memory_bench.measure_memory(recognizer, seconds, on_progress=step)
    table = memory_bench.memory_table(backend.name, gauge, limit_mb)
    settings = {"minutes": minutes, "limit_mb": limit_mb, "engine": backend.name}
    results = memory_bench.memory_json(gauge)
    publish(Report("memory", [bundle], settings, [table], results), json_file)
    if gauge.growth_mb > limit_mb:
        raise EcoliteError(f"memory grew by {gauge.growth_mb:.1f} MB, more than {limit_mb:g} MB")


@bench.command()
@BUNDLE
@ENGINE
@click.option("--seconds", type=click.FloatRange(3), default=8, show_default=True, help="A trial.")
@click.option("--most", type=click.IntRange(1), default=64, show_default=True, help="Cameras.")
@JSON
def streams(
    folder: Path | None, engine: str, seconds: float, most: int, json_file: Path | None
) -> None:
    """Find how many cameras this machine sustains, in one process and with one process each."""
    bundle = read_bundle(folder or demo_bundle_path())
    with tempfile.TemporaryDirectory() as scratch:
        video = Path(scratch) / "camera.mp4"
        streams_bench.write_camera_video(video, seconds)
        found = streams_bench.compare(bundle.path, engine, video, seconds, most)
    rows = [
        (name, count, f"{outcome.latency_ms:.0f}", f"{outcome.late_s:.2f}")
        for name, (count, outcome) in found.items()
    ]
    columns = ("processes", "cameras sustained", "latency p95 ms", "late s")
    notes = (streams_bench.what_counts(most),)
    table = Table("Cameras, 320x240, 25 frames and 2 labels a second", columns, rows, notes)
    results = {name: {"cameras": n, **dataclasses.asdict(o)} for name, (n, o) in found.items()}
    publish(Report("streams", [bundle], {"seconds": seconds}, [table], results), json_file)


@dataclass(frozen=True)
class Online:
    """What `ecolite-bench online` is asked for; None and empty are its defaults."""

    data: Path | None
    videos: tuple[Path, ...]
    only: str
    policies: tuple[str, ...]
    every_s: float | None
    smoothing: float | None
    folder: Path | None
    engine: str
    json_file: Path | None

    def configs(self, labels: Sequence[str]) -> list[StreamConfig]:
        """One a policy; all labels are listed in each prediction."""
        config = StreamConfig(top=len(labels), smoothing=self.smoothing)
        if self.every_s:
            config = dataclasses.replace(config, every_s=self.every_s)
        policies = dict.fromkeys(self.policies or (config.memory.policy,))
        return [dataclasses.replace(config, memory=MemoryConfig(policy=p)) for p in policies]


@bench.command()
@click.option("--data", type=PATH, help="Folder with <class>/<clip> files; all of them count.")
@click.option(
    "--track", "videos", type=PATH, multiple=True, help="Video with a label track, .csv, beside it."
)
@click.option("--only", default="", help="Only clips whose <class>/<clip> contains this text.")
@click.option(
    "--memory",
    "policies",
    type=click.Choice(POLICIES),
    multiple=True,
    help="Again for more. [window]",
)
@click.option("--every", "every_s", type=ABOVE_ZERO, help="Seconds between predictions. [0.5]")
@click.option("--smoothing", type=float, help="Share of earlier answers. [ecolite-stream's]")
@BUNDLE
@ENGINE
@JSON
def online(**options: Any) -> None:
    """Stream labelled clips through the pipeline of ecolite-stream and count what is right."""
    asked = Online(**options)
    if asked.data is None and not asked.videos:
        raise ConfigError("nothing to stream; name --data DIR or --track VIDEO")
    bundle = read_bundle(asked.folder or demo_bundle_path())
    with opened(bundle, [asked.engine]) as [engine]:
        results = _clips(asked, engine, bundle.spec) if asked.data else []
        agreements = _tracks(asked, engine, bundle.spec)
    tables = online_bench.online_tables(results) + live_tables(results) if results else []
    if agreements:
        tables.append(track_bench.track_table(agreements, bundle.spec.clip_seconds))
    settings = {"data": str(asked.data), "only": asked.only, "engine": engine.name}
    content = {
        "memories": [{**online_bench.policy_json(r), **live_json(r)} for r in results],
        "tracks": [dataclasses.asdict(agreement) for agreement in agreements],
    }
    publish(Report("online", [bundle], settings, tables, content), asked.json_file)
    _refuse_unreadable(results)


def _clips(asked: Online, engine: Engine, spec: ModelSpec) -> list[online_bench.PolicyResult]:
    clips = online_bench.find_clips(cast(Path, asked.data), spec.labels, asked.only)
    with progress("streaming", len(clips)) as step:
        return online_bench.watch_clips(
            clips, engine, spec, asked.configs(spec.labels), on_clip=lambda: step(1)
        )


def _tracks(asked: Online, engine: Engine, spec: ModelSpec) -> list[track_bench.Agreement]:
    tracks = [(video, track_bench.read_track(video, spec.labels)) for video in asked.videos]
    return [
        track_bench.watch_track(video, track, engine, spec, config)
        for video, track in tracks
        for config in asked.configs(spec.labels)
    ]


@bench.command()
@click.option("--data", type=PATH, required=True, help="UCF101, or any <class>/<clip> folder.")
@click.option("--split", type=click.Choice(SPLITS), help="The official ones; all is every clip.")
@click.option("--split-files", type=PATH, help="Official lists. [DATA/ucf101_splits]")
@click.option("--split-by", metavar="REGEX", help="Group in <class>/<file>: its first (...).")
@click.option("--test-groups", default="", metavar="A,B", help="Groups of --split-by to test.")
@click.option("--crops", type=click.Choice(tuple(map(str, CROPS))), default="1", show_default=True)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Decoding threads."
)
@click.option("--limit", type=click.IntRange(1), help="At most so many videos, spread evenly.")
@click.option("--report", type=PATH, help="Folder for all results; goes on where it stopped.")
@click.option("--device", help="cpu, ascend, ascend:0, gpu:0. [the engine's own]")
@BUNDLE
@ENGINE
def ucf101(
    folder: Path | None,
    engine: str,
    device: str | None,
    crops: str,
    test_groups: str,
    **options: Any,
) -> None:
    """Recognize every video of a UCF101 split, as published; any other class folders too.

    Exit code 3 where a video is unreadable, missing or extra.
    """
    groups = tuple(filter(None, test_groups.split(",")))
    asked = ucf101_bench.Asked(crops=int(crops), test_groups=groups, **options)
    bundle = read_bundle(folder or demo_bundle_path())
    check_crops(asked.crops, bundle.spec.preprocessing)
    selection = ucf101_bench.select(asked, bundle.spec.labels)
    with (
        opened(bundle, [engine], device) as [backend],
        progress("recognizing", len(selection.clips)) as step,
    ):
        scores, pace = ucf101_bench.run_evaluation(
            asked, selection, bundle, backend, device, lambda: step(1)
        )
    report = ucf101_bench.make_report(asked, selection, bundle, backend, device, scores, pace)
    if asked.report:
        ucf101_bench.write_report(report, scores, asked.report)
    publish(report, None)
    click.echo(f"\n{scores.published_lines()}")
    if problems := ucf101_bench.problems(scores, selection):
        click.echo("\n".join(problems), err=True)
        raise SourceError(
            f"{len(problems)} problems with the videos of {asked.data}, listed above; "
            f"{len(scores.read)} of {scores.total} were evaluated"
        )


@bench.command()
@click.option("--data", type=PATH, required=True, help="Held-out clips: <class>/<clip>.")
@click.option("--only", default="", help="Only clips whose <class>/<clip> contains this text.")
@click.option("--bundle", "folder", type=PATH, required=True, help="Model folder.")
@click.option("--out", type=PATH, help="Folder for a calibrated copy. [the bundle itself changes]")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=calibrate_bench.SHARE,
    show_default=True,
    help="How often a label is to be right at its threshold.",
)
@ENGINE
@JSON
def calibrate(
    data: Path,
    only: str,
    folder: Path,
    out: Path | None,
    share: float,
    engine: str,
    json_file: Path | None,
) -> None:
    """Fit temperature and thresholds to held-out clips, and write them into the bundle.

    Nothing is written where a clip cannot be read.
    """
    bundle = read_bundle(folder)
    if out and out.exists():
        raise BundleError(f"{out} exists already; name a new folder for the copy")
    spec = bundle.spec
    clips = online_bench.find_clips(data, spec.labels, only)
    with opened(bundle, [engine]) as [backend], progress("streaming", len(clips)) as step:
        collected = calibrate_bench.collect(clips, backend, spec, StreamConfig(), lambda: step(1))
    _refuse_gaps(collected, len(clips))
    fitted = calibrate_bench.calibrate(collected.samples, spec, share)
    counts = {"predictions": len(collected.samples.right), "clips": collected.clips}
    settings = {"data": str(data), "only": only, "engine": backend.name, "share": share}
    content = {
        **fitted.to_json(),
        **counts,
        "thresholds": dict(fitted.thresholds),
        "too_short": list(collected.too_short),
    }
    tables = calibrate_bench.calibration_tables(collected, fitted, spec)
    publish(Report("calibrate", [bundle], settings, tables, content), json_file)
    written = redescribe(bundle, fitted.applied(spec, counts), out)
    click.echo(f"wrote {written.path}, digest {written.digest[:12]}", err=True)


def _refuse_gaps(collected: calibrate_bench.Collected, num_clips: int) -> None:
    for name in collected.too_short:
        click.echo(f"too short to fill the memory: {name}", err=True)
    for name, reason in collected.unreadable.items():
        click.echo(f"unreadable: {name}: {reason}", err=True)
    if collected.unreadable:
        raise SourceError(
            f"{len(collected.unreadable)} of {num_clips} clips cannot be read; nothing was written"
        )


def _refuse_unreadable(results: Sequence[online_bench.PolicyResult]) -> None:
    broken = [clip for clip in results[0].clips if clip.error] if results else []
    for clip in broken:
        click.echo(f"unreadable: {clip.name}: {clip.error}", err=True)
    if broken:
        raise SourceError(f"{len(broken)} of {len(results[0].clips)} clips cannot be read")


def main() -> NoReturn:
    """Entry point of `ecolite-bench`."""
    run(bench)


if __name__ == "__main__":
    main()
