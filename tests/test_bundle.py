from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecolite_stream.bundle import (
    DESCRIPTION,
    FILES,
    Bundle,
    ModelSpec,
    demo_bundle_path,
    read_bundle,
    write_description,
)
from ecolite_stream.errors import BundleError
from ecolite_stream.preprocess import Preprocessing

SPEC = ModelSpec(
    architecture="eco_full",
    width=0.5,
    num_segments=8,
    feature_shape=(4, 2, 2),
    labels=("b\u00f6w", "idle"),
    clip_seconds=2.5,
    preprocessing=Preprocessing(64, "whole", (1.0, 2.0, 3.5), 0.25, "RGB"),
    temperature=1.5,
    thresholds={"idle": 0.4},
    training={"epochs": 3, "by": ["us"]},
    scores={"top1": 0.9},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of four bytes a file: reading one does not look into its graphs."""
    path = tmp_path / "model"
    path.mkdir()
    for name in FILES:
        (path / name).write_bytes(name.encode()[:4])
    write_description(path, SPEC)
    return path


def change(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit the description."""
    path = folder / DESCRIPTION
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def refusal(folder: Path) -> str:
    """The one line that a bundle is refused with."""
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    assert caught.value.exit_code == 4
    message = str(caught.value)
    assert str(folder) in message
    return message


def test_round_trip(folder: Path) -> None:
    bundle = read_bundle(folder)
    assert bundle.spec == SPEC
    assert list(bundle.sha256) == list(FILES)
    assert bundle.file("head.onnx").read_bytes() == b"head"
    assert ModelSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC
    assert bundle.digest == write_description(folder, SPEC).digest


def test_the_digest_tells_bundles_apart(folder: Path) -> None:
    before = read_bundle(folder).digest
    (folder / "head.onnx").write_bytes(b"new!")
    assert write_description(folder, SPEC).digest != before


def test_golden_numbers(bundle: Bundle) -> None:
    golden = bundle.golden()
    spec = bundle.spec
    assert golden.images.dtype == np.uint8
    assert golden.images.shape[0] == spec.num_segments
    assert golden.features.shape == (spec.num_segments, *spec.feature_shape)
    assert golden.logits.shape == (len(spec.labels),)
    assert golden.features.dtype == golden.logits.dtype == np.float32


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[2] ^= 1
    (folder / name).write_bytes(data)
    assert f"{name} is damaged: SHA-256 is " in refusal(folder)


def test_a_flipped_bit_in_the_description(folder: Path) -> None:
    path = folder / DESCRIPTION
    whole = path.read_bytes()
    text = json.loads(whole)
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        try:
            read_bundle(folder)
        except BundleError:
            continue
        assert json.loads(path.read_bytes()) == text, place  # a line break became a tab, say


def test_an_edited_description(folder: Path) -> None:
    change(folder, put("clip_seconds", 2.6))
    assert "bundle.json is damaged or was edited: its digest is " in refusal(folder)
    change(folder, drop("digest"))
    assert "expected None" in refusal(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name} is missing or unreadable" in refusal(folder)


@pytest.mark.parametrize("what", ["nothing", "a file", "no description"])
def test_what_is_no_bundle(folder: Path, what: str) -> None:
    if what == "no description":
        (folder / DESCRIPTION).unlink()
    else:
        shutil.rmtree(folder)
    if what == "a file":
        folder.write_text("hello")
    assert "is not a bundle: it has no bundle.json" in refusal(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "cannot be read"),
        (b"", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[1]", "does not hold a JSON object"),
        (b"{}", "schema version is None, this program reads 1"),
    ],
)
def test_a_description_that_is_none(folder: Path, text: bytes, words: str) -> None:
    (folder / DESCRIPTION).write_bytes(text)
    assert words in refusal(folder)


