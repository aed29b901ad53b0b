"""`ecolite-bench calibrate`: make scores mean what they say, on held-out clips.

Only predictions made with a full memory count: a score at the start of a stream says as much about
what has not been seen as about the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ecolite_stream.bench.report import Cell, Table
from ecolite_stream.bench.watch import watch
from ecolite_stream.bundle import ModelSpec
from ecolite_stream.clips import ClipFile
from ecolite_stream.commands import one_line
from ecolite_stream.config import StreamConfig
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.recognizer import Recognizer
from ecolite_stream.sources import open_source
from ecolite_stream.types import FloatArray, Prediction

NUM_BINS = 15
TEMPERATURES = (0.05, 20.0)
"""Between which a temperature is looked for."""

SHARE = 0.9
Doubles = npt.NDArray[np.float64]
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Samples:
    """Live predictions of labelled clips.

    Attributes:
        logits: (K, classes) float64, without any temperature.
        right: (K,) int64, the label of each.
        clips: (K,) int64, the number of the clip that each is of.
    """

    logits: Doubles
    right: npt.NDArray[np.int64]
    clips: npt.NDArray[np.int64]

    def of(self, chosen: npt.NDArray[np.bool_]) -> Samples:
        """Some of them; `chosen` is (K,)."""
        return Samples(self.logits[chosen], self.right[chosen], self.clips[chosen])


class _Recording:
    """An engine that keeps the logits of each clip it classifies, in order."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.encode = engine.encode
        self.close = engine.close
        self.logits: list[FloatArray] = []
        self._classify = engine.classify

    def classify(self, features: FloatArray) -> FloatArray:
        logits = self._classify(features)
        self.logits += list(logits)
        return logits


@dataclass(frozen=True)
class Collected:
    """Samples, and the clips that gave none.

    Attributes:
        samples: with a full memory.
        clips: how many clips they are of.
        too_short: names of clips that never filled the memory.
        unreadable: names and reasons.
    """

    samples: Samples
    clips: int
    too_short: tuple[str, ...]
    unreadable: Mapping[str, str]


def collect(
    clips: Sequence[ClipFile],
    engine: Engine,
    spec: ModelSpec,
    config: StreamConfig,
    on_clip: Callable[[], None] = lambda: None,
) -> Collected:
    """Stream clips through the pipeline of `ecolite-stream` and keep their logits.

    Raises:
        ConfigError: no clip fills the memory.
        EngineError: the engine failed.
    """
    logits: list[FloatArray] = []
    right: list[int] = []
    numbers: list[int] = []
    too_short, unreadable = [], {}
    for number, clip in enumerate(clips):
        try:
            full = list(_full_logits(clip, engine, spec, config))
        except SourceError as error:
            unreadable[clip.name] = one_line(error)
        else:
            logits += full
            right += len(full) * [spec.labels.index(clip.label)]
            numbers += len(full) * [number]
            too_short += [] if full else [clip.name]
        on_clip()
    if not logits:
        raise ConfigError(
            f"none of {len(clips)} clips fills the memory of {spec.clip_seconds:g} s; name longer "
            "ones to calibrate on"
        )
    samples = Samples(np.array(logits, np.float64), np.array(right), np.array(numbers))
    return Collected(samples, len(set(numbers)), tuple(too_short), unreadable)


def _full_logits(
    clip: ClipFile, engine: Engine, spec: ModelSpec, config: StreamConfig
) -> Iterator[FloatArray]:
    recording = _Recording(engine)
    predictions: list[Prediction] = []
    watch(open_source(str(clip.path)), Recognizer(recording, spec, config), predictions.append)
    for prediction, logits in zip(predictions, recording.logits, strict=True):
        if prediction.memory_fill == 1:
            yield logits


def probabilities(logits: Doubles, temperature: float) -> Doubles:
    """(K, classes) logits -> (K, classes) probabilities."""
    scaled = logits / temperature
    exponentials: Doubles = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    exponentials /= exponentials.sum(axis=1, keepdims=True)
    return exponentials


