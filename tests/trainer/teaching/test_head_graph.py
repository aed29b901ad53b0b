"""Cutting the classifier off a real head, and putting another one there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.engines import open_engine
from ecolite_stream.errors import BundleError, EngineError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from tests.engines.expected import scaled
from trainer.teaching.head_graph import (
    Classifier,
    opened_without_classifier,
    read_classifier,
    with_classifier,
)

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("openvino", reason="openvino is not installed")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(demo_bundle_path())


def test_features_and_classifier_make_the_golden_logits(bundle: Bundle) -> None:
    golden = bundle.golden()
    with opened_without_classifier(bundle) as engine:
        pooled = engine.classify(golden.features[None])
    classifier = read_classifier(bundle)
    assert pooled.shape == (1, classifier.weight.shape[1])
    assert np.allclose(classifier.logits(pooled)[0], golden.logits, atol=1e-4)


def test_another_classifier_stands_in_the_graph(bundle: Bundle, tmp_path: Path) -> None:
    old = read_classifier(bundle)
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, old.weight.shape[1])).astype(np.float32)
    new = Classifier(weight, np.array([1, 2, 3], np.float32))
    taught = dataclasses.replace(
        bundle, spec=dataclasses.replace(bundle.spec, labels=("a", "b", "c"), thresholds={})
    )
    for graph in bundle.graphs:
        (tmp_path / graph.file).write_bytes(bundle.file(graph.file).read_bytes())
    (tmp_path / "head_2d.onnx").write_bytes(with_classifier(bundle, new))
    onnx.checker.check_model(onnx.load(str(tmp_path / "head_2d.onnx")))
    taught = dataclasses.replace(taught, path=tmp_path)
    golden = bundle.golden()
    with opened_without_classifier(bundle) as engine:
        expected = new.logits(engine.classify(golden.features[None]))
    found = open_engine("openvino", taught).classify(golden.features[None])
    assert np.allclose(found, expected, atol=1e-3)
    assert np.array_equal(read_classifier(taught).weight, new.weight)


def test_a_classifier_of_another_width_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"takes 7 features, the head of .* pools 128"):
        with_classifier(bundle, Classifier(np.zeros((2, 7), np.float32), np.zeros(2, np.float32)))


def test_a_bundle_without_onnx_names_the_way_out(bundle: Bundle) -> None:
    graphs = tuple(graph for graph in bundle.graphs if graph.format == "mindir")
    with pytest.raises(BundleError, match=r"trainer\.export --add-2d"):
        read_classifier(dataclasses.replace(bundle, graphs=graphs))


def test_a_head_that_ends_otherwise_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    model = onnx.load(str(bundle.file("head_2d.onnx")))
    model.graph.node[-1].op_type = "MatMul"
    onnx.save(model, str(tmp_path / "head_2d.onnx"))
    with pytest.raises(BundleError, match="does not end in a linear classifier"):
        read_classifier(dataclasses.replace(bundle, path=tmp_path))


def test_a_file_that_is_no_graph_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "head_2d.onnx").write_bytes(b"\x0a\xffno graph")
    with pytest.raises(BundleError):
        read_classifier(dataclasses.replace(bundle, path=tmp_path))


def test_an_engine_without_the_golden_numbers_teaches_nothing(
    bundle: Bundle, tmp_path: Path
) -> None:
    wrong = scaled(bundle, tmp_path / "wrong", 2)
    with (
        pytest.raises(EngineError, match="disagrees with the bundle"),
        opened_without_classifier(wrong, "openvino"),
    ):
        raise AssertionError
