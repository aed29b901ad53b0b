"""Features of clips on the workers of `ecolite-stream archive`: processes, or a Ray cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.archive.recognition import read_same_bundle
from ecolite_stream.archive.schedule import Schedule
from ecolite_stream.archive.tasks import Done, Model, OpenJob, Task
from ecolite_stream.archive.workers import Crew
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.datasets.segments import Marked
from ecolite_stream.errors import SourceError
from ecolite_stream.model.bundle import Bundle
from trainer.teaching.features import FeatureMaker, Found, Take, Wanted
from trainer.teaching.head_graph import opened_without_classifier

Hire = Callable[[OpenJob], AbstractContextManager[Crew]]
"""Opens a crew whose workers open a job."""


@dataclass(frozen=True)
class FileTask(Task):
    """One file whose features are made.

    Attributes:
        wanted: parts of it, each with its framings.
    """

    wanted: tuple[tuple[Marked, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Made(Done):
    """Features of the parts of one file.

    Attributes:
        parts: each with its windows by framing, or why it has none.
    """

    parts: tuple[tuple[Marked, Found], ...] = field(repr=False)


class FeatureJob:
    """An engine that gives pooled features; a `Job`.

    Args:
        model: its `config` is unused.

    Raises:
        EcoliteError: the model cannot be opened here.
    """

    def __init__(self, model: Model) -> None:
        bundle = read_same_bundle(model)
        self._open = ExitStack()
        engine = self._open.enter_context(opened_without_classifier(bundle, model.engine))
        self._maker = FeatureMaker(engine, bundle.spec)

    def run(self, task: FileTask, on_position: Callable[[float], object]) -> Made:
        """See `Job`; a part that cannot be read is an outcome, too."""
        return Made(tuple(self._maker.all_windows(task.path, dict(task.wanted), on_position)))


def make_on(hire: Hire, bundle: Bundle, engine: str) -> Callable[[Wanted, Take], None]:
    """Makes features on workers, in any order.

    Args:
        hire: opens the crew.
        bundle: at the same path on every machine, as are the clips.
        engine: its name; never `auto`.

    Raises:
        EcoliteError: of the result: no worker can open the model.
    """
    model = Model(bundle.path.absolute(), bundle.digest, engine, None, None, StreamConfig())

    def make(wanted: Wanted, take: Take) -> None:
        if not wanted:
            return
        tasks = {_task(path, parts): path for path, parts in wanted.items()}
        with hire(functools.partial(FeatureJob, model)) as crew:
            Schedule(tasks, crew, crew.workers, _Takes(tasks, take)).run()

    return make


class _Takes:
    """A `Listener` of the schedule."""

    def __init__(self, paths: Mapping[FileTask, Path], take: Take) -> None:
        self._paths = paths
        self._take = take

    def finished(self, task: FileTask, results: Made) -> None:
        for part, found in results.parts:
            self._take(self._paths[task], part, found)

    def gave_up(self, task: FileTask, reason: str) -> None:
        for part, _ in task.wanted:
            self._take(self._paths[task], part, SourceError(reason))

    def progress(self) -> None:
        pass


def _task(path: Path, parts: Mapping[Marked, list[str]]) -> FileTask:
    wanted = tuple((part, tuple(framings)) for part, framings in parts.items())
    return FileTask(path.absolute(), str(path), path.stat().st_size, 0, "", wanted)
