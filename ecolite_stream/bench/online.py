"""How often live predictions are right: labelled clips through the pipeline of `ecolite-stream`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecolite_stream.bench.report import Table
from ecolite_stream.bench.watch import Watched, watch
from ecolite_stream.bundle import ModelSpec
from ecolite_stream.clips import ClipFile
from ecolite_stream.clips import find_clips as all_clips
from ecolite_stream.commands import one_line
from ecolite_stream.config import StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.recognizer import Recognizer
from ecolite_stream.sources import open_source
from ecolite_stream.types import FloatArray, Prediction


def find_clips(folder: Path, labels: Sequence[str], only: str = "") -> list[ClipFile]:
    """The clips in a folder (see `ecolite_stream.clips`) whose name contains `only`.

    Raises:
        ConfigError: there is none, or a class is none of `labels`.
    """
    clips = [clip for clip in all_clips([folder]) if only in clip.name]
    if not clips:
        wanted = f" whose <class>/<clip> contains {only!r}" if only else ""
        raise ConfigError(f"{folder} has no <class>/<clip>{wanted}")
    if unknown := sorted({clip.label for clip in clips} - set(labels)):
        raise ConfigError(
            f"the bundle has no label {', '.join(unknown)}; its labels: {', '.join(labels)}"
        )
    return clips


@dataclass(frozen=True)
class Moment:
    """A live prediction, without the list of all labels.

    Attributes:
        time_s: stream time, in seconds.
        label: the best.
        score: its probability, 0 to 1.
        memory_fill: share of the memory's segments that had been seen, 0 to 1.
    """

    time_s: float
    label: str
    score: float
    memory_fill: float

    @property
    def is_full(self) -> bool:
        return self.memory_fill == 1


@dataclass(frozen=True)
class ClipResult:
    """What the stream of one clip was taken for.

    Attributes:
        name: `<class>/<file>`.
        label: its class.
        taken_for: the label of `clip_label`; None where nothing could be predicted.
        moments: its live predictions, in order.
        error: why it cannot be read; None where it can.
        stream_s: how long it is, in seconds.
        encoded: how many of its frames were encoded.
        engine_ms: wall-clock time that encoding and classifying took.
    """

    name: str
    label: str
    taken_for: str | None
    moments: tuple[Moment, ...] = ()
    error: str | None = None
    stream_s: float = 0.0
    encoded: int = 0
    engine_ms: float = 0.0

    @property
    def is_right(self) -> bool:
        return self.taken_for == self.label

    @property
    def was_full(self) -> bool:
        """Whether any prediction was made from a full memory."""
        return any(moment.is_full for moment in self.moments)


@dataclass(frozen=True)
class Share:
    """So many out of so many."""

    right: int
    total: int

    def __str__(self) -> str:
        percent = f" {100 * self.right / self.total:5.1f} %" if self.total else ""
        return f"{self.right}/{self.total}{percent}"


@dataclass
class PolicyResult:
    """All clips, watched with one memory policy."""

    policy: str
    clips: list[ClipResult] = field(default_factory=list)

    @property
    def clips_right(self) -> Share:
        return Share(sum(clip.is_right for clip in self.clips), len(self.clips))

    @property
    def full_right(self) -> Share:
        """Live predictions from a full memory."""
        return self._live(lambda moment: moment.is_full)

    @property
    def live_right(self) -> Share:
        """All live predictions."""
        return self._live(lambda moment: True)

    @property
    def never_full(self) -> int:
        """Clips too short to fill the memory."""
        return sum(not clip.was_full for clip in self.clips)

    def _live(self, counts: Callable[[Moment], bool]) -> Share:
        right = [m.label == clip.label for clip in self.clips for m in clip.moments if counts(m)]
        return Share(sum(right), len(right))


def clip_label(predictions: Iterable[Prediction]) -> str | None:
    """The label with the highest mean score over the predictions made with a full memory.

    Over all predictions where none was; None where there is none. Each lists all labels.
    """
    predictions = list(predictions)
    full = [prediction for prediction in predictions if prediction.memory_fill == 1]
    total: Counter[str] = Counter()
    for prediction in full or predictions:
        total.update(dict(prediction.top))
    return max(total, key=total.__getitem__) if total else None


def watch_file(
    path: Path, engine: Engine, spec: ModelSpec, config: StreamConfig
) -> list[Prediction]:
    """All predictions of a file, each with all labels.

    Raises:
        SourceError: it cannot be read.
    """
    return _watch(path, engine, spec, config)[1]


def _watch(
    path: Path, engine: Engine, spec: ModelSpec, config: StreamConfig
) -> tuple[Watched, list[Prediction]]:
    predictions: list[Prediction] = []
    recognizer = Recognizer(engine, spec, config)
    return watch(open_source(str(path)), recognizer, predictions.append), predictions


class _Metered:
    """An engine that counts the frames it encodes, and the time it takes; in wall-clock ms."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.close = engine.close
        self.encoded = 0
        self.engine_ms = 0.0
        self._engine = engine

    def encode(self, images: FloatArray) -> FloatArray:
        self.encoded += len(images)
        return self._timed(self._engine.encode, images)

    def classify(self, features: FloatArray) -> FloatArray:
        return self._timed(self._engine.classify, features)

    def _timed(self, call: Callable[[FloatArray], FloatArray], batch: FloatArray) -> FloatArray:
        start_s = time.perf_counter()
        result = call(batch)
        self.engine_ms += 1e3 * (time.perf_counter() - start_s)
        return result


