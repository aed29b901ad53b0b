"""What a worker does: open the engine once, then recognize one recording after the other."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import logging
from collections.abc import Callable

from ecolite_stream.archive.tasks import Model, Results, Task
from ecolite_stream.engines import Engine
from ecolite_stream.engines.check import open_checked
from ecolite_stream.engines.own_thread import OwnThreadEngine
from ecolite_stream.errors import BundleError
from ecolite_stream.model.bundle import Bundle, read_bundle
from ecolite_stream.pipeline.pipeline import Pipeline
from ecolite_stream.pipeline.reader import StreamInput
from ecolite_stream.pipeline.wall_clock import WallClock
from ecolite_stream.sinks.json_lines import JsonLinesSink
from ecolite_stream.sources import open_source
from ecolite_stream.types import Output, Prediction, Sample, StreamAnchor

_MOST_WARNINGS = 20
_NS_PER_MS = 1_000_000


class Recognition:
    """A model that is open. Each recording runs through the pipeline of `ecolite-stream`.

    Raises:
        EcoliteError: the model cannot be opened here.
    """

    def __init__(self, model: Model) -> None:
        bundle = read_same_bundle(model)
        self._spec = bundle.spec
        self._config = model.config
        self._engine = _HeldEngine(functools.partial(open_engine_of, model, bundle))

    def run(self, task: Task, on_position: Callable[[float], object]) -> Results:
        """Recognize a recording.

        Args:
            task: the recording.
            on_position: called with the stream time of each frame that is due, in seconds, from
                another thread; it must not wait.

        Raises:
            SourceError: it cannot be read.
            EngineError: the engine failed.
        """
        predictions, events = io.StringIO(), io.StringIO()
        stream = StreamInput(
            task.name,
            functools.partial(open_source, str(task.path), name=task.name),
            on_sampled=lambda frame, live: on_position(frame.time_s),
        )
        sinks = [_Unmeasured(predictions), JsonLinesSink(events, events=True)]
        with _Warnings() as warnings:
            clock = RecordingClock(task)
            Pipeline(
                [stream], lambda: self._engine, self._spec, sinks, self._config, clock=clock
            ).run()
        return Results(
            predictions.getvalue().encode("ascii"),
            events.getvalue().encode("ascii"),
            tuple(warnings.lines),
        )

    def end(self) -> None:
        """Close the engine."""
        self._engine.end()


def read_same_bundle(model: Model) -> Bundle:
    """The bundle of a model, on the machine of a worker.

    Raises:
        BundleError: it is none, or another one here.
    """
    bundle = read_bundle(model.bundle)
    if bundle.digest != model.bundle_digest:
        raise BundleError(
            f"{model.bundle} is another bundle here, {bundle.digest[:12]}..., expected "
            f"{model.bundle_digest[:12]}...; copy the same one to every machine"
        )
    return bundle


def open_engine_of(model: Model, bundle: Bundle) -> Engine:
    """The engine of a model.

    Raises:
        EcoliteError: it cannot be opened here, or does not give the golden numbers.
    """
    return open_checked(model.engine, bundle, model.device, model.precision, model.config.reuse)


class RecordingClock(WallClock):
    """Anchors of a recording that every run makes again: its events keep their ids.

    Time 0 is when the file was last changed; of recordings it is only used in ids.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self._task = task
        self._count = 0

    def anchor(self, sample: Sample, live: bool) -> StreamAnchor:
        """See `WallClock`."""
        seed = hashlib.sha256(f"{self._task.seed} {self._count}".encode()).hexdigest()[:32]
        self._count += 1
        zero_unix_ms = min(max(0, self._task.mtime_ns // _NS_PER_MS), 2**47 - 1)
        return StreamAnchor(sample.stream, zero_unix_ms, live, seed)


class _HeldEngine(OwnThreadEngine):
    """An engine that outlives pipelines."""

    def close(self) -> None:
        """A pipeline has ended; the engine stays open."""

    def end(self) -> None:
        """Close the engine."""
        super().close()


class _Unmeasured(JsonLinesSink):
    """Predictions without their latency, which no two runs have in common."""

    def send(self, output: Output) -> None:
        assert isinstance(output, Prediction)
        super().send(dataclasses.replace(output, latency_ms=None))


class _Warnings(logging.Handler):
    """Collects what is logged in place of all other handlers."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._others: list[logging.Handler] = []

    def __enter__(self) -> _Warnings:
        self._others, logging.root.handlers = logging.root.handlers, [self]
        return self

    def __exit__(self, *error: object) -> None:
        logging.root.handlers = self._others

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.lines) < _MOST_WARNINGS:
            self.lines.append(record.getMessage())
