"""Whole clips on the workers of `ecolite-stream archive`: they read a clip and run the network."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ecolite_stream.archive.recognition import open_engine_of, read_same_bundle
from ecolite_stream.archive.schedule import Schedule
from ecolite_stream.archive.tasks import Done, Model, OpenJob, Task
from ecolite_stream.archive.workers import Crew
from ecolite_stream.bench.accuracy.offline import Outcome, Pace, evaluate_clip, read_squares
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.engines.own_thread import OwnThreadEngine
from ecolite_stream.model.bundle import Bundle


@dataclass(frozen=True)
class ClipTask(Task):
    """One clip to classify.

    Attributes:
        clip: at an absolute path, where every worker finds it.
    """

    clip: ClipFile


@dataclass(frozen=True)
class Classified(Done):
    """The predicted label of a clip, and the engine's time.

    Attributes:
        outcome: of the clip.
        engine_s: from squares of pixels to logits, in seconds; None where it cannot be read.
    """

    outcome: Outcome
    engine_s: float | None


class ClipClassifier:
    """A model that is open; a `Job`.

    Args:
        model: its `config` is unused.
        crops: of each frame.

    Raises:
        EcoliteError: the model cannot be opened here.
    """

    def __init__(self, model: Model, crops: int) -> None:
        bundle = read_same_bundle(model)
        self._spec = bundle.spec
        self._crops = crops
        self._engine = OwnThreadEngine(functools.partial(open_engine_of, model, bundle))

    def run(self, task: ClipTask, on_position: Callable[[float], object]) -> Classified:
        """See `Job`; an unreadable clip is an outcome, too."""
        read = read_squares(task.clip, self._spec, self._crops)
        on_position(0.0)
        outcome, engine_s = evaluate_clip(task.clip, read, self._engine, self._spec)
        return Classified(outcome, engine_s)


def open_classifier(
    bundle: Bundle, engine: str, device: str | None, precision: str | None, crops: int
) -> OpenJob:
    """Opens a `ClipClassifier` in each worker.

    Args:
        bundle: at the same path on every machine.
        engine: its name.
        device: what the engine computes on; None is its default.
        precision: what the engine computes in; None is its default.
        crops: of each frame.
    """
    path = bundle.path.absolute()
    model = Model(path, bundle.digest, engine, device, precision, StreamConfig())
    return functools.partial(ClipClassifier, model, crops)


def evaluate_on(
    crew: Crew,
    clips: Iterable[ClipFile],
    on_outcome: Callable[[Outcome], object],
    pace: Pace,
) -> None:
    """Classify clips on workers.

    Args:
        crew: hires workers that open a `ClipClassifier`.
        clips: labelled with labels of the model.
        on_outcome: called with the outcome of each, in any order; one that failed on its worker as
            often as it may has an error, as an unreadable one.
        pace: added to.

    Raises:
        EcoliteError: no worker can open the model.
    """
    Schedule(map(_task, clips), crew, crew.workers, _Outcomes(on_outcome, pace)).run()


class _Outcomes:
    """A `Listener` of the schedule."""

    def __init__(self, on_outcome: Callable[[Outcome], object], pace: Pace) -> None:
        self._on_outcome = on_outcome
        self._pace = pace
        self._start_s = time.perf_counter()

    def finished(self, task: ClipTask, results: Classified) -> None:
        if results.engine_s is not None:
            self._pace.add(results.engine_s, time.perf_counter() - self._start_s)
        self._on_outcome(results.outcome)

    def gave_up(self, task: ClipTask, reason: str) -> None:
        self._on_outcome(Outcome(task.clip.name, task.clip.label, error=reason))

    def progress(self) -> None:
        pass


def _task(clip: ClipFile) -> ClipTask:
    path = clip.path.absolute()
    return ClipTask(path, clip.name, _size(path), 0, "", ClipFile(path, clip.label))


def _size(path: Path) -> int:
    """Bytes of a file; 0 where there is none, which its worker reports."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
