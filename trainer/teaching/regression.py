"""Multinomial logistic regression with weights for samples and a quadratic penalty.

Numpy alone: full-batch gradient steps with Nesterov's momentum on features of unit variance, whose
step size follows from the largest curvature. The cost is convex, so the answer does not depend on
a start or a seed.

Source: Nesterov, Introductory Lectures on Convex Optimization (2004), 2.2; restarts as in
O'Donoghue and Candes, Adaptive Restart for Accelerated Gradient Schemes (2015).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.teaching.head_graph import Classifier

Doubles = npt.NDArray[np.float64]

MOST_STEPS = 2000
TOLERANCE = 1e-5
"""Largest value of the gradient at which the fit counts as done."""
LEAST_DEVIATION = 1e-3
"""Of a feature, as a share of the mean of all; those that hardly vary are not blown up."""


def fit(
    features_KD: npt.NDArray[Any],
    labels_K: npt.NDArray[Any],
    weights_K: npt.NDArray[Any],
    classes: int,
    penalty: float,
) -> Classifier:
    """The classifier of least weighted cross entropy plus `penalty / 2` times its squared weights.

    Args:
        features_KD: (K, D) pooled features.
        labels_K: (K,) numbers of the classes, 0 to `classes` - 1.
        weights_K: (K,) how much each sample counts; only their ratios matter.
        classes: how many there are.
        penalty: above 0, for features of unit variance; biases are free.
    """
    if not penalty > 0 or not len(features_KD):
        raise ValueError(f"penalty is {penalty} of {len(features_KD)} samples; expected above 0")
    share_K = np.asarray(weights_K, np.float64) / np.sum(weights_K)
    x_KD = np.asarray(features_KD, np.float64)
    mean_D = share_K @ x_KD
    deviation_D = np.sqrt(share_K @ (x_KD - mean_D) ** 2)
    deviation_D = np.maximum(deviation_D, LEAST_DEVIATION * deviation_D.mean() + 1e-12)
    scaled_KD = np.hstack([(x_KD - mean_D) / deviation_D, np.ones((len(x_KD), 1))])
    target_KC = np.eye(classes)[labels_K]
    weight_DC = _descend(scaled_KD, target_KC, share_K, penalty)
    own_CD = weight_DC[:-1].T / deviation_D
    bias_C = weight_DC[-1] - own_CD @ mean_D
    return Classifier(own_CD.astype(np.float32), bias_C.astype(np.float32))


def _descend(x_KD: Doubles, target_KC: Doubles, share_K: Doubles, penalty: float) -> Doubles:
    """Weights (D, C) of the least cost; the last row are biases, which are not penalised."""
    penalties_D1 = np.full((x_KD.shape[1], 1), penalty)
    penalties_D1[-1] = 0
    weighted_DK = (x_KD * share_K[:, None]).T
    # The Hessian of softmax is at most half of the second moment of the features.
    step = 1 / (0.5 * float(np.linalg.eigvalsh(weighted_DK @ x_KD)[-1]) + penalty)
    weight_DC = np.zeros((x_KD.shape[1], target_KC.shape[1]))
    ahead_DC, momentum = weight_DC, 1.0
    for _ in range(MOST_STEPS):
        slope_DC = weighted_DK @ (softmax(x_KD @ ahead_DC) - target_KC) + penalties_D1 * ahead_DC
        if np.abs(slope_DC).max() < TOLERANCE:
            break
        next_DC = ahead_DC - step * slope_DC
        if float((slope_DC * (next_DC - weight_DC)).sum()) > 0:  # uphill: forget the momentum
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead_DC = next_DC + (momentum - 1) / following * (next_DC - weight_DC)
        weight_DC, momentum = next_DC, following
    return ahead_DC


def softmax(logits_KC: npt.NDArray[Any]) -> Doubles:
    """(K, classes) logits -> (K, classes) probabilities."""
    raised = np.exp(np.asarray(logits_KC, np.float64) - logits_KC.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