def watch_clip(clip: ClipFile, engine: Engine, spec: ModelSpec, config: StreamConfig) -> ClipResult:
    """What a clip is taken for; a clip that cannot be read is a result with an error."""
    metered = _Metered(engine)
    try:
        watched, predictions = _watch(clip.path, metered, spec, config)
    except SourceError as error:
        return ClipResult(clip.name, clip.label, None, error=one_line(error))
    return ClipResult(
        clip.name,
        clip.label,
        clip_label(predictions),
        moments_of(predictions),
        stream_s=watched.stream_s,
        encoded=metered.encoded,
        engine_ms=metered.engine_ms,
    )


def watch_clips(
    clips: Sequence[ClipFile],
    engine: Engine,
    spec: ModelSpec,
    configs: Sequence[StreamConfig],
    on_clip: Callable[[], None] = lambda: None,
) -> list[PolicyResult]:
    """Every clip with every configuration; they differ in their memory policy.

    Args:
        clips: labelled files.
        engine: of the bundle.
        spec: of the bundle.
        configs: one a policy; `top` is the number of labels.
        on_clip: called after each clip.
    """
    results = [PolicyResult(config.memory.policy) for config in configs]
    for clip in clips:
        for config, result in zip(configs, results, strict=True):
            result.clips.append(watch_clip(clip, engine, spec, config))
        on_clip()
    return results


def moments_of(predictions: Iterable[Prediction]) -> tuple[Moment, ...]:
    """Predictions without their lists of labels."""
    return tuple(Moment(p.time_s, p.label, p.score, p.memory_fill) for p in predictions)


def online_tables(results: Sequence[PolicyResult]) -> list[Table]:
    """Policies side by side, their classes, and the clips that were wrong."""
    tables = [_policies(results), _classes(results)]
    return tables + ([_wrong(results)] if any(map(_wrong_clips, results)) else [])


def _policies(results: Sequence[PolicyResult]) -> Table:
    return Table(
        f"Labelled clips, streamed: {len(results[0].clips)}",
        ("memory", "clips right", "live right, memory full", "live right, all", "never full"),
        [
            (r.policy, str(r.clips_right), str(r.full_right), str(r.live_right), r.never_full)
            for r in results
        ],
        notes=(
            "clips right: the highest mean score over the predictions with a full memory, or over "
            "all of them where none was (never full).",
        ),
    )


def _classes(results: Sequence[PolicyResult]) -> Table:
    labels = sorted({clip.label for clip in results[0].clips})
    return Table(
        "Clips right by class",
        ("class", "clips", *(result.policy for result in results)),
        [
            (
                label,
                sum(clip.label == label for clip in results[0].clips),
                *(sum(c.is_right for c in r.clips if c.label == label) for r in results),
            )
            for label in labels
        ],
    )


def _wrong(results: Sequence[PolicyResult]) -> Table:
    return Table(
        "Clips that were not right",
        ("memory", "clip", "taken for"),
        [
            (result.policy, clip.name, clip.taken_for or clip.error or "nothing")
            for result in results
            for clip in _wrong_clips(result)
        ],
    )


def _wrong_clips(result: PolicyResult) -> list[ClipResult]:
    return [clip for clip in result.clips if not clip.is_right]


def policy_json(result: PolicyResult) -> dict[str, Any]:
    """All that was seen with one policy, in plain containers."""
    return {
        "memory": result.policy,
        "clips_right": result.clips_right.right,
        "clips": result.clips_right.total,
        "live_full_right": result.full_right.right,
        "live_full": result.full_right.total,
        "live_right": result.live_right.right,
        "live": result.live_right.total,
        "never_full": result.never_full,
        "results": [_clip_json(clip) for clip in result.clips],
    }


def _clip_json(clip: ClipResult) -> dict[str, Any]:
    return {
        "clip": clip.name,
        "label": clip.label,
        "taken_for": clip.taken_for,
        "error": clip.error,
        "predictions": [moment_json(moment) for moment in clip.moments],
    }


def moment_json(moment: Moment) -> dict[str, Any]:
    """A live prediction in plain containers."""
    return {
        "time_s": round(moment.time_s, 3),
        "label": moment.label,
        "score": round(moment.score, 4),
        "memory_fill": round(moment.memory_fill, 3),
    }
