"""The fit against what is known of it: its optimality, weights, and scaled features."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.teaching.regression import fit, softmax


def blobs(classes: int, each: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, 6)) * 2
    labels = np.repeat(np.arange(classes), each)
    return centres[labels] + rng.normal(size=(len(labels), 6)), labels


def test_it_tells_apart_what_can_be_told_apart() -> None:
    features, labels = blobs(4)
    classifier = fit(features, labels, np.ones(len(labels)), 4, 0.01)
    assert classifier.weight.shape == (4, 6)
    assert (classifier.logits(features).argmax(axis=1) == labels).mean() > 0.9


def test_nothing_near_the_answer_costs_less() -> None:
    features, labels = blobs(3)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(labels))
    found = fit(features, labels, weights, 3, 0.1)
    share = weights / weights.sum()
    deviation = np.sqrt(share @ (features - share @ features) ** 2)

    def cost(weight: np.ndarray, bias: np.ndarray) -> float:
        scores = softmax(features @ weight.T + bias)
        entropy = -float(share @ np.log(scores[np.arange(len(labels)), labels]))
        return entropy + 0.05 * float(((weight * deviation) ** 2).sum())

    weight, bias = found.weight.astype(float), found.bias.astype(float)
    least = cost(weight, bias)
    rng = np.random.default_rng(2)
    for size in (1e-1, 1e-2):
        for _ in range(20):
            moved = cost(
                weight + size * rng.normal(size=weight.shape),
                bias + size * rng.normal(size=bias.shape),
            )
            assert moved > least - 1e-7


def test_the_unit_of_a_feature_does_not_matter() -> None:
    features, labels = blobs(3)
    units = np.array([1, 10, 0.1, 3, 1, 5])
    plain = fit(features, labels, np.ones(len(labels)), 3, 0.05)
    scaled = fit(features * units, labels, np.ones(len(labels)), 3, 0.05)
    assert np.allclose(plain.logits(features), scaled.logits(features * units), atol=1e-2)


def test_a_weight_of_two_is_the_sample_twice() -> None:
    features, labels = blobs(2, each=10)
    twice = np.concatenate([np.arange(20), np.arange(5)])
    weights = np.ones(20)
    weights[:5] = 2
    by_weight = fit(features, labels, weights, 2, 0.1)
    by_copy = fit(features[twice], labels[twice], np.ones(25), 2, 0.1)
    assert np.allclose(by_weight.logits(features), by_copy.logits(features), atol=1e-3)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    features, labels = blobs(2)
    flat = np.hstack([features, np.full((len(features), 1), 7.0)])
    assert np.isfinite(fit(flat, labels, np.ones(len(labels)), 2, 0.1).logits(flat)).all()


def test_a_penalty_must_be_above_zero() -> None:
    features, labels = blobs(2)
    with pytest.raises(ValueError, match="penalty is 0"):
        fit(features, labels, np.ones(len(labels)), 2, 0)
