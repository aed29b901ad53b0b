"""Limits of a bundle, which may come from an untrusted source.

Its hashes show that it is complete, not that it is harmless.
"""

from __future__ import annotations

import math
import stat
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ecolite_stream.errors import BundleError

MAX_DESCRIPTION_BYTES = 4_000_000
MAX_GRAPH_BYTES = 2_000_000_000
"""The limit of a protobuf message."""
MAX_GOLDEN_BYTES = 256_000_000
MAX_FILES = 64
MAX_LABELS, MAX_LABEL_LENGTH = 10_000, 200
MAX_SEGMENTS = 256
MAX_FEATURES = 2**28
"""Values of the features of one clip: 1 GB."""
MAX_PICTURE_SIDE = 8192

CLIP_SECONDS = (0.01, 3600.0)
TEMPERATURE = (0.001, 1000.0)
ENERGY = (-1e6, 1e6)
WIDTH = (0.001, 16.0)

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories: control characters, lone surrogates, separators of lines and paragraphs."""
_BIDIRECTIONAL = {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}
"""They change the direction of the text that follows."""


def require_regular(
    path: Path, limit_bytes: int, advice: str = "copy the whole bundle again"
) -> None:
    """Check that a path leads to a regular file of at most `limit_bytes`.

    Raises:
        BundleError: it is a pipe, a device or a folder, or too large.
        OSError: it does not exist.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise BundleError(f"{path} is no regular file; {advice}")
    if found.st_size > limit_bytes:
        raise BundleError(
            f"{path} has {found.st_size} bytes, at most {limit_bytes} are read; {advice}"
        )


def is_printable(text: str, longest: int = MAX_LABEL_LENGTH) -> bool:
    """Whether text has 1 to `longest` characters, all safe for a terminal and a log."""
    return 0 < len(text) <= longest and not any(
        unicodedata.category(char) in _UNPRINTABLE or char in _BIDIRECTIONAL for char in text
    )


def require_names(what: str, names: Iterable[Any]) -> None:
    """Check that all are printable names.

    Raises:
        BundleError: one is not.
    """
    for name in names:
        if not isinstance(name, str) or not is_printable(name):
            raise BundleError(
                f"{what} {_short(name)} is no name of 1 to {MAX_LABEL_LENGTH} printable "
                "characters in one line; name it otherwise"
            )


def require_between(name: str, value: float, low: float, high: float) -> None:
    """Check that `low <= value <= high`.

    Raises:
        BundleError: it is outside, or NaN.
    """
    if not low <= value <= high:
        raise BundleError(f"{name} is {value}; expected {low:g} to {high:g}")


def require_labels(labels: tuple[str, ...], thresholds: Mapping[str, float]) -> None:
    """Check that labels are distinct names, not too many, and thresholds are scores.

    Raises:
        BundleError: they are not.
    """
    if not labels or len(set(labels)) != len(labels):
        raise BundleError("labels are missing or not all different")
    if len(labels) > MAX_LABELS:
        raise BundleError(f"there are {len(labels)} labels; expected at most {MAX_LABELS}")
    require_names("label", labels)
    if unknown := sorted(set(thresholds) - set(labels)):
        names = ", ".join(map(_short, unknown[:3]))
        raise BundleError(f"thresholds name labels that do not exist: {names}")
    for label, threshold in thresholds.items():
        require_between(f"threshold of {label}", threshold, 0, 1)


def require_feature_shape(shape: tuple[int, ...], num_segments: int) -> None:
    """Check that the features of a clip fit into memory.

    Raises:
        BundleError: they do not, or a size is below 1.
    """
    if not 1 <= len(shape) <= 4 or min(shape) < 1:
        raise BundleError(f"feature_shape is {shape[:5]}; expected 1 to 4 sizes above 0")
    if math.prod(shape) * num_segments > MAX_FEATURES:
        raise BundleError(
            f"feature_shape is {shape} for {num_segments} segments; expected at most "
            f"{MAX_FEATURES} values in all"
        )


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def shown_hash(value: object) -> str:
    """The first twelve characters of a supposed hash, safe for a terminal."""
    text = str(value)[:12]
    return text if text.isprintable() else ascii(text)
