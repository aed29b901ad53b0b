"""The golden numbers of a bundle: an input, with the checkpoint's features and logits."""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ecolite_stream.errors import BundleError
from ecolite_stream.model.limits import MAX_GOLDEN_BYTES, MAX_PICTURE_SIDE, require_regular
from ecolite_stream.types import FloatArray

UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Errors of a zip file that is damaged, encrypted or packed in an unknown way."""

_NPY: Any = np.lib.format


@dataclass(frozen=True)
class Golden:
    """An input with the checkpoint's outputs.

    Attributes:
        images: (N, H, W, 3) uint8 BGR.
        features: (N, *feature_shape) float32.
        logits: (classes,) float32.
    """

    images: npt.NDArray[np.uint8]
    features: FloatArray
    logits: FloatArray


def read_golden(path: Path, clip_shape: tuple[int, ...], classes: int) -> Golden:
    """Read an npz file, without pickle and without more memory than its numbers need.

    Args:
        path: the file.
        clip_shape: of the features, (N, *feature_shape).
        classes: number of logits.

    Raises:
        BundleError: the file does not hold them.
    """
    try:
        require_regular(path, MAX_GOLDEN_BYTES)
        with zipfile.ZipFile(path) as arrays:
            return Golden(
                read_array(arrays, "images", np.uint8, (clip_shape[0], None, None, 3)),
                read_array(arrays, "features", np.float32, clip_shape),
                read_array(arrays, "logits", np.float32, (classes,)),
            )
    except (*UNREADABLE, KeyError, ValueError) as error:
        raise BundleError(
            f"{path} holds no golden numbers: {error}; export the bundle again"
        ) from error


def read_array(
    archive: zipfile.ZipFile, name: str, dtype: type[np.generic], shape: tuple[int | None, ...]
) -> npt.NDArray[Any]:
    """Read an array of an npz file; its header is checked before memory is allocated.

    Args:
        archive: the npz file.
        name: of the array.
        dtype: of its values.
        shape: its sizes; None is any up to `MAX_PICTURE_SIDE`.

    Raises:
        ValueError: it has another type or shape, or its file is damaged.
        KeyError: there is no such array.
    """
    with archive.open(f"{name}.npy") as file:
        found, _, kind = _read_header(file)
    fits = len(found) == len(shape) and all(
        size == wanted if wanted else 1 <= size <= MAX_PICTURE_SIDE
        for size, wanted in zip(found, shape, strict=True)
    )
    if not fits or kind != np.dtype(dtype):
        wanted_text = "x".join(str(size or "?") for size in shape)
        raise ValueError(f"{name} is {found} of {kind}, expected {wanted_text} of {dtype.__name__}")
    if math.prod(found) * kind.itemsize > MAX_GOLDEN_BYTES:
        raise ValueError(f"{name} is {found}, expected at most {MAX_GOLDEN_BYTES} bytes")
    with archive.open(f"{name}.npy") as file:
        array: npt.NDArray[Any] = _NPY.read_array(file, allow_pickle=False)
        return array


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    if _NPY.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version of the format than 1.0")
    header: tuple[tuple[int, ...], bool, np.dtype[Any]] = _NPY.read_array_header_1_0(file)
    return header
