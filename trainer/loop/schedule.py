"""Learning rates over a training."""

from __future__ import annotations

import math
from collections.abc import Mapping

from trainer.config.schema import TrainConfig

WARM_UP = 0.15  # share of the steps in which one_cycle rises
START_DIVISOR, END_DIVISOR = 25.0, 1e4
DROP = 0.1


class Schedule:
    """The learning rate of every step.

    `constant`; `cosine` from lr to 0; `one_cycle` up to lr and down again, both along cosines
    (Smith and Topin 2018); `saturate`, as published: a tenth whenever the best score is older than
    `num_saturate` epochs.
    """

    def __init__(self, config: TrainConfig, total_steps: int) -> None:
        self.config = config
        self.total_steps = total_steps
        self._best_score = -math.inf
        self._epochs_without_gain = 0
        self._drops = 0

    def rate(self, step: int) -> float:
        """Learning rate of 0-based `step`."""
        config, progress = self.config, step / max(1, self.total_steps - 1)
        if config.lr_schedule == "cosine":
            return _cosine(config.lr, 0.0, progress)
        if config.lr_schedule == "one_cycle":
            if progress < WARM_UP:
                return _cosine(config.lr / START_DIVISOR, config.lr, progress / WARM_UP)
            share = (progress - WARM_UP) / (1 - WARM_UP)
            return _cosine(config.lr, config.lr / START_DIVISOR / END_DIVISOR, share)
        return float(config.lr * DROP**self._drops)

    def end_epoch(self, score: float) -> None:
        """Record an epoch's validation score (more is better)."""
        if score > self._best_score:
            self._best_score, self._epochs_without_gain = score, 0
            return
        self._epochs_without_gain += 1
        if self._epochs_without_gain >= self.config.num_saturate:
            self._drops, self._epochs_without_gain = self._drops + 1, 0

    def state(self) -> dict[str, float]:
        """State that depends on validation scores, for `restore`."""
        return {
            "best_score": self._best_score,
            "epochs_without_gain": self._epochs_without_gain,
            "drops": self._drops,
        }

    def restore(self, state: Mapping[str, float]) -> None:
        """Restore `state()`."""
        self._best_score = state["best_score"]
        self._epochs_without_gain = int(state["epochs_without_gain"])
        self._drops = int(state["drops"])


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