def cross_entropy(samples: Samples, temperature: float) -> float:
    """Mean over the samples, in nats."""
    scaled = samples.logits / temperature
    largest = scaled.max(axis=1, keepdims=True)
    log_total = largest[:, 0] + np.log(np.exp(scaled - largest).sum(axis=1))
    return float((log_total - scaled[np.arange(len(scaled)), samples.right]).mean())


def fit_temperature(samples: Samples, steps: int = 60) -> float:
    """The temperature with the lowest cross entropy, between `TEMPERATURES`.

    Golden-section search over its logarithm: the cross entropy is convex in 1 / temperature, so it
    has one valley.
    """

    def entropy(log_temperature: float) -> float:
        return cross_entropy(samples, math.exp(log_temperature))

    low, high = (math.log(bound) for bound in TEMPERATURES)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = entropy(left), entropy(right)
    for _ in range(steps):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = entropy(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = entropy(right)
    return math.exp((low + high) / 2)


def calibration_error(scores: Doubles, is_right: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error: the gap between score and share right, mean over `NUM_BINS`.

    Args:
        scores: (K,) of the best labels, 0 to 1.
        is_right: (K,).
    """
    rows = reliability(scores, is_right)
    return sum(count * abs(score - share) for _, _, count, score, share in rows) / len(scores)


def reliability(
    scores: Doubles, is_right: npt.NDArray[np.bool_]
) -> list[tuple[float, float, int, float, float]]:
    """(from, to, predictions, mean score, share right) of each bin of scores that has any."""
    bins = np.minimum((scores * NUM_BINS).astype(int), NUM_BINS - 1)
    rows = []
    for number in range(NUM_BINS):
        inside = bins == number
        if count := int(inside.sum()):
            score, share = float(scores[inside].mean()), float(is_right[inside].mean())
            rows.append((number / NUM_BINS, (number + 1) / NUM_BINS, count, score, share))
    return rows


def sample_error(samples: Samples, temperature: float) -> float:
    """Calibration error of samples at a temperature."""
    scores = probabilities(samples.logits, temperature)
    return calibration_error(scores.max(axis=1), scores.argmax(axis=1) == samples.right)


def held_out_error(samples: Samples) -> float | None:
    """Calibration error where each half of the clips is scored with the other half's temperature.

    None where there are not two clips.
    """
    odd = samples.clips % 2 == 1
    if odd.all() or not odd.any():
        return None
    halves = (samples.of(odd), samples.of(~odd))
    scores, right = [], []
    for own, other in (halves, halves[::-1]):
        own_scores = probabilities(own.logits, fit_temperature(other))
        scores.append(own_scores.max(axis=1))
        right.append(own_scores.argmax(axis=1) == own.right)
    return calibration_error(np.concatenate(scores), np.concatenate(right))


def fit_thresholds(
    samples: Samples, temperature: float, labels: Sequence[str], share: float
) -> dict[str, float]:
    """For each label the lowest score from which on it is right at least that share of the time.

    A label that was never the best has none; one that never reaches the share has 1, and no score
    below counts.
    """
    scores = probabilities(samples.logits, temperature)
    best, top = scores.argmax(axis=1), scores.max(axis=1)
    thresholds = {}
    for number, label in enumerate(labels):
        mine = best == number
        if mine.any():
            thresholds[label] = lowest_score(top[mine], samples.right[mine] == number, share)
    return thresholds


def lowest_score(scores: Doubles, is_right: npt.NDArray[np.bool_], share: float) -> float:
    """The lowest of `scores` at or above which at least `share` of them are right; 1 if none."""
    for score in np.unique(scores):
        if is_right[scores >= score].mean() >= share:
            # Rounded down, so that the prediction that set it still counts.
            return min(math.floor(1e6 * float(score)) / 1e6, 1 - 1e-6)  # 1 is never
    return 1.0


@dataclass(frozen=True)
class Calibration:
    """What was fitted, and what it did.

    Attributes:
        temperature: new.
        thresholds: by label.
        share: that thresholds were made for.
        before: calibration error at the bundle's own temperature.
        after: at the new one, of the very predictions it was fitted to.
        held_out: likewise, of clips it was not fitted to.
    """

    temperature: float
    thresholds: Mapping[str, float]
    share: float
    before: float
    after: float
    held_out: float | None

    def applied(self, spec: ModelSpec, facts: Mapping[str, Any]) -> ModelSpec:
        """A description that carries it; `facts` go to its scores."""
        scores = {**spec.scores, "calibration": {**self.to_json(), **facts}}
        return replace(
            spec, temperature=self.temperature, thresholds=dict(self.thresholds), scores=scores
        )

    def to_json(self) -> dict[str, Any]:
        """Plain containers, without the thresholds."""
        errors = {"ece_before": self.before, "ece_after": self.after, "ece_held_out": self.held_out}
        rounded = {k: v if v is None else round(v, 6) for k, v in errors.items()}
        return {"temperature": self.temperature, "share": self.share, **rounded}


def calibrate(samples: Samples, spec: ModelSpec, share: float) -> Calibration:
    """Fit temperature and thresholds.

    Args:
        samples: of clips that the model was not trained on.
        spec: whose labels they have, and whose temperature is compared with.
        share: how often a label is to be right at its threshold, above 0 to 1.

    Raises:
        ConfigError: the samples do not determine a temperature.
    """
    temperature = round(fit_temperature(samples), 4)
    if not 1.01 * TEMPERATURES[0] < temperature < TEMPERATURES[1] / 1.01:
        right = int((samples.logits.argmax(axis=1) == samples.right).sum())
        raise ConfigError(
            f"these clips do not determine a temperature: {right} of {len(samples.right)} "
            "predictions are right and the best is at the edge of "
            f"{TEMPERATURES[0]:g} to {TEMPERATURES[1]:g}; name more clips, none that the model was "
            "trained on"
        )
    return Calibration(
        temperature,
        fit_thresholds(samples, temperature, spec.labels, share),
        share,
        sample_error(samples, spec.temperature),
        sample_error(samples, temperature),
        held_out_error(samples),
    )


def calibration_tables(
    collected: Collected, calibration: Calibration, spec: ModelSpec
) -> list[Table]:
    """Errors before and after, reliability after, and the thresholds."""
    samples, own = collected.samples, calibration
    rows: list[tuple[Cell, ...]] = [
        _row("before", samples, spec.temperature, own.before),
        _row("after", samples, own.temperature, own.after),
        ("after, other half of the clips", None, None, _error(own.held_out)),
    ]
    scores = probabilities(samples.logits, own.temperature)
    bins = reliability(scores.max(axis=1), scores.argmax(axis=1) == samples.right)
    title = f"Calibration on {len(samples.right)} predictions of {collected.clips} clips"
    return [
        Table(
            title,
            ("what", "temperature", "cross entropy", "calibration error"),
            rows,
            notes=(
                f"calibration error: {NUM_BINS} bins. Predictions with a full memory.",
                "other half: fitted to one half of the clips, measured on the other, both ways.",
            ),
        ),
        Table(
            "Reliability after calibration",
            ("score", "predictions", "mean score", "share right"),
            [(f"{a:.2f} to {b:.2f}", n, f"{s:.3f}", f"{r:.3f}") for a, b, n, s, r in bins],
        ),
        Table(
            f"Lowest score at which a label is right {own.share:.0%} of the time",
            ("label", "threshold"),
            [(label, _threshold(own.thresholds.get(label))) for label in spec.labels],
            notes=("-: never the best label here. never: it is not right that often.",),
        ),
    ]


def _row(what: str, samples: Samples, temperature: float, error: float) -> tuple[Cell, ...]:
    return (what, f"{temperature:g}", f"{cross_entropy(samples, temperature):.4f}", _error(error))


def _error(error: float | None) -> str | None:
    return None if error is None else f"{error:.4f}"


def _threshold(score: float | None) -> str | None:
    if score is None:
        return None
    return "never" if score == 1 else f"{score:.3f}"
