"""A bundle's graphs with 2D convolutions only, and how an older bundle gets them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.bundle import GOLDEN, PLANAR_PARTS, Bundle, read_bundle, write_description
from ecolite_stream.engines.check import AGREES, check_apart
from ecolite_stream.errors import BundleError, EngineError
from tests.conftest import installed
from trainer.checkpoint import checkpoint_of, network_from, parameters_of
from trainer.deploy import export_planar, planar_only
from trainer.export import add_planar

pytestmark = pytest.mark.timeout(300)


def without_planar(bundle: Bundle, folder: Path) -> Bundle:
    """A copy of a bundle as older programs wrote it."""
    shutil.copytree(bundle.path, folder)
    older = [graph for graph in bundle.graphs if graph.part not in PLANAR_PARTS.values()]
    for name in PLANAR_PARTS.values():
        (folder / f"{name}.onnx").unlink()
    return write_description(folder, bundle.spec, older)


def test_an_older_bundle_gets_them_and_stays_the_same_model(bundle: Bundle, tmp_path: Path) -> None:
    older = without_planar(bundle, tmp_path / "older")
    newer = add_planar(older.path)
    assert [graph.part for graph in newer.graphs[-2:]] == list(PLANAR_PARTS.values())
    assert (newer.spec, newer.files) == (older.spec, older.files)
    assert newer.graphs[:-2] == older.graphs
    again = add_planar(newer.path)  # MindSpore names nodes otherwise each time it exports
    assert [graph.file for graph in again.graphs] == [graph.file for graph in newer.graphs]
    assert [path.name for path in tmp_path.iterdir()] == ["older"]


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
        export_planar(checkpoint_of(bundle), other, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_engines_run_them(bundle: Bundle, tmp_path: Path) -> None:
    installed("openvino")
    only = planar_only(bundle, tmp_path)
    assert {graph.file for graph in only.graphs} == {"encoder_2d.onnx", "head_2d.onnx"}
    assert (tmp_path / GOLDEN).is_file()
    assert read_bundle(tmp_path) == only
    assert check_apart("openvino", only).state == AGREES
