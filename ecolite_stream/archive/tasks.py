"""What passes between a command and its workers: small frozen values, never frames."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ecolite_stream.config.redact import redact_url
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.errors import EcoliteError

_RESULT_KEYS = ("memory", "events", "every_s", "smoothing", "top", "views", "mask", "gate")


@dataclass(frozen=True)
class Model:
    """What every worker of an archive opens, and how it recognizes.

    Attributes:
        bundle: folder of the model.
        bundle_digest: of the bundle that the command read; a worker refuses another one.
        engine: its name; never `auto`, so that all workers open the same one.
        device: what the engine computes on; None is its default.
        precision: what the engine computes in; None is its default.
        config: settings of the streams.
    """

    bundle: Path
    bundle_digest: str
    engine: str
    device: str | None
    precision: str | None
    config: StreamConfig

    def settings(self) -> dict[str, Any]:
        """Everything that decides what the results are, as JSON has it."""
        values = dataclasses.asdict(self.config)
        chosen = {key: values[key] for key in _RESULT_KEYS}
        del chosen["events"]["show"]
        model = {
            "bundle": self.bundle_digest,
            "engine": self.engine,
            "device": self.device,
            "precision": self.precision,
            **({"reuse": True} if self.config.reuse else {}),
        }
        found: dict[str, Any] = json.loads(json.dumps({**model, **chosen}, default=str))
        return found


@dataclass(frozen=True)
class Task:
    """One recording to recognize.

    Attributes:
        path: absolute.
        name: of its stream, as `ecolite-stream --source` calls it.
        size_bytes: of the file.
        mtime_ns: when the file was last changed, in nanoseconds since 1970.
        seed: 32 hexadecimal digits; ids of its events come from it.
    """

    path: Path
    name: str
    size_bytes: int
    mtime_ns: int
    seed: str


def task_of(path: Path, settings: dict[str, Any]) -> Task:
    """The task of a file: the same file and settings give the same seed, and so the same events.

    Raises:
        OSError: the file is not there.
    """
    state = path.stat()
    name = redact_url(str(path))
    parts = (name, state.st_size, state.st_mtime_ns, json.dumps(settings, sort_keys=True))
    digest = hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()
    return Task(path.absolute(), name, state.st_size, state.st_mtime_ns, digest[:32])


@dataclass(frozen=True)
class Ready:
    """A worker has opened its engine."""


@dataclass(frozen=True)
class Position:
    """How far a worker has come in its recording, in seconds of stream time."""

    time_s: float


@dataclass(frozen=True)
class Done:
    """A task is done; what it led to is in the subclass of its job."""


@dataclass(frozen=True)
class Results(Done):
    """What a recording led to, as JSON Lines.

    Attributes:
        predictions: as `ecolite-stream --json` prints them, but for `latency_ms`, which is null.
        events: as `ecolite-stream --json --events` prints them.
        warnings: what was logged meanwhile.
    """

    predictions: bytes = field(repr=False)
    events: bytes = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """A recording cannot be recognized; the worker goes on."""

    reason: str


@dataclass(frozen=True)
class Broken:
    """A worker cannot open the model: nor can the others."""

    error: EcoliteError


@dataclass(frozen=True)
class Lost:
    """A worker has died."""

    reason: str


Report = Ready | Position | Done | Failed | Broken | Lost
"""What a worker reports."""


class Job(Protocol):
    """An open engine or reader that a worker uses for all its tasks."""

    def run(self, task: Any, on_position: Callable[[float], object]) -> Done:
        """Do a task.

        Args:
            task: a `Task`, of the kind that belongs to the job.
            on_position: called with the stream time, in seconds, as the task goes on, from any
                thread; it must not wait.

        Raises:
            EcoliteError: it failed; other tasks may not.
        """


OpenJob = Callable[[], Job]
"""Opens a job in a worker, which may be on another machine: pickled by its name and arguments."""
