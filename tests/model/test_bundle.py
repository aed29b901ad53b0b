from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecolite_stream.errors import BundleError
from ecolite_stream.model.bundle import (
    DESCRIPTION,
    EXPORTED,
    FILES,
    GOLDEN,
    MIGRATIONS,
    SCHEMA_VERSION,
    Bundle,
    Graph,
    ModelSpec,
    demo_bundle_path,
    read_bundle,
    write_description,
)
from ecolite_stream.model.preprocess import Preprocessing

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
    assert [dataclasses.replace(graph, sha256="") for graph in bundle.graphs] == list(EXPORTED)
    assert list(bundle.files) == [GOLDEN]
    assert bundle.file("head_2d.onnx").read_bytes() == b"head"
    assert ModelSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC
    assert bundle.digest == write_description(folder, SPEC).digest


def test_an_energy_bound_is_written_only_where_there_is_one(folder: Path) -> None:
    """Programs that know no bound go on reading bundles without one."""
    plain = json.loads((folder / DESCRIPTION).read_text())
    assert "energy_bound" not in plain and plain["schema_version"] == 2
    assert read_bundle(folder).spec.energy_bound is None
    written = write_description(folder, dataclasses.replace(SPEC, energy_bound=-1.25))
    values = json.loads((folder / DESCRIPTION).read_text())
    assert (values["schema_version"], values["energy_bound"]) == (3, -1.25)
    assert read_bundle(folder) == written
    assert read_bundle(folder).spec.energy_bound == -1.25
    assert write_description(folder, SPEC).digest == plain["digest"] != written.digest


def test_the_digest_tells_bundles_apart(folder: Path) -> None:
    before = read_bundle(folder).digest
    (folder / "head_2d.onnx").write_bytes(b"new!")
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
        (b"[1]", "holds no JSON object"),
        (b"{}", "schema version is None, this program reads 1 to 3"),
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


def graph(which: str, /, **changes: Any) -> Callable[[dict[str, Any]], object]:
    """Change every graph of a part."""

    def edit(values: dict[str, Any]) -> None:
        for row in values["graphs"]:
            if row["part"] == which:
                row.update(changes)

    return edit


def drop(*keys: str | int) -> Callable[[dict[str, Any]], object]:
    def edit(values: Any) -> None:
        *parents, last = keys
        for parent in parents:
            values = values[parent]
        del values[last]

    return edit


