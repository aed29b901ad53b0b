"""Calibrate scores: fit temperature, thresholds and the bound of known inputs to samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ecolite_stream.bench.accuracy.reliability import calibration_error
from ecolite_stream.bench.accuracy.samples import Doubles, Samples
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.known import energy, fit_energy_bound

TEMPERATURES = (0.05, 20.0)
"""Range of the search for a temperature."""

SHARE = 0.9
_GOLDEN = (math.sqrt(5) - 1) / 2


def probabilities(logits: Doubles, temperature: float) -> Doubles:
    """(K, classes) logits -> (K, classes) probabilities."""
    scaled = logits / temperature
    exponentials: Doubles = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    exponentials /= exponentials.sum(axis=1, keepdims=True)
    return exponentials


def cross_entropy(samples: Samples, temperature: float) -> float:
    """Mean cross entropy, in nats."""
    scaled = samples.logits / temperature
    largest = scaled.max(axis=1, keepdims=True)
    log_total = largest[:, 0] + np.log(np.exp(scaled - largest).sum(axis=1))
    return float((log_total - scaled[np.arange(len(scaled)), samples.right]).mean())


def fit_temperature(samples: Samples, steps: int = 60) -> float:
    """The temperature with the lowest cross entropy, between `TEMPERATURES`.

    Golden-section search over its logarithm: the cross entropy is convex in 1 / temperature, so it
    has one minimum.
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


def sample_error(samples: Samples, temperature: float) -> float:
    """Calibration error of samples at a temperature."""
    scores = probabilities(samples.logits, temperature)
    return calibration_error(scores.max(axis=1), scores.argmax(axis=1) == samples.right)


def held_out_error(samples: Samples) -> float | None:
    """Calibration error with each half of the clips scored by the other half's temperature.

    None with fewer than two clips.
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
    """For each label the lowest score from which it is right at least that share of the time.

    A label that was never the best has none; one that never reaches the share has 1.
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


def given_up_share(samples: Samples) -> float | None:
    """Share of right predictions below the bound that was fitted to the other half of the clips.

    None where a half has too few right predictions for a bound.
    """
    odd = samples.clips % 2 == 1
    halves = [samples.of(half & samples.is_right) for half in (odd, ~odd)]
    below, total = 0, sum(len(half.right) for half in halves)
    for own, other in (halves, halves[::-1]):
        bound = fit_energy_bound(other.logits, other.is_right)
        if bound is None:
            return None
        below += int((energy(own.logits) < bound).sum())
    return below / total


@dataclass(frozen=True)
class Calibration:
    """A fitted calibration with its errors.

    Attributes:
        temperature: new.
        thresholds: by label.
        share: of right labels at the thresholds.
        before: calibration error at the bundle's own temperature.
        after: at the new one, on the predictions that it was fitted to.
        held_out: likewise, on clips that it was not fitted to.
        energy_bound: lowest energy of known inputs; None if too few predictions are right.
        given_up: share of right predictions that the other half's bound calls unknown; None if
            a half has too few.
    """

    temperature: float
    thresholds: Mapping[str, float]
    share: float
    before: float
    after: float
    held_out: float | None
    energy_bound: float | None = None
    given_up: float | None = None

    def applied(self, spec: ModelSpec, facts: Mapping[str, Any]) -> ModelSpec:
        """A description with this calibration; `facts` are added to its scores."""
        scores = {**spec.scores, "calibration": {**self.to_json(), **facts}}
        return replace(
            spec,
            temperature=self.temperature,
            thresholds=dict(self.thresholds),
            energy_bound=self.energy_bound,
            scores=scores,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain containers, without the thresholds."""
        errors = {"ece_before": self.before, "ece_after": self.after, "ece_held_out": self.held_out}
        errors |= {"energy_bound": self.energy_bound, "given_up_held_out": self.given_up}
        rounded = {k: v if v is None else round(v, 6) for k, v in errors.items()}
        return {"temperature": self.temperature, "share": self.share, **rounded}


def calibrate(
    samples: Samples, spec: ModelSpec, share: float, half_full: Samples | None = None
) -> Calibration:
    """Fit temperature, thresholds and the bound of what is known.

    Args:
        samples: of clips that the model was not trained on.
        spec: of the model; its temperature is the reference.
        share: of right labels at each threshold, above 0 to 1.
        half_full: those with a half-full memory too, for the bound; None is `samples`.

    Raises:
        ConfigError: the samples do not determine a temperature.
    """
    seen = half_full or samples
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
        fit_energy_bound(seen.logits, seen.is_right),
        given_up_share(seen),
    )
