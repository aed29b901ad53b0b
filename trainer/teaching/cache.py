"""Features on disk, found again by content: safe to delete, bounded in size.

The name of a file is a hash of the clip's bytes, the bundle's graphs and how clips are read. A clip
or a bundle that changes has another name, so nothing in the cache can be stale.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ecolite_stream.datasets.checked_clips import cache_folder
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.model.golden import UNREADABLE, read_array
from ecolite_stream.types import FloatArray
from trainer.teaching.features import EVERY_S, LONGEST_S, VARIANTS, ClipWindows, Windows
from trainer.teaching.head_graph import onnx_graphs

FOLDER = "taught-features"
MOST_BYTES = 1_000_000_000
VERSION = 1
"""Of what stands in the files; another one makes all of them anew."""

_log = logging.getLogger(__name__)


def hash_clip(path: Path) -> str:
    """Hash of a clip's bytes, hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


class FeatureCache:
    """The features of one bundle, as one engine computes them.

    Args:
        bundle: whose features they are.
        engine: its name and precision, `openvino f32`.
        folder: None is `taught-features` in `cache_folder`.
        most_bytes: all files together have no more; those used longest ago go first.
    """

    def __init__(
        self, bundle: Bundle, engine: str, folder: Path | None = None, most_bytes: int = MOST_BYTES
    ) -> None:
        self._folder = folder or cache_folder() / FOLDER
        self._most_bytes = most_bytes
        spec = bundle.spec
        preprocessing = {k: v for k, v in asdict(spec.preprocessing).items() if k != "framing"}
        graphs = [graph.sha256 for graph in onnx_graphs(bundle)]
        facts = (VERSION, engine, graphs, preprocessing, spec.clip_seconds, spec.num_segments)
        self._key = repr((*facts, EVERY_S, LONGEST_S, VARIANTS))
        self._warned = False

    def read(self, clip_hash: str, framing: str) -> ClipWindows | None:
        """The windows of a clip; None where they are not there, or their file is damaged."""
        path = self._path(clip_hash, framing)
        try:
            with zipfile.ZipFile(path) as arrays:
                found = {variant: _read(arrays, variant) for variant in VARIANTS}
            os.utime(path)  # used now
        except (*UNREADABLE, KeyError, ValueError):
            return None
        return found

    def write(self, clip_hash: str, framing: str, windows: ClipWindows) -> None:
        """Keep the windows of a clip; where that fails, a warning says so once."""
        path = self._path(clip_hash, framing)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        arrays = {}
        for variant in VARIANTS:
            arrays[_name(variant, "pooled")] = windows[variant].pooled
            arrays[_name(variant, "fill")] = windows[variant].fill
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(file, **arrays)
            part.replace(path)
        except OSError as error:
            self._warn(f"{path} cannot be written ({error.strerror})")
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def prune(self) -> None:
        """Remove the files that were used longest ago, down to `most_bytes`."""
        try:
            states = [(path, path.stat()) for path in self._folder.iterdir()]
        except OSError:
            return
        states.sort(key=lambda pair: pair[1].st_mtime)
        total = sum(state.st_size for _, state in states)
        for path, state in states:
            if total <= self._most_bytes:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                total -= state.st_size

    def kept(self, clip_hash: str, framings: Sequence[str]) -> dict[str, ClipWindows]:
        """Framing -> windows, of those framings that are there."""
        found = {framing: self.read(clip_hash, framing) for framing in framings}
        return {framing: windows for framing, windows in found.items() if windows is not None}

    def _path(self, clip_hash: str, framing: str) -> Path:
        text = f"{self._key} {clip_hash} {framing}"
        name = hashlib.blake2b(text.encode(), digest_size=20).hexdigest()
        return self._folder / f"{name}.npz"

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("%s: features are computed again next time", what)


def _read(arrays: zipfile.ZipFile, variant: str) -> Windows:
    """Raises ValueError where the arrays are no windows."""
    pooled: FloatArray = read_array(arrays, _name(variant, "pooled"), np.float32, (None, None))
    fill: FloatArray = read_array(arrays, _name(variant, "fill"), np.float32, (len(pooled),))
    if not np.isfinite(pooled).all():
        raise ValueError("features that are no numbers")
    return Windows(pooled, fill)


def _name(variant: str, what: str) -> str:
    return f"{variant}_{what}"
