"""`ecolite-stream archive`: recognize recordings in bulk."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecolite_stream.app.build import with_precision
from ecolite_stream.app.extras import missing_extra, require_extra
from ecolite_stream.app.recognition_options import recognition_options, with_options
from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.app.versions import bundle_path
from ecolite_stream.archive.folder import ArchiveFolder
from ecolite_stream.archive.progress import Progress
from ecolite_stream.archive.ray_workers import RayCrew
from ecolite_stream.archive.recognition import Recognition
from ecolite_stream.archive.recordings import find_recordings
from ecolite_stream.archive.schedule import Limits, Schedule
from ecolite_stream.archive.tasks import Model, Results, Task, task_of
from ecolite_stream.archive.workers import Crew, ProcessCrew
from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.config.printable import printable
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.engines import choose_engine
from ecolite_stream.engines.cores import usable_cores
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.model.bundle import read_bundle
from ecolite_stream.recognition.recognizer import check_fits

if TYPE_CHECKING:
    from ecolite_stream.archive.store_events import EventStore

_log = logging.getLogger(__name__)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("archive"),
    show_default=True,
    help="Write results to FOLDER; run again with it to resume.",
    metavar="FOLDER",
)
@click.option("--store", metavar="URL", help="Write events to this database, too.")
@click.option(
    "--address",
    metavar="auto|ray://HOST:PORT",
    help="Use the workers of a Ray cluster. [this machine's cores]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1000),
    help="Process this many recordings at once. [one per core]",
)
@click.option(
    "--tries",
    type=click.IntRange(1, 10),
    default=2,
    show_default=True,
    help="Try a recording at most this often.",
)
@click.option(
    "--silent",
    "silent_s",
    type=click.FloatRange(1),
    default=120.0,
    show_default=True,
    help="Kill a worker that reads no frame for this many seconds.",
)
@recognition_options
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Use this YAML file without its sources and sinks.",
)
def archive(
    paths: tuple[str, ...],
    out: Path,
    store: str | None,
    address: str | None,
    workers: int | None,
    tries: int,
    silent_s: float,
    config: Path | None,
    **options: Any,
) -> None:
    """Recognize all recordings in files, folders, globs and lists (.txt, one path per line).

    FOLDER/results holds the predictions and events of each recording as JSON Lines. They equal the
    output of ecolite-stream --source FILE --json, with latency_ms null. Finished recordings are
    skipped. Failed ones are listed at the end, with exit code 3.
    """
    if address is not None:
        require_extra("archive --address", "ray", "fleet")
    recordings = find_recordings(paths)
    model = _model(_settings(config, options))
    settings = model.settings()
    tasks = [_task(path, settings) for path in recordings]
    with (
        _crew(model, address, workers) as crew,
        ArchiveFolder(out, settings) as folder,
        _store(store, model) as events,
    ):
        run = _Run(folder, events, tasks)
        Schedule(run.left, crew, crew.workers, run, Limits(tries, silent_s)).run()
        run.conclude()


class _Run:
    """Writes results and reports progress; a `Listener` of the schedule."""

    def __init__(
        self, folder: ArchiveFolder, events: EventStore | None, tasks: Sequence[Task]
    ) -> None:
        self._folder = folder
        self._events = events
        self._count = len(tasks)
        self._failed: list[tuple[Task, str]] = []
        self.left: list[Task] = []
        for task in tasks:
            if not folder.is_finished(task):
                self.left.append(task)
            elif events is not None:
                events.write(folder.path(task, "events").read_bytes())
        finished = len(tasks) - len(self.left)
        if finished:
            _report(f"{finished} of {len(tasks)} recordings are finished already")
        left_bytes = sum(task.size_bytes for task in self.left)
        self._progress = Progress(len(tasks), finished, left_bytes, _report)

    def finished(self, task: Task, results: Results) -> None:
        """Store the events, then write the results, which mark the recording as finished."""
        for line in results.warnings:
            _log.warning("%s", line)
        if self._events is not None:
            self._events.write(results.events)
        self._folder.write(task, results)
        self._progress.ended(task)

    def gave_up(self, task: Task, reason: str) -> None:
        """Remember the failure for the end."""
        self._failed.append((task, reason))
        self._progress.ended(task)

    def progress(self) -> None:
        """Report progress from time to time."""
        self._progress.tick()

    def conclude(self) -> None:
        """Report the outcome.

        Raises:
            SourceError: a recording failed.
        """
        for task, reason in sorted(self._failed, key=lambda failed: failed[0].path):
            _report(f"failed: {reason if task.name in reason else f'{task.name}: {reason}'}")
        if self._failed:
            raise SourceError(
                f"{len(self._failed)} of {self._count} recordings failed; the others are in "
                f"{self._folder.folder}; run the same command again to retry"
            )
        _report(f"{self._count} recordings are finished, in {self._folder.folder}")


_KEPT = (
    *("bundle", "models", "engine", "device", "precision", "reuse", "memory", "events"),
    *("every_s", "smoothing", "top", "views", "mask", "gate"),
)
"""Settings of a configuration file that an archive uses."""


def _report(line: str) -> None:
    click.echo(printable(line), err=True)


def _settings(path: Path | None, options: dict[str, Any]) -> StreamConfig:
    """Stream settings of the file, overridden by options; without sources and sinks."""
    loaded = load_stream_config(path, RunConfig) if path else RunConfig()
    kept = StreamConfig(**{key: getattr(loaded, key) for key in _KEPT})
    return with_options(kept, options)


def _model(config: StreamConfig) -> Model:
    bundle = read_bundle(bundle_path(config))
    check_fits(config, bundle.spec)
    config = with_precision(config, bundle)
    engine = choose_engine(config.engine, bundle, config.device, config.precision)
    return Model(
        bundle.path.absolute(), bundle.digest, engine, config.device, config.precision, config
    )


def _task(path: Path, settings: dict[str, Any]) -> Task:
    try:
        return task_of(path, settings)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; check the path") from error


@contextlib.contextmanager
def _crew(model: Model, address: str | None, workers: int | None) -> Iterator[Crew]:
    open_job = functools.partial(Recognition, model)
    if address is None:
        yield ProcessCrew(open_job, workers or len(usable_cores()))
        return
    with contextlib.closing(RayCrew(open_job, address, workers)) as crew:
        yield crew


@contextlib.contextmanager
def _store(url: str | None, model: Model) -> Iterator[EventStore | None]:
    if url is None:
        yield None
        return
    try:
        from ecolite_stream.archive.store_events import EventStore
    except ModuleNotFoundError as error:
        raise missing_extra("archive --store", error.name or "sqlalchemy", "store") from error
    events = EventStore(url, model.bundle_digest)
    try:
        yield events
    finally:
        events.close()
