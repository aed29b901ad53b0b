"""The bound of what a model knows: of clips that its training held out, or of placed ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecolite_stream.config.strict import make_config
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.known import FEWEST_RIGHT, LEAST_FILL, energy, fit_energy_bound
from trainer.config.schema import CACHE_MB, TrainConfig
from trainer.data.budget import Budget
from trainer.data.clips import Clip, ClipWindow, cut_windows
from trainer.data.dataset import used_files
from trainer.data.following import PLACED_SCALES, Following
from trainer.data.loader import test_batches
from trainer.data.reading import read_clips, reading_side
from trainer.evaluate import held_out_clips, shown_live
from trainer.loop.scoring import predict
from trainer.weights.checkpoint import Checkpoint, network_from

_PLACES = 1
"""Seed of the places; other than those of the training."""


@dataclass(frozen=True)
class FittedBound:
    """A bound, and what it gives up of the predictions it was fitted to.

    Attributes:
        bound: lowest energy of what is known.
        right: right predictions.
        given_up: those of them that are below the bound.
        clips: which clips these are.
    """

    bound: float
    right: int
    given_up: int
    clips: str

    def __str__(self) -> str:
        return (
            f"known from an energy of {self.bound:.4f}: gives up {self.given_up} of {self.right} "
            f"right predictions of {self.clips}"
        )

    def applied(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with the bound in its description."""
        spec = dataclasses.replace(checkpoint.spec, energy_bound=self.bound)
        return dataclasses.replace(checkpoint, spec=spec)


def fit_held_out_bound(checkpoint: Checkpoint) -> FittedBound:
    """Fit a bound to windows of the held-out clips, each as long as a live memory.

    Raises:
        ConfigError: it is not known how the checkpoint was trained, nothing was held out, the
            clips are not there, or too few predictions are right.
        SourceError: a clip cannot be read.
    """
    config = _configuration(checkpoint)
    clips = shown_live(
        held_out_clips(config, checkpoint.spec), checkpoint.spec, config.data.workers
    )
    return _fit(checkpoint, config, clips, "held-out clips")


def fit_placed_bound(checkpoint: Checkpoint) -> FittedBound:
    """Fit a bound to the training's own clips, at half their size in a larger picture.

    For a training that learned from all clips. What it has learned has higher energies than what
    it has not; small people have lower ones, though still higher than strangers may have.

    Raises:
        ConfigError: as `fit_held_out_bound`, or the framing is not `follow`.
        SourceError: a clip cannot be read.
    """
    spec, config = checkpoint.spec, _configuration(checkpoint)
    if spec.preprocessing.framing != "follow":
        raise ConfigError("only framing follow sees clips that are placed in larger pictures")
    budget = Budget(config.data.cache_mb)
    files = used_files(config.data)
    clips = read_clips(files, reading_side(spec.preprocessing), config.data.workers, budget)
    how = Following(spec.preprocessing.short_side, placed=len(PLACED_SCALES))
    variants = [how.variants(clip, Budget(CACHE_MB), seed=_PLACES) for clip in clips]
    return _fit(checkpoint, config, [found[-1] for found in variants], "half-size clips it knows")


def _configuration(checkpoint: Checkpoint) -> TrainConfig:
    facts = checkpoint.spec.training.get("config")
    if not isinstance(facts, dict):
        raise ConfigError("the checkpoint does not say what it was trained on")
    return make_config(TrainConfig, facts, "configuration of the training")


def _fit(
    checkpoint: Checkpoint, config: TrainConfig, clips: Sequence[Clip], what: str
) -> FittedBound:
    spec = checkpoint.spec
    windows = [window for clip in clips for window in live_windows(clip, spec.clip_seconds)]
    network, size = network_from(checkpoint), config.batch_size
    network.set_train(False)
    logits, labels = [], []
    for batch in test_batches(
        windows, spec.labels, spec.num_segments, spec.preprocessing, size, config.data.workers
    ):
        logits.append(predict(network, batch.inputs, size))
        labels.append(batch.labels)
    of_all, right_labels = np.concatenate(logits), np.concatenate(labels)
    is_right = of_all.argmax(axis=1) == right_labels
    bound = fit_energy_bound(of_all, is_right)
    right = int(is_right.sum())
    if bound is None:
        raise ConfigError(
            f"{right} of {len(is_right)} predictions of {what} are right, fewer than {FEWEST_RIGHT}"
        )
    return FittedBound(bound, right, int((energy(of_all[is_right]) < bound).sum()), what)


def live_windows(clip: Clip, seconds: float) -> list[Clip]:
    """Windows as a live memory shows them, from half-full ones at the start of the clip on."""
    length = max(1, round(seconds * clip.fps))
    facts = (clip.name, clip.label, clip.fps)
    starts = sorted({-round((1 - LEAST_FILL) * length), -round((1 - LEAST_FILL) / 2 * length)})
    # Of a clip that is shorter than a window the early ones would end after it.
    last = clip.num_frames - length
    early = [ClipWindow(*facts, clip, start, length) for start in starts if start < min(0, last)]
    return [*early, *cut_windows(clip, seconds)]
