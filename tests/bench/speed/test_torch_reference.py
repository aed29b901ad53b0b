"""The PyTorch yardstick computes what the bundle says, from the bundle's own weights."""

from __future__ import annotations

import numpy as np
import pytest

from ecolite_stream.engines.check import relative_error
from ecolite_stream.model.preprocess import preprocess
from trainer.reference.benchmark import TorchReference

pytest.importorskip("torch")


def test_gives_golden_numbers(bundle):
    reference, golden = TorchReference(bundle), bundle.golden()
    inputs = np.stack([preprocess(image, bundle.spec.preprocessing) for image in golden.images])
    features = reference.encode(inputs)
    assert relative_error(features, golden.features) < 1e-4
    assert relative_error(reference.classify(features[None])[0], golden.logits) < 1e-4
