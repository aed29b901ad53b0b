"""The bound of what a model knows, fitted to the clips that its training held out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ecolite_stream.config.strict import make_config
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.known import FEWEST_RIGHT, LEAST_FILL, energy, fit_energy_bound
from trainer.config.schema import TrainConfig
from trainer.data.clips import Clip, ClipWindow, cut_windows
from trainer.data.loader import test_batches
from trainer.evaluate import held_out_clips, shown_live
from trainer.loop.scoring import predict
from trainer.weights.checkpoint import Checkpoint, network_from


@dataclass(frozen=True)
class HeldOutBound:
    """A bound, and what it gives up of the predictions it was fitted to.

    Attributes:
        bound: lowest energy of what is known.
        right: right predictions.
        given_up: those of them that are below the bound.
    """

    bound: float
    right: int
    given_up: int

    def __str__(self) -> str:
        return (
            f"known from an energy of {self.bound:.4f}: gives up {self.given_up} of {self.right} "
            "right predictions held out"
        )

    def applied(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with the bound in its description."""
        spec = dataclasses.replace(checkpoint.spec, energy_bound=self.bound)
        return dataclasses.replace(checkpoint, spec=spec)


def fit_held_out_bound(checkpoint: Checkpoint) -> HeldOutBound:
    """Fit a bound to windows of the held-out clips, each as long as a live memory.

    Raises:
        ConfigError: it is not known how the checkpoint was trained, nothing was held out, the
            clips are not there, or too few predictions are right.
        SourceError: a clip cannot be read.
    """
    spec = checkpoint.spec
    facts = spec.training.get("config")
    if not isinstance(facts, dict):
        raise ConfigError("the checkpoint does not say what it was trained on")
    config = make_config(TrainConfig, facts, "configuration of the training")
    clips = shown_live(held_out_clips(config, spec), spec, config.data.workers)
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
            f"{right} of {len(is_right)} held-out predictions are right, fewer than {FEWEST_RIGHT}"
        )
    return HeldOutBound(bound, right, int((energy(of_all[is_right]) < bound).sum()))


def live_windows(clip: Clip, seconds: float) -> list[Clip]:
    """Windows as a live memory shows them, from half-full ones at the start of the clip on."""
    length = max(1, round(seconds * clip.fps))
    facts = (clip.name, clip.label, clip.fps)
    starts = sorted({-round((1 - LEAST_FILL) * length), -round((1 - LEAST_FILL) / 2 * length)})
    # Of a clip that is shorter than a window the early ones would end after it.
    last = clip.num_frames - length
    early = [ClipWindow(*facts, clip, start, length) for start in starts if start < min(0, last)]
    return [*early, *cut_windows(clip, seconds)]