def bounded(value: object) -> Callable[[dict[str, Any]], object]:
    return lambda values: values.update(schema_version=3, energy_bound=value)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (bounded(None), "schema version is 3, which has 'energy_bound': a number"),
        (bounded("low"), "energy_bound: expected a number, got 'low'"),
        (bounded(float("nan")), "energy_bound is nan; expected -1e+06 to 1e+06"),
        (bounded(float("-inf")), "energy_bound is -inf; expected"),
        (put("schema_version", 4), "schema version is 4, this program reads 1 to 3"),
        (put("schema_version", 3), "schema version is 3, which has 'energy_bound': a number"),
        (put("energy_bound", 2.5), "'energy_bound' is of schema version 3"),
        (put("schema_version", 0), "schema version is 0"),
        (put("schema_version", "1"), "schema version is '1'"),
        (put("schema_version", True), "schema version is True"),
        (put("schema_version", 1), "'sha256' must list encoder.mindir, head.mindir, encoder.onnx"),
        (drop("schema_version"), "schema version is None"),
        (drop("graphs"), "'graphs' must list the bundle's graphs"),
        (put("graphs", {"head": "head.onnx"}), "'graphs' must list the bundle's graphs"),
        (put("graphs", ["head.onnx"]), "graphs: 0: expected keys and values, got 'head.onnx'"),
        (put("graphs", []), "'graphs' has no encoder and no head"),
        (
            lambda values: [
                row.update(part="trunk")
                for row in values["graphs"]
                if row["part"].startswith("encoder")
            ],
            "'graphs' has no encoder",
        ),
        (graph("head", format="tflite"), "format is 'tflite'; expected mindir, onnx, ms, om, open"),
        (graph("head", precision="f64"), "precision is 'f64'; expected f32, f16, bf16, int8"),
        (graph("head", batch_sizes=[0]), "batch_sizes is (0,); expected up to 16 sizes, 1 to 1024"),
        (graph("head", batch_sizes=["1"]), "batch_sizes: expected a whole number, got '1'"),
        (graph("head", batch=1), "unknown key 'batch'; did you mean 'batch_sizes'?"),
        (graph("head", part=""), "part and file are names; one of them is empty"),
        (graph("head", sha256=None), "sha256: expected text, got None"),
        (graph("head", sha256="0"), "is damaged: SHA-256 is "),
        (graph("head", file="../../etc/passwd"), "'../../etc/passwd' is not a plain file name"),
        (graph("head", file="/etc/passwd"), "'/etc/passwd' is not a plain file name"),
        (graph("head", file="a/b"), "'a/b' is not a plain file name"),
        (graph("head", file=".."), "is no regular file"),
        (graph("head", file="\0"), "part and file are names; one of them is empty or not"),
        (drop("graphs", 0, "precision"), "graphs: 0: missing key precision"),
        (drop("files"), "'files' must list golden.npz with its hash"),
        (put("files", ["golden.npz"]), "'files' must list golden.npz"),
        (drop("files", "golden.npz"), "'files' must list golden.npz"),
        (put("files:golden.npz", None), "golden.npz is damaged"),
        (put("files:a/b", "0"), "'a/b' is not a plain file name"),
        (put("files:", "0"), "file '' is no name of 1 to 200"),
        (drop("labels"), "missing key labels"),
        (drop("preprocessing"), "missing key preprocessing"),
        (drop("preprocessing", "mean"), "preprocessing: missing key mean"),
        (put("preprocessing", 1), "preprocessing: expected keys and values, got 1"),
        (put("preprocesing", {}), "unknown key 'preprocesing'; did you mean 'preprocessing'?"),
        (put("preprocessing:size", 3), "unknown key 'size'"),
        (put("num_segments", "8"), "num_segments: expected a whole number, got '8'"),
        (put("num_segments", 0), "num_segments is 0; expected 1 to 256"),
        (put("width", "half"), "width: expected a number, got 'half'"),
        (put("width", 0), "width is 0.0; expected 0.001 to 16"),
        (put("architecture", None), "architecture: expected text, got None"),
        (put("labels", []), "labels are missing"),
        (put("labels", ["a", "a"]), "not all different"),
        (put("labels", [1]), "labels: expected text, got 1"),
        (put("feature_shape", [4, -1]), "feature_shape is (4, -1)"),
        (put("feature_shape", []), "feature_shape is ()"),
        (put("feature_shape", [1.5]), "feature_shape: expected a whole number"),
        (put("temperature", float("nan")), "temperature is nan; expected 0.001 to 1000"),
        (put("temperature", float("inf")), "temperature is inf"),
        (put("clip_seconds", 0), "clip_seconds is 0.0"),
        (put("thresholds", {"walk": 0.5}), "thresholds name labels that do not exist: 'walk'"),
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
    (folder / "encoder.bin").write_bytes(b"new")
    write_description(folder, SPEC, files=[GOLDEN, "encoder.bin"])
    assert "encoder.bin" in read_bundle(folder).files


