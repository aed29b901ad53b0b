"""A bundle's graphs with 2D convolutions only, and how an older bundle gets them."""

from __future__ import annotations

import dataclasses
import shutil
from contextlib import closing
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from ecolite_stream.engines import installed_engines, open_engine, require_graphs
from ecolite_stream.engines.check import AGREES, check_apart
from ecolite_stream.errors import BundleError, EngineError
from ecolite_stream.model.bundle import Bundle, Graph, read_bundle, write_description
from tests.conftest import installed
from trainer.export import add_conv2d_only, export_bundle, main, untrained
from trainer.exporting.deploy import export_conv2d_only, export_graph
from trainer.exporting.export_whole import export_whole
from trainer.network import NetworkConfig
from trainer.weights.checkpoint import checkpoint_of, network_from, parameters_of

pytestmark = pytest.mark.timeout(300)


def older_bundle(bundle: Bundle, folder: Path) -> Bundle:
    """A copy of a bundle as older programs wrote it, with ONNX of the ordinary network."""
    shutil.copytree(bundle.path, folder)
    network = network_from(checkpoint_of(bundle))
    golden = bundle.golden()
    size = bundle.spec.preprocessing.image_size
    examples = {
        "encoder": np.zeros((1, 3, size, size), np.float32),
        "head": golden.features[None],
    }
    graphs = [graph for graph in bundle.graphs if graph.format == "mindir"]
    for part, example in examples.items():
        (folder / f"{part}_2d.onnx").unlink()
        export_graph(getattr(network, part), ms.Tensor(example), folder / f"{part}.onnx", "ONNX")
        graphs.append(Graph(part, "onnx", f"{part}.onnx", batch_sizes=(1,)))
    return write_description(folder, bundle.spec, graphs)


@pytest.mark.slow
def test_an_older_bundle_gets_them_and_stays_the_same_model(bundle: Bundle, tmp_path: Path) -> None:
    older = older_bundle(bundle, tmp_path / "older")
    if "openvino" in installed_engines():
        assert check_apart("openvino", older).state == AGREES  # it runs as it is
    newer = add_conv2d_only(older.path)
    assert (newer.spec, newer.files) == (older.spec, older.files)
    assert [(graph.part, graph.format) for graph in newer.graphs] == [
        ("encoder", "mindir"),
        ("head", "mindir"),
        ("encoder_2d", "onnx"),
        ("head_2d", "onnx"),
    ]
    assert not list(newer.path.glob("head.onnx"))
    again = add_conv2d_only(newer.path)  # MindSpore names nodes otherwise each time it exports
    assert [graph.file for graph in again.graphs] == [graph.file for graph in newer.graphs]
    assert [path.name for path in tmp_path.iterdir()] == ["older"]


def test_the_head_for_mindspore_too_where_it_is_asked_for(tmp_path: Path) -> None:
    words = "--untrained --num-segments 4 --width 0.125 --image-size 32 --classes 3 --mindspore-2d"
    main([*words.split(), "--bundle", str(tmp_path / "bundle")], standalone_mode=False)
    found = read_bundle(tmp_path / "bundle")
    files = [graph.file for graph in require_graphs("mindspore", found)]
    assert files == ["encoder.mindir", "head_2d.mindir"]  # and export has run both on the engine
    with closing(open_engine("mindspore", found)) as engine:
        clip = found.golden().features[None]
        np.testing.assert_allclose(
            engine.classify(np.concatenate([clip, clip])),
            np.stack([found.golden().logits] * 2),
            atol=1e-4,
        )
    again = add_conv2d_only(found.path)
    assert [graph.file for graph in again.graphs].count("head_2d.mindir") == 1
    checkpoint_of(again)  # its weights are still those of the ordinary graphs


def test_the_weights_of_a_bundle_are_the_checkpoints(bundle: Bundle) -> None:
    checkpoint = checkpoint_of(bundle)
    found = parameters_of(network_from(checkpoint))
    assert found.keys() == checkpoint.parameters.keys()
    for name, value in checkpoint.parameters.items():
        np.testing.assert_array_equal(found[name], value)


def test_a_bundle_without_weights_that_can_be_had(bundle: Bundle) -> None:
    only = tuple(graph for graph in bundle.graphs if graph.format == "onnx")
    with pytest.raises(BundleError, match="has no encoder graph of format mindir"):
        checkpoint_of(dataclasses.replace(bundle, graphs=only))


def test_they_are_held_against_the_golden_numbers(bundle: Bundle, tmp_path: Path) -> None:
    golden = bundle.golden()
    other = dataclasses.replace(golden, logits=golden.logits * 1.001)
    with pytest.raises(EngineError, match=r"2D graphs disagree .* their logits are off by 1"):
        export_conv2d_only(checkpoint_of(bundle), other, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_engine_runs_the_2d_graphs_of_onnx(bundle: Bundle) -> None:
    files = {graph.file for graph in require_graphs("openvino", bundle)}
    assert files == {"encoder_2d.onnx", "head_2d.onnx"}
    installed("openvino")
    assert check_apart("openvino", bundle).state == AGREES


@pytest.mark.parametrize(
    "architecture", ["eco_lite", pytest.param("eco_full", marks=pytest.mark.slow)]
)
def test_weights_that_no_tap_reaches_are_not_shipped(architecture: str, tmp_path: Path) -> None:
    checkpoint = untrained(NetworkConfig(architecture, 4, 32, 3, width=0.125))
    bundle = export_bundle(checkpoint, tmp_path / "bundle")
    whole = export_whole(checkpoint, "MINDIR", tmp_path / "whole").stat().st_size
    graphs = (bundle.path / "head.mindir", bundle.path / "head_2d.onnx")
    for graph in graphs:
        assert graph.stat().st_size < 0.75 * whole
    found = checkpoint_of(bundle)
    kernels = {name: value for name, value in found.parameters.items() if value.ndim == 5}
    left_out = [name for name, value in kernels.items() if not value[:, :, 0].any()]
    assert {name.split(".")[-3] for name in left_out} == {"a_1", "a_2", "a_down", "b_1", "b_2"}
    assert all("res5" in name for name in left_out)
    images = np.random.default_rng(0).normal(0, 1, (1, 4, 3, 32, 32)).astype(np.float32)
    expected, same = (
        network_from(each)(ms.Tensor(images)).asnumpy() for each in (checkpoint, found)
    )
    np.testing.assert_allclose(same, expected, rtol=1e-5, atol=1e-6)
