"""What the tests of engines hold them against."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np

from ecolite_stream.model.bundle import GOLDEN, Bundle, write_description
from ecolite_stream.model.preprocess import preprocess

ENGINES = ("mindspore", "onnxruntime", "openvino")


def golden_inputs(bundle: Bundle) -> np.ndarray:
    how = bundle.spec.preprocessing
    return np.stack([preprocess(image, how) for image in bundle.golden().images])


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


def only(bundle: Bundle, *formats: str) -> Bundle:
    """The bundle without its graphs of other formats."""
    kept = tuple(graph for graph in bundle.graphs if graph.format in formats)
    return dataclasses.replace(bundle, graphs=kept)


def scaled(bundle: Bundle, folder: Path, factor: float) -> Bundle:
    """A copy of a bundle whose golden features are not what its encoder makes."""
    shutil.copytree(bundle.path, folder)
    golden = dataclasses.asdict(bundle.golden())
    np.savez(folder / GOLDEN, **{**golden, "features": golden["features"] * factor})
    return write_description(folder, bundle.spec)
