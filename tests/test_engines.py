from __future__ import annotations

import dataclasses
import shutil
import signal
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ecolite_stream import engines
from ecolite_stream.bundle import Bundle, write_description
from ecolite_stream.engines import Engine, base, installed_engines, open_engine
from ecolite_stream.errors import EngineError
from ecolite_stream.preprocess import preprocess
from tests.conftest import installed

ENGINES = ("mindspore", "openvino")


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, bundle: Bundle) -> Iterable[Engine]:
    opened = open_engine(installed(request.param), bundle)
    yield opened
    opened.close()


def golden_inputs(bundle: Bundle) -> np.ndarray:
    how = bundle.spec.preprocessing
    return np.stack([preprocess(image, how) for image in bundle.golden().images])


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


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
    with pytest.raises(EngineError, match=f"engine {engine.name} failed: "):
        engine.encode(np.zeros((1, 2, 64, 64), np.float32))


@pytest.mark.parametrize("name", ENGINES)
def test_a_closed_engine_says_so(name: str, bundle: Bundle) -> None:
    engine = open_engine(installed(name), bundle)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match=f"engine {name} is closed"):
        engine.encode(np.zeros((1, 3, 64, 64), np.float32))


def test_auto_takes_the_fastest_installed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("openvino")
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "openvino", None)  # as if it were not installed
        assert installed_engines() == ["mindspore"]
        assert open_engine("auto", bundle).name == "mindspore"
        context.setitem(sys.modules, "mindspore", None)
        with pytest.raises(EngineError, match=r"no inference engine .* 'ecolite-stream\[openvino"):
            open_engine("auto", bundle)
    assert installed_engines() == ["openvino", "mindspore"]
    assert open_engine("auto", bundle).name == "openvino"


@pytest.mark.parametrize(
    ("name", "requirement"),
    [("openvino", "ecolite-stream[openvino]"), ("mindspore", "ecolite-stream")],
)
def test_a_library_that_is_not_installed(
    name: str, requirement: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError) as caught:
        open_engine(name, bundle)
    assert str(caught.value) == f"engine {name} is not installed; run pip install '{requirement}'"


@pytest.mark.parametrize(
    "error",
    [
        ImportError("numpy.core.multiarray failed to import"),
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
        OSError("libstdc++.so.6: version `GLIBCXX_3.4.32' not found"),
    ],
)
def test_a_library_that_is_broken(
    error: Exception, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(base, "importlib", SimpleNamespace(import_module=fail))
    with pytest.raises(EngineError) as caught:
        open_engine("openvino", bundle)
    assert str(caught.value) == (
        f"engine openvino is installed but cannot be imported: {error}; install it again"
    )


def test_an_interruption_waits_until_an_engine_is_open(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Bundle] = []

    def open_slowly(bundle: Bundle) -> Engine:
        signal.raise_signal(signal.SIGINT)
        done.append(bundle)
        return open_engine("auto", bundle)

    monkeypatch.setitem(engines._ENGINES, "slow", open_slowly)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        open_engine("slow", bundle)
    assert done == [bundle]
    assert signal.getsignal(signal.SIGINT) is handler
    with ThreadPoolExecutor(1) as pool:  # other threads are never interrupted
        assert pool.submit(open_engine, "auto", bundle).result().name in ENGINES


def test_an_unknown_engine(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="'tpu'; expected auto, openvino, mindspore"):
        open_engine("tpu", bundle)


@pytest.mark.parametrize(("name", "suffix"), [("mindspore", "mindir"), ("openvino", "onnx")])
def test_graphs_that_are_none(name: str, suffix: str, bundle: Bundle, tmp_path: Path) -> None:
    """Though their hashes are right."""
    folder = tmp_path / "model"
    shutil.copytree(bundle.path, folder)
    (folder / f"head.{suffix}").write_bytes(b"no graph")
    broken = write_description(folder, bundle.spec)
    with pytest.raises(EngineError, match=f"engine {name} cannot .*head.{suffix}"):
        open_engine(installed(name), broken)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ("one", "two")}, "makes logits of shape (1, 5), the bundle says (1, 2)"),
        ({"feature_shape": (1, 8, 8)}, "makes features of shape (1, 24, 8, 8), the bundle says"),
    ],
)
def test_graphs_that_are_not_what_the_bundle_says(
    name: str, changes: dict[str, object], words: str, bundle: Bundle
) -> None:
    wrong = dataclasses.replace(bundle, spec=dataclasses.replace(bundle.spec, **changes))
    with pytest.raises(EngineError) as caught:
        open_engine(installed(name), wrong)
    assert words in str(caught.value)
