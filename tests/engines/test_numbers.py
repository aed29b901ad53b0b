"""Every engine gives the checkpoint's numbers, whatever it was given before."""

from __future__ import annotations

import numpy as np
import pytest

from ecolite_stream.engines import Engine, open_engine
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle
from tests.conftest import installed
from tests.engines.expected import ENGINES, assert_close, golden_inputs


@pytest.mark.parametrize("k", [1, 2, 5])
def test_features_are_the_checkpoints(engine: Engine, bundle: Bundle, k: int) -> None:
    inputs, expected = golden_inputs(bundle), bundle.golden().features
    picked = [i % len(inputs) for i in range(k)]
    assert_close(engine.encode(inputs[picked]), expected[picked])


@pytest.mark.parametrize("b", [1, 2, 5])
def test_logits_are_the_checkpoints(engine: Engine, bundle: Bundle, b: int) -> None:
    golden = bundle.golden()
    assert_close(engine.classify(np.stack([golden.features] * b)), np.stack([golden.logits] * b))


def test_each_of_a_batch_is_computed_alone(engine: Engine, bundle: Bundle) -> None:
    features = bundle.golden().features
    clips = np.stack([features, features[::-1]])
    both = engine.classify(clips)
    assert np.abs(both[0] - both[1]).max() > 0
    for one, expected in zip(clips, both, strict=True):
        np.testing.assert_allclose(engine.classify(one[None])[0], expected, rtol=1e-5, atol=1e-6)


def test_any_memory_layout(engine: Engine, bundle: Bundle) -> None:
    inputs = golden_inputs(bundle)
    turned = np.asfortranarray(inputs)
    np.testing.assert_allclose(engine.encode(turned), engine.encode(inputs), rtol=1e-6)


def test_results_are_the_callers_own(engine: Engine, bundle: Bundle) -> None:
    inputs = golden_inputs(bundle)
    inputs.flags.writeable = False
    features = engine.encode(inputs[:2])
    logits = engine.classify(np.stack([bundle.golden().features]))
    kept = features.copy(), logits.copy()
    engine.encode(255 - inputs[:2])
    engine.classify(np.ones((1, *bundle.golden().features.shape), np.float32))
    np.testing.assert_array_equal(features, kept[0])
    np.testing.assert_array_equal(logits, kept[1])
    features[:] = 0  # nor does writing to them harm the engine
    np.testing.assert_array_equal(engine.encode(inputs[:2]), kept[0])


def test_wrong_shapes_are_an_engine_error(engine: Engine) -> None:
    with pytest.raises(EngineError, match=f"engine {engine.name}: encoder graph of .* failed: "):
        engine.encode(np.zeros((1, 2, 64, 64), np.float32))


@pytest.mark.parametrize("name", ENGINES)
def test_a_closed_engine_says_so(name: str, bundle: Bundle) -> None:
    engine = open_engine(installed(name), bundle)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match=f"engine {name} is closed"):
        engine.encode(np.zeros((1, 3, 64, 64), np.float32))


def test_a_sample_does_not_depend_on_its_batch(engine: Engine, bundle: Bundle) -> None:
    inputs = golden_inputs(bundle)
    images = np.stack([inputs[i % len(inputs)] * (1 + i / 10) for i in range(7)])
    features = engine.encode(images)
    clips = np.stack([features[i : i + bundle.spec.num_segments] for i in range(4)])
    logits = engine.classify(clips)
    for samples, together, run in (
        (images, features, engine.encode),
        (clips, logits, engine.classify),
    ):
        alone = np.concatenate([run(sample[None]) for sample in samples])
        assert np.abs(alone - together).max() <= 1e-5 * np.abs(together).max()


def test_an_engine_goes_on_after_an_error(engine: Engine, bundle: Bundle) -> None:
    inputs = golden_inputs(bundle)
    before = engine.encode(inputs)
    with pytest.raises(EngineError):
        engine.encode(np.zeros((3, 2, 64, 64), np.float32))
    np.testing.assert_array_equal(engine.encode(inputs), before)
