"""A logistic regression on pooled features, scored on held-out groups: what features are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.splits import deal_folds

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

DECAY = 1e-2
"""Weight of the squared norm, features standardized."""
STEPS = 400


@dataclass(frozen=True)
class ProbeScore:
    """How held-out clips come out.

    Attributes:
        is_right: (clips,) whether the class with the highest mean probability is the clip's.
        cross_entropy: of the clips' mean probabilities, in nats.
    """

    is_right: npt.NDArray[np.bool_]
    cross_entropy: float

    @property
    def num_right(self) -> int:
        return int(self.is_right.sum())


def probe(
    features: Doubles, clips: Numbers, classes: Numbers, folds: Sequence[Numbers]
) -> ProbeScore:
    """Score each clip by a regression on the clips of all other folds.

    Args:
        features: (W, F) of windows.
        clips: (W,) the number of each window's clip.
        classes: (C,) the class of each clip.
        folds: the numbers of the clips in each fold; together they are all clips.
    """
    num_classes = int(classes.max()) + 1
    chances = np.zeros((len(classes), num_classes))
    for fold in folds:
        held_out = np.isin(clips, fold)
        own = features[~held_out]
        mean, spread = own.mean(axis=0), own.std(axis=0) + 1e-6
        weights = fit_logistic((own - mean) / spread, classes[clips[~held_out]], num_classes)
        scored = softmax(with_one((features[held_out] - mean) / spread) @ weights)
        for clip in fold:
            chances[clip] = scored[clips[held_out] == clip].mean(axis=0)
    of_class = chances[np.arange(len(classes)), classes]
    return ProbeScore(
        chances.argmax(axis=1) == classes, float(-np.log(np.maximum(of_class, 1e-12)).mean())
    )


def fit_logistic(features: Doubles, classes: Numbers, num_classes: int) -> Doubles:
    """Multinomial logistic regression: weights (F + 1, classes), the last row the bias.

    Nesterov's gradient descent; the step is that of the loss's largest curvature.
    """
    inputs = with_one(features)
    targets = np.eye(num_classes)[classes]
    curvature = 0.5 * np.linalg.norm(inputs, 2) ** 2 / len(inputs) + DECAY
    weights = ahead = np.zeros((inputs.shape[1], num_classes))
    for step in range(STEPS):
        slope = inputs.T @ (softmax(inputs @ ahead) - targets) / len(inputs)
        slope[:-1] += DECAY * ahead[:-1]
        new = ahead - slope / curvature
        ahead = new + step / (step + 3) * (new - weights)
        weights = new
    return weights


def folds_of(names: Sequence[str], groups: dict[str, list[str]], most: int) -> list[Numbers]:
    """Clips by number in at most so many parts of whole groups."""
    parts = [set(part) for part in deal_folds(groups, min(most, len(groups)))]
    return [np.array([i for i, n in enumerate(names) if n in p], np.int64) for p in parts]


def with_one(features: Doubles) -> Doubles:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def softmax(logits: Doubles) -> Doubles:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
