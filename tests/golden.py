"""The golden numbers in `tests/data/golden`: published parameters, an input, and what came out."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden_rule import golden_parameter

FOLDER = Path(__file__).parent / "data" / "golden"


def description(case: str) -> dict[str, Any]:
    """The JSON of one case, such as `ecolite_pytorch_n4`."""
    return json.loads((FOLDER / f"{case}.json").read_text())


def entries(case: str) -> dict[str, np.ndarray]:
    """Published names and values of the parameters of one case."""
    return {
        name: golden_parameter(name, tuple(shape))
        for name, shape in description(case)["parameters"]
    }


def numbers(case: str) -> dict[str, np.ndarray]:
    """What the published implementation computed."""
    with np.load(FOLDER / f"{case}.npz") as arrays:
        return dict(arrays)


def training_input() -> np.ndarray:
    """(2, 4, 3, 224, 224) float32: the batch of `ecolite_training_n4`."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(b"train-input")))
    pixels = rng.integers(0, 256, (2, 4, 3, 224, 224)).astype(np.float32)
    return pixels - np.array([104, 117, 128], np.float32).reshape(1, 1, 3, 1, 1)


def relative_error(found: Any, expected: Any) -> float:
    """Largest error, relative to the largest absolute value that is expected."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())
