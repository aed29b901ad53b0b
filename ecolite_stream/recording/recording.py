"""Replay a recorded run: the same pictures through the same model give the same lines.

    ecolite-stream replay DIR

Everything is computed again except `latency_ms`, and compared with the recorded lines.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.config.source_names import named_source
from ecolite_stream.config.strict import make_config
from ecolite_stream.engines.base import Engine
from ecolite_stream.errors import EcoliteError, SourceError, one_line
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import Preprocessing, normalize
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.recognition.models import Model
from ecolite_stream.recognition.step import BatchStep
from ecolite_stream.recording.sink import (
    FRAMES,
    ROUNDS,
    RUN,
    SAID,
    SCHEMA_VERSION,
)
from ecolite_stream.sinks.kind import Run
from ecolite_stream.types import (
    Box,
    EngineBatch,
    Event,
    Image,
    Prediction,
    Sample,
    StreamAnchor,
)

SETTINGS = ("memory", "every_s", "smoothing", "top", "events", "gate")
"""Keys of `StreamConfig` that change predictions or events."""
_READABLE = (1, SCHEMA_VERSION)


@dataclass(frozen=True)
class Recording:
    """A recorded run on disk.

    Attributes:
        folder: of the recording.
        streams: names, in their order.
        bundle: digest of the model.
        engine: the engine that ran it.
        device: of the engine; None is its default.
        precision: of the engine; None is its default.
        reuse: whether the engine kept activations.
        config: the settings that change predictions or events.
        overrides: those of single streams, by their names.
    """

    folder: Path
    streams: tuple[str, ...]
    bundle: str
    engine: str
    device: str | None
    config: StreamConfig
    precision: str | None = None
    reuse: bool = False
    overrides: Mapping[str, StreamConfig] = field(default_factory=dict)

    def settings(self, stream: str) -> StreamConfig:
        """The settings of a stream."""
        return self.overrides.get(stream, self.config)

    def facts(self) -> dict[str, Any]:
        """Plain containers, as `run.json` has them."""
        overrides = {name: _settings(config) for name, config in self.overrides.items()}
        return {
            "streams": list(self.streams),
            "bundle": self.bundle,
            "engine": self.engine,
            "device": self.device,
            "precision": self.precision,
            **({"reuse": True} if self.reuse else {}),
            "config": _settings(self.config),
            **({"overrides": overrides} if overrides else {}),
        }

    def rounds(self, how: Preprocessing) -> Iterator[EngineBatch]:
        """Every complete round, in order.

        Raises:
            SourceError: a file is missing, damaged, or rounds are missing in between.
        """
        try:
            with (self.folder / FRAMES).open("rb") as frames:
                for number, line in enumerate(_whole_lines(self.folder / ROUNDS)):
                    facts = json.loads(line)
                    if facts["round"] != number:
                        raise SourceError(
                            f"{self.folder}: rounds {number} to {facts['round'] - 1} were not "
                            "recorded, so later ones cannot be replayed"
                        )
                    samples = [_sample(row, frames, how) for row in facts["samples"]]
                    ended, quiet = tuple(facts["ended"]), tuple(facts.get("quiet", ()))
                    anchors = tuple(StreamAnchor(**row) for row in facts.get("anchors", ()))
                    named = {*ended, *quiet, *(s.stream for s in samples)}
                    if unknown := {*named, *(a.stream for a in anchors)} - {*self.streams}:
                        raise ValueError(f"there is no stream {', '.join(sorted(unknown))}")
                    yield EngineBatch(number, tuple(samples), ended, quiet, anchors)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceError(
                f"{self.folder} is not a recorded run, or is damaged: {one_line(error)}"
            ) from error


def _settings(config: StreamConfig) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    return {key: values[key] for key in SETTINGS}


def recording_of(run: Run, folder: Path) -> Recording:
    """The description of a run that is about to be recorded in a folder."""
    return Recording(
        folder=folder,
        streams=tuple(run.streams),
        bundle=run.bundle.digest,
        engine=run.engine,
        device=run.config.device,
        config=run.config,
        precision=run.config.precision,
        reuse=run.config.reuse,
        overrides=_overrides(run),
    )


def _overrides(run: Run) -> dict[str, StreamConfig]:
    """Settings of the streams whose sources override some of them."""
    sources = map(named_source, run.config.source)
    found = {n: run.config.of_stream(s) for n, s in zip(run.streams, sources, strict=True)}
    usual = _settings(run.config)
    return {name: config for name, config in found.items() if _settings(config) != usual}


def read_recording(folder: Path) -> Recording:
    """Read a run that `RecordSink` recorded.

    Raises:
        SourceError: there is none, or it is damaged or of an unknown version.
    """
    try:
        facts = json.loads((folder / RUN).read_text(encoding="utf-8"))
        version = facts.pop("schema_version")
        if version in _READABLE:
            where = str(folder / RUN)
            facts["config"] = make_config(StreamConfig, facts["config"], where)
            facts["overrides"] = {
                name: make_config(StreamConfig, values, where)
                for name, values in facts.get("overrides", {}).items()
            }
            return Recording(folder, **{**facts, "streams": tuple(facts["streams"])})
    except FileNotFoundError as error:
        raise SourceError(f"{folder} holds no recorded run; name a folder of --record") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EcoliteError) as error:
        raise SourceError(f"{folder / RUN} is malformed: {one_line(error)}") from error
    readable = " and ".join(map(str, _READABLE))
    raise SourceError(
        f"{folder / RUN}: version is {version!r}, this program reads {readable}; replay it "
        "with the ecolite-stream that recorded it"
    )


def replayed(recording: Recording, engine: Engine, spec: ModelSpec) -> Iterator[str]:
    """The lines of a replayed run, in the form of `said.jsonl`."""
    rounds = BatchStep({0: Model(spec)}, recording.settings, Metrics())
    latencies_ms = _latencies_ms(recording.folder / SAID)

    def line(output: Prediction | Event) -> str:
        if isinstance(output, Prediction):
            output = dataclasses.replace(output, latency_ms=next(latencies_ms, None))
        return json.dumps(output.as_dict())

    for current in recording.rounds(spec.preprocessing):
        yield from map(line, rounds.run_batch({0: engine}, current))
    yield from map(line, rounds.finish())


def _sample(row: dict[str, Any], frames: BinaryIO, how: Preprocessing) -> Sample:
    box = row.get("box")
    return Sample(
        stream=row["stream"],
        frame=row["frame"],
        time_s=row["time_s"],
        arrived_s=None,
        image=None if row.get("reused") else normalize(_square(row, frames, how), how),
        predicts=row["predicts"],
        reset_state=row["starts_afresh"],
        view=row.get("view", ""),
        box=None if box is None else Box(*box),
        still_s=row.get("still_s", 0.0),
        ends_view=row.get("ends_view", False),
    )


def _square(row: dict[str, Any], frames: BinaryIO, how: Preprocessing) -> Image:
    frames.seek(row["at"])
    png = np.frombuffer(frames.read(row["bytes"]), np.uint8)
    square = cv2.imdecode(png, cv2.IMREAD_COLOR) if len(png) == row["bytes"] > 0 else None
    if square is None or square.shape != (how.image_size, how.image_size, 3):
        raise ValueError(f"no picture at byte {row['at']} of {FRAMES}")
    return np.asarray(square, np.uint8)


def _whole_lines(path: Path) -> Iterator[str]:
    """The lines of a file, without a last one that was cut off."""
    with path.open(encoding="ascii", newline="\n") as file:
        for line in file:
            if line.endswith("\n"):
                yield line


def _latencies_ms(path: Path) -> Iterator[float | None]:
    for line in _whole_lines(path):
        said = json.loads(line)
        if "latency_ms" in said:
            yield said["latency_ms"]