def put(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    """Set a key, or one inside another: `preprocessing.mean`."""

    def edit(values: dict[str, Any]) -> None:
        *parents, last = key.split(":")
        for parent in parents:
            values = values[parent]
        values[last] = value

    return edit


def drop(*keys: str) -> Callable[[dict[str, Any]], object]:
    def edit(values: dict[str, Any]) -> None:
        *parents, last = keys
        for parent in parents:
            values = values[parent]
        del values[last]

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (put("schema_version", 2), "schema version is 2, this program reads 1"),
        (put("schema_version", "1"), "schema version is '1'"),
        (drop("schema_version"), "schema version is None"),
        (drop("sha256"), "'sha256' must list encoder.mindir"),
        (put("sha256", ["encoder.onnx"]), "'sha256' must list"),
        (drop("sha256", "head.onnx"), "'sha256' must list"),
        (put("sha256:head.onnx", None), "head.onnx is damaged"),
        (put("sha256:../../etc/passwd", "0"), "'../../etc/passwd' is not a plain file name"),
        (put("sha256:/etc/passwd", "0"), "'/etc/passwd' is not a plain file name"),
        (put("sha256:a/b", "0"), "'a/b' is not a plain file name"),
        (put("sha256:..", "0"), "is missing or unreadable"),
        (put("sha256:\0", "0"), "is missing or unreadable"),
        (put("sha256:", "0"), "is missing or unreadable"),
        (drop("labels"), "missing key labels"),
        (drop("preprocessing"), "missing key preprocessing"),
        (drop("preprocessing", "mean"), "preprocessing: missing key mean"),
        (put("preprocessing", 1), "preprocessing: expected keys and values, got 1"),
        (put("preprocesing", {}), "unknown key 'preprocesing'; did you mean 'preprocessing'?"),
        (put("preprocessing:size", 3), "unknown key 'size'"),
        (put("num_segments", "8"), "num_segments: expected a whole number, got '8'"),
        (put("num_segments", 0), "num_segments is 0; expected at least 1"),
        (put("width", "half"), "width: expected a number, got 'half'"),
        (put("width", 0), "width is 0.0; expected a number above 0"),
        (put("architecture", None), "architecture: expected text, got None"),
        (put("labels", []), "labels are missing"),
        (put("labels", ["a", "a"]), "not all different"),
        (put("labels", [1]), "labels: expected text, got 1"),
        (put("feature_shape", [4, -1]), "feature_shape is (4, -1)"),
        (put("feature_shape", []), "feature_shape is ()"),
        (put("feature_shape", [1.5]), "feature_shape: expected a whole number"),
        (put("temperature", float("nan")), "temperature is nan; expected a number above 0"),
        (put("temperature", float("inf")), "temperature is inf"),
        (put("clip_seconds", 0), "clip_seconds is 0.0"),
        (put("thresholds", {"walk": 0.5}), "thresholds name labels that do not exist: walk"),
        (put("thresholds", {"idle": "x"}), "thresholds: idle: expected a number"),
        (put("thresholds", [1]), "thresholds: expected keys and values"),
        (put("training", "long"), "training: expected keys and values"),
        (put("preprocessing:scale", 0), "scale is 0.0"),
        (put("preprocessing:mean", [1, 2]), "mean has 2 values"),
    ],
)
def test_a_description_that_makes_no_sense(
    folder: Path, edit: Callable[[dict[str, Any]], object], words: str
) -> None:
    change(folder, edit)
    assert words in refusal(folder)


def test_more_files_than_this_program_knows(folder: Path) -> None:
    (folder / "encoder.int8.onnx").write_bytes(b"new")
    write_description(folder, SPEC, [*FILES, "encoder.int8.onnx"])
    assert "encoder.int8.onnx" in read_bundle(folder).sha256


@pytest.mark.parametrize("arrays", [None, {"images": np.zeros(1)}])
def test_golden_numbers_that_are_none(folder: Path, arrays: dict[str, Any] | None) -> None:
    if arrays:
        np.savez(folder / "golden.npz", **arrays)
    with pytest.raises(BundleError, match="holds no golden numbers"):
        write_description(folder, SPEC).golden()


def test_where_the_embedded_bundle_is() -> None:
    assert demo_bundle_path().parts[-3:] == ("ecolite_stream", "bundles", "demo")
