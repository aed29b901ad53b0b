"""The folder a trained model is shipped in: `bundle.json`, its graphs and its golden numbers.

- bundle.json: what the model is (`ModelSpec`), the schema version and every file's hash
- encoder.mindir, head.mindir: graphs for MindSpore, any batch size
- encoder.onnx, head.onnx: graphs for every other engine, batch size 1
- golden.npz: images (N, H, W, 3) uint8 BGR, features (N, *feature_shape) and logits (classes,)
  float32, to check an engine against
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.preprocess import Preprocessing
from ecolite_stream.strict import make_config
from ecolite_stream.types import FloatArray

SCHEMA_VERSION = 1
DESCRIPTION = "bundle.json"
GOLDEN = "golden.npz"
GRAPHS = ("encoder.mindir", "head.mindir", "encoder.onnx", "head.onnx")
FILES = (*GRAPHS, GOLDEN)


@dataclass(frozen=True)
class ModelSpec:
    """What a model is and how to feed it; the same in a checkpoint and in a bundle.

    Attributes:
        architecture: `eco_lite` or `eco_full`.
        width: channel multiplier of the network; 1 is the paper.
        num_segments: N, features a prediction is made from.
        feature_shape: shape of what the encoder makes of one frame.
        labels: name of each class, in the order of the logits.
        clip_seconds: how many seconds the N segments span.
        preprocessing: how a picture becomes an input.
        temperature: logits are divided by it before softmax; 1 where nobody calibrated.
        thresholds: lowest score at which a label counts, by label.
        training: how it was trained: free facts, shown but never interpreted.
        scores: what it scores, and on what: likewise.
    """

    architecture: str
    width: float
    num_segments: int
    feature_shape: tuple[int, ...]
    labels: tuple[str, ...]
    clip_seconds: float
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    temperature: float = 1.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_segments < 1:
            raise BundleError(f"num_segments is {self.num_segments}; expected at least 1")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise BundleError("labels are missing or not all different")
        for name in ("width", "clip_seconds", "temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise BundleError(f"{name} is {getattr(self, name)}; expected a number above 0")
        if not self.feature_shape or min(self.feature_shape) < 1:
            raise BundleError(f"feature_shape is {self.feature_shape}; expected sizes above 0")
        if unknown := sorted(set(self.thresholds) - set(self.labels)):
            raise BundleError(f"thresholds name labels that do not exist: {', '.join(unknown)}")

    def to_json(self) -> dict[str, Any]:
        """Plain containers, as `bundle.json` and a checkpoint carry them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ModelSpec:
        """The reverse of `to_json`.

        Args:
            values: every key must be there; no default of this program speaks for a model.

        Raises:
            BundleError: a key is missing, unknown, of the wrong kind or out of its range.
        """
        try:
            _require_all(cls, values, "model")
            _require_all(Preprocessing, values["preprocessing"], "preprocessing")
            return make_config(cls, values, "model")
        except ConfigError as error:
            raise BundleError(str(error)) from error


@dataclass(frozen=True)
class Golden:
    """An input with what the checkpoint makes of it.

    Attributes:
        images: (N, H, W, 3) uint8 BGR.
        features: (N, *feature_shape) float32.
        logits: (classes,) float32.
    """

    images: npt.NDArray[np.uint8]
    features: FloatArray
    logits: FloatArray


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk.

    Attributes:
        path: its folder.
        spec: what the model is.
        sha256: hash of each file.
        digest: one hash for the whole bundle: over what it is and over its files' hashes.
    """

    path: Path
    spec: ModelSpec
    sha256: Mapping[str, str]
    digest: str

    def file(self, name: str) -> Path:
        """Path of one of `FILES`."""
        return self.path / name

    def golden(self) -> Golden:
        """The golden numbers to check an engine against.

        Raises:
            BundleError: the file does not hold them.
        """
        try:
            with np.load(self.file(GOLDEN), allow_pickle=False) as arrays:
                return Golden(arrays["images"], arrays["features"], arrays["logits"])
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise BundleError(
                f"{self.file(GOLDEN)} holds no golden numbers: {error}; export the bundle again"
            ) from error


def demo_bundle_path() -> Path:
    """Folder of the embedded default model."""
    return Path(str(resources.files("ecolite_stream") / "bundles" / "demo"))


def read_bundle(path: Path | str) -> Bundle:
    """Read a bundle and verify every file against its hash.

    Raises:
        BundleError: the folder or a file is missing, the schema is unknown, a hash is wrong, or
            the description makes no sense.
    """
    path = Path(path)
    description = _read_description(path)
    version = description.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{path / DESCRIPTION}: schema version is {version!r}, this program reads "
            f"{SCHEMA_VERSION}; install a matching ecolite-stream or export the bundle again"
        )
    digest, expected_digest = _digest(description), description.pop("digest", None)
    sha256 = description.pop("sha256", None)
    if not isinstance(sha256, dict) or not set(FILES) <= set(sha256):
        raise BundleError(
            f"{path / DESCRIPTION}: 'sha256' must list {', '.join(FILES)}; export the bundle again"
        )
    _verify(path, sha256)
    try:
        spec = ModelSpec.from_json(description)
    except BundleError as error:
        raise BundleError(f"{path / DESCRIPTION}: {error}; export the bundle again") from error
    if digest != expected_digest:
        raise BundleError(
            f"{path / DESCRIPTION} is damaged or was edited: its digest is {digest[:12]}..., "
            f"expected {str(expected_digest)[:12]}...; copy or export the bundle again"
        )
    return Bundle(path, spec, sha256, digest)


def write_description(path: Path, spec: ModelSpec, files: Iterable[str] = FILES) -> Bundle:
    """Write `bundle.json` for files that lie in `path` already; the last step of an export."""
    sha256 = {name: hash_file(path / name) for name in files}
    content: dict[str, Any] = {**spec.to_json(), "sha256": sha256}
    digest = _digest(content)
    content = {"schema_version": SCHEMA_VERSION, **content, "digest": digest}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (path / DESCRIPTION).write_text(text, encoding="utf-8")
    return Bundle(path, spec, sha256, digest)


def _digest(description: Mapping[str, Any]) -> str:
    """SHA-256 over a description, but for its schema version and the digest itself."""
    content = {key: value for key, value in description.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_all(kind: type, values: Any, where: str) -> None:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected keys and values, got {values!r}")
    if missing := [f.name for f in dataclasses.fields(kind) if f.name not in values]:
        raise ConfigError(f"{where}: missing key {', '.join(missing)}")


def _read_description(path: Path) -> dict[str, Any]:
    try:
        content = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(
            f"{path} is not a bundle: it has no {DESCRIPTION}; name a folder that "
            "trainer.export wrote"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path / DESCRIPTION} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path / DESCRIPTION} does not hold a JSON object")
    return content


def _verify(path: Path, sha256: Mapping[str, str]) -> None:
    for name, expected in sha256.items():
        if Path(name).name != name:
            raise BundleError(f"{path / DESCRIPTION}: {name!r} is not a plain file name")
        try:
            found = hash_file(path / name)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
            raise BundleError(
                f"{path / name} is missing or unreadable; copy the whole bundle again"
            ) from error
        if found != expected:
            raise BundleError(
                f"{path / name} is damaged: SHA-256 is {found[:12]}..., "
                f"expected {str(expected)[:12]}...; copy or export the bundle again"
            )
