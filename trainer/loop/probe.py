"""A logistic regression on pooled features, scored on held-out groups: what features are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.splits import deal_folds
from trainer.teaching.held_out import PENALTY
from trainer.teaching.regression import fit, softmax

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


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
        own = clips[~held_out]
        share = 1 / np.bincount(own, minlength=len(classes))[own]  # every clip counts the same
        classifier = fit(features[~held_out], classes[own], share, num_classes, PENALTY)
        scored = softmax(classifier.logits(features[held_out].astype(np.float32)))
        for clip in fold:
            chances[clip] = scored[clips[held_out] == clip].mean(axis=0)
    of_class = chances[np.arange(len(classes)), classes]
    return ProbeScore(
        chances.argmax(axis=1) == classes, float(-np.log(np.maximum(of_class, 1e-12)).mean())
    )


def folds_of(names: Sequence[str], groups: dict[str, list[str]], most: int) -> list[Numbers]:
    """Clips by number in at most so many parts of whole groups."""
    parts = [set(part) for part in deal_folds(groups, min(most, len(groups)))]
    return [np.array([i for i, n in enumerate(names) if n in p], np.int64) for p in parts]
