"""Scores of a network over clips."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import mindspore as ms
import numpy as np

from ecolite_stream.types import FloatArray
from trainer.data.loader import Batch
from trainer.loop.distributed import Group, sum_over
from trainer.network import Network


@dataclass(frozen=True)
class Scores:
    """Mean cross entropy, top-1 and top-5 accuracy (0 to 1)."""

    loss: float
    top1: float
    top5: float
    num_clips: int

    def __str__(self) -> str:
        return (
            f"{{'Loss': {self.loss:.4f}, 'Top1-Acc': {self.top1:.4f}, 'Top5-Acc': {self.top5:.4f}}}"
        )


def evaluate(network: Network, batches: Iterable[Batch], batch_size: int) -> Scores:
    """Score a network on batches of at most `batch_size` clips; turns training mode off."""
    network.set_train(False)
    logits, labels = [], []
    for batch in batches:
        logits.append(predict(network, batch.inputs, batch_size))
        labels.append(batch.labels)
    if not labels:
        return Scores(0.0, 0.0, 0.0, 0)
    return score(np.concatenate(logits), np.concatenate(labels))


def combine(scores: Scores, group: Group) -> Scores:
    """Combine the scores of all processes."""
    if group.size == 1:
        return scores
    own = np.array([scores.loss, scores.top1, scores.top5, 1], np.float32) * scores.num_clips
    loss, top1, top5, clips = (float(value) for value in sum_over(group, own))
    return Scores(loss / clips, top1 / clips, top5 / clips, round(clips))


def predict(network: Network, inputs: FloatArray, batch_size: int) -> FloatArray:
    """Logits (B, classes) of clips (B, N, 3, S, S), B <= batch_size.

    Smaller batches are padded, since each new shape compiles the graph again.
    """
    missing = batch_size - len(inputs)
    filled = np.concatenate([inputs, np.repeat(inputs[-1:], missing, axis=0)])
    return np.asarray(network(ms.Tensor(filled)).asnumpy()[: len(inputs)], np.float32)


def score(logits: FloatArray, labels: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Scores:
    """Scores of logits (M, classes) against labels (M,).

    Ties count against the label, and NaN is never right.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_likelihood = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    own = np.arange(len(labels))
    of_label = logits[own, labels]
    before = ~(logits < of_label[:, None])
    before[own, labels] = False
    rank = np.where(np.isnan(of_label), np.inf, before.sum(axis=1))
    return Scores(
        loss=float(-log_likelihood[own, labels].mean()),
        top1=float((rank < 1).mean()),
        top5=float((rank < 5).mean()),
        num_clips=len(labels),
    )