def test_graphs_of_many_kinds(folder: Path) -> None:
    graphs = [
        Graph("encoder", "om", "encoder_1.om", "f16", (1,)),
        Graph("encoder", "om", "encoder_4.om", "f16", (4,)),
        Graph("head", "onnx", "head.onnx", batch_sizes=(1,)),
        Graph("head", "onnx", "head.int8.onnx", "int8"),
        Graph("trunk", "openvino", "trunk.xml", "bf16", (1, 2, 8)),
    ]
    for row in graphs:
        (folder / row.file).write_bytes(row.file.encode())
    write_description(folder, SPEC, graphs)
    bundle = read_bundle(folder)
    assert [dataclasses.replace(row, sha256="") for row in bundle.graphs] == graphs
    assert bundle.graph("encoder", "om", "f16") == bundle.graphs[0]
    assert bundle.graph("head", "onnx") == bundle.graphs[2]
    assert bundle.graph("head", "onnx", "int8") == bundle.graphs[3]
    assert bundle.graph("encoder", "om") is None
    assert bundle.graph("head", "mindir") is None
    assert str(bundle.graphs[4]) == "trunk.xml (openvino bf16, batch 1/2/8)"
    assert str(bundle.graphs[3]) == "head.int8.onnx (onnx int8, batch any)"


SCHEMA_1 = """{
  "schema_version": 1, "architecture": "eco_lite", "width": 0.25, "num_segments": 4,
  "feature_shape": [24, 8, 8], "labels": ["idle", "walk"], "clip_seconds": 1.6,
  "preprocessing": {
    "image_size": 64, "framing": "whole", "mean": [104.0, 117.0, 128.0], "scale": 0.0172,
    "channel_order": "BGR"
  },
  "temperature": 1.0, "thresholds": {}, "training": {}, "scores": {},
  "sha256": {
    "encoder.mindir": "15218e6235534ffcfa5d85c5b819447ff208430200181a63773e1f0b4619a858",
    "head.mindir": "9f2e6d33a3717ee826353a404ba4618d1aeeb6879ad7936bce8ed5f46814924d",
    "encoder.onnx": "15218e6235534ffcfa5d85c5b819447ff208430200181a63773e1f0b4619a858",
    "head.onnx": "9f2e6d33a3717ee826353a404ba4618d1aeeb6879ad7936bce8ed5f46814924d",
    "golden.npz": "24d7f03d8dc3c3666969e6fa5bb1fac4736d3f1353c28307ed51b320f9dc42d3"
  },
  "digest": "bc5e977af92a9b0ac20d721494d3ba9e1e28ddb3a933eb08bb618ff2f50e2343"
}
"""
"""Never to be changed: what a bundle of the first release looks like."""


def test_schema_1_reads_for_ever(folder: Path) -> None:
    (folder / DESCRIPTION).write_text(SCHEMA_1)
    for part in ("encoder", "head"):
        (folder / f"{part}.onnx").write_bytes(part.encode()[:4])
    bundle = read_bundle(folder)
    assert bundle.spec.labels == ("idle", "walk")
    assert [(g.part, g.format, g.precision, g.batch_sizes, g.file) for g in bundle.graphs] == [
        ("encoder", "mindir", "f32", (), "encoder.mindir"),
        ("head", "mindir", "f32", (), "head.mindir"),
        ("encoder", "onnx", "f32", (1,), "encoder.onnx"),
        ("head", "onnx", "f32", (1,), "head.onnx"),
    ]
    assert list(bundle.files) == [GOLDEN]
    assert bundle.digest == json.loads(SCHEMA_1)["digest"]
    (folder / "head.onnx").write_bytes(b"hEad")
    assert "head.onnx is damaged" in refusal(folder)


def test_a_migration_leaves_its_argument_alone() -> None:
    before = json.loads(SCHEMA_1)
    MIGRATIONS[1](before)
    assert before == json.loads(SCHEMA_1)


def test_every_older_schema_has_a_way_to_the_present() -> None:
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("arrays", [None, {"images": np.zeros(1)}])
def test_golden_numbers_that_are_none(folder: Path, arrays: dict[str, Any] | None) -> None:
    if arrays:
        np.savez(folder / "golden.npz", **arrays)
    with pytest.raises(BundleError, match="holds no golden numbers"):
        write_description(folder, SPEC).golden()


def test_where_the_embedded_bundle_is() -> None:
    assert demo_bundle_path().parts[-3:] == ("ecolite_stream", "bundles", "demo")
