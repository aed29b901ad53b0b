"""Accuracy of live predictions: labelled clips through the pipeline of `ecolite-stream`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.bench.accuracy.same import Agreed, Recorder, agree_offline
from ecolite_stream.bench.measuring.watch import Watched, watch
from ecolite_stream.config.schema import StreamConfig
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.datasets.labelled_clips import find_clips as all_clips
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError, SourceError, one_line
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.recognition.events import decision_for
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.sources import open_source
from ecolite_stream.types import Event, FloatArray, Prediction


def find_clips(folder: Path, labels: Sequence[str], only: str = "") -> list[ClipFile]:
    """The clips in a folder (see `datasets.labelled_clips`) whose name contains `only`.

    Raises:
        ConfigError: there is none, or a class is not in `labels`.
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


def split_of(folder: object, only: str) -> str:
    """Description of the clips that `find_clips` chose, for reports."""
    return f"clips of {folder}" + (f" whose <class>/<clip> contains {only}" if only else "")


@dataclass(frozen=True)
class Moment:
    """A live prediction, without the list of all labels.

    Attributes:
        time_s: stream time, in seconds.
        label: the best.
        score: its probability, 0 to 1.
        memory_fill: filled share of the memory, 0 to 1.
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
    """Result of streaming one clip.

    Attributes:
        name: `<class>/<file>`.
        label: its class.
        taken_for: the label of `clip_label`; None without predictions.
        moments: its live predictions, in order.
        error: why it cannot be read, or None.
        stream_s: its length in seconds.
        encoded: how many of its frames were encoded.
        engine_ms: wall-clock time that encoding and classifying took.
        events: how many events began, as `ecolite-stream --events` reports them.
        agreed: agreement with the offline path; None if not requested.
    """

    name: str
    label: str
    taken_for: str | None
    moments: tuple[Moment, ...] = ()
    error: str | None = None
    stream_s: float = 0.0
    encoded: int = 0
    engine_ms: float = 0.0
    events: int = 0
    agreed: Agreed | None = None

    @property
    def is_right(self) -> bool:
        return self.taken_for == self.label

    @property
    def was_full(self) -> bool:
        """Whether any prediction was made from a full memory."""
        return any(moment.is_full for moment in self.moments)


@dataclass(frozen=True)
class Share:
    """A count out of a total."""

    right: int
    total: int

    @property
    def share(self) -> float:
        """From 0 to 1; 0 of none."""
        return self.right / self.total if self.total else 0.0

    def __str__(self) -> str:
        percent = f" {100 * self.share:5.1f} %" if self.total else ""
        return f"{self.right}/{self.total}{percent}"


@dataclass
class PolicyResult:
    """All clips, streamed with one memory policy."""

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

    Over all predictions if the memory never filled; None without any. Each lists all labels.
    """
    predictions = list(predictions)
    full = [prediction for prediction in predictions if prediction.memory_fill == 1]
    total: Counter[str] = Counter()
    for prediction in full or predictions:
        total.update(dict(prediction.top))
    return max(total, key=total.__getitem__) if total else None


def watch_file(
    path: Path,
    engine: Engine,
    spec: ModelSpec,
    config: StreamConfig,
    on_prediction: Callable[[Prediction], None] = lambda prediction: None,
) -> tuple[Watched, list[Prediction]]:
    """All predictions of a file, each with all labels, and the cost.

    `on_prediction` is called with each at once.

    Raises:
        SourceError: it cannot be read.
    """
    predictions: list[Prediction] = []
    recognizer = Recognizer(engine, spec, config)

    def take(prediction: Prediction) -> None:
        predictions.append(prediction)
        on_prediction(prediction)

    return watch(open_source(str(path)), recognizer, take), predictions


def events_of(
    predictions: Sequence[Prediction], spec: ModelSpec, config: StreamConfig
) -> list[Event]:
    """Ended events of one stream, in order, as in the pipeline."""
    decision = decision_for("", config, spec.thresholds)
    told = [event for prediction in predictions for event in decision.observe(prediction)]
    return [event for event in (*told, *decision.finish()) if event.kind == "end"]


class Metered:
    """An engine that counts encoded frames and its own time, in wall-clock ms."""

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


def watch_clip(
    clip: ClipFile, engine: Engine, spec: ModelSpec, config: StreamConfig, offline: bool = False
) -> ClipResult:
    """Stream a clip; an unreadable one gives a result with an error.

    Args:
        clip: labelled file.
        engine: of the bundle.
        spec: of the bundle.
        config: `top` is the number of labels.
        offline: whether to classify each prediction's segments offline, too.
    """
    metered = Metered(engine)
    recorder = Recorder(metered) if offline else None
    try:
        watched, predictions = watch_file(clip.path, recorder or metered, spec, config)
        agreed = agree_offline(clip.path, recorder.clips, engine, spec) if recorder else None
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
        events=len(events_of(predictions, spec, config)),
        agreed=agreed,
    )


def watch_clips(
    clips: Sequence[ClipFile],
    engine: Engine,
    spec: ModelSpec,
    configs: Sequence[StreamConfig],
    on_clip: Callable[[], None] = lambda: None,
    offline: bool = False,
) -> list[PolicyResult]:
    """Stream every clip with every configuration; they differ in their memory policy.

    Args:
        clips: labelled files.
        engine: of the bundle.
        spec: of the bundle.
        configs: one a policy; `top` is the number of labels.
        on_clip: called after each clip.
        offline: as for `watch_clip`.
    """
    results = [PolicyResult(config.memory.policy) for config in configs]
    for clip in clips:
        for config, result in zip(configs, results, strict=True):
            result.clips.append(watch_clip(clip, engine, spec, config, offline))
        on_clip()
    return results


def moments_of(predictions: Iterable[Prediction]) -> tuple[Moment, ...]:
    """Predictions without their lists of labels."""
    return tuple(Moment(p.time_s, p.label, p.score, p.memory_fill) for p in predictions)
