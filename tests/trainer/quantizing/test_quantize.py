"""int8 graphs of a bundle: made, judged on held-out clips, run, refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from ecolite_stream.datasets.labelled_clips import find_clips
from ecolite_stream.engines import open_engine, require_graphs
from ecolite_stream.engines.check import AGREES, check_apart
from ecolite_stream.errors import BundleError, EngineError
from ecolite_stream.model.bundle import (
    DESCRIPTION,
    GOLDEN,
    GOLDEN_INT8,
    Bundle,
    Graph,
    demo_bundle_path,
    read_bundle,
    write_description,
)
from ecolite_stream.model.golden import Golden
from ecolite_stream.model.preprocess import Preprocessing, preprocess
from tests.conftest import installed
from trainer.quantize import main
from trainer.quantizing import bundle as quantizing
from trainer.quantizing.bundle import Agreement, quantize_bundle

onnx = pytest.importorskip("onnx", reason="the extra int8 is not installed")
pytestmark = pytest.mark.timeout(120)

SIDE, CELLS = 16, 4
LABELS = ("left", "right")
CLIPS_EACH = 3


def bright(label: str, side: int, step: int) -> np.ndarray:
    """(side, side, 3) uint8, bright in its left or right half."""
    image = np.full((side, side, 3), 20 + step, np.uint8)
    half = slice(0, side // 2) if label == "left" else slice(side // 2, None)
    image[:, half] = 200 - step
    return image


def write_clip(path: Path, label: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for step in range(12):
            frame = av.VideoFrame.from_ndarray(bright(label, 64, step), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def save(path: Path, nodes: list, inputs: tuple, outputs: tuple, weights: dict) -> None:
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("in", onnx.TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, outputs)],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))


def small(folder: Path) -> Bundle:
    """A bundle that tells which half of the picture is bright."""
    folder.mkdir()
    make = onnx.helper.make_node
    patch = SIDE // CELLS
    kernel = np.full((1, 3, patch, patch), 1 / (3 * patch * patch), np.float32)
    conv = make("Conv", ["in", "kernel"], ["c"], "first", strides=[patch, patch])
    save(
        folder / "encoder_2d.onnx",
        [conv, make("Relu", ["c"], ["out"], "relu")],
        (1, 3, SIDE, SIDE),
        (1, 1, CELLS, CELLS),
        {"kernel": kernel},
    )
    sign = np.where(np.arange(CELLS) < CELLS // 2, 1.0, -1.0)
    left = np.broadcast_to(sign, (2, 1, CELLS, CELLS)).reshape(-1) / 8
    save(
        folder / "head_2d.onnx",
        [
            make("Flatten", ["in"], ["flat"], "flat"),
            make("Gemm", ["flat", "weight", "bias"], ["out"], "last", transB=1),
        ],
        (1, 2, 1, CELLS, CELLS),
        (1, 2),
        {
            "weight": np.stack([left, -left]).astype(np.float32),
            "bias": np.zeros(2, np.float32),
        },
    )
    spec = dataclasses.replace(
        read_bundle(demo_bundle_path()).spec,
        num_segments=2,
        feature_shape=(1, CELLS, CELLS),
        labels=LABELS,
        clip_seconds=0.4,
        preprocessing=Preprocessing(SIDE, "whole", (0.0, 0.0, 0.0), 1 / 255),
        thresholds={},
        energy_bound=None,
    )
    graphs = [
        Graph(part, "onnx", f"{part}.onnx", batch_sizes=(1,)) for part in ("encoder_2d", "head_2d")
    ]
    images = np.stack([bright("left", SIDE, 0), bright("left", SIDE, 9)])
    no_golden = Golden(images, np.zeros((2, 1, CELLS, CELLS), np.float32), np.zeros(2, np.float32))
    np.savez(folder / GOLDEN, **dataclasses.asdict(no_golden))
    write_description(folder, spec, graphs)
    with_graphs = read_bundle(folder)
    engine = open_engine("openvino", with_graphs)
    features = engine.encode(np.stack([preprocess(i, spec.preprocessing) for i in images]))
    golden = Golden(images, features, engine.classify(features[None])[0])
    engine.close()
    np.savez(folder / GOLDEN, **dataclasses.asdict(golden))
    write_description(folder, spec, graphs)
    return read_bundle(folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    for library in ("openvino", "onnxruntime"):
        installed(library)
    pytest.importorskip("nncf", reason="the extra int8 is not installed")
    return small(tmp_path_factory.mktemp("small") / "bundle")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for label in LABELS:
        for number in range(CLIPS_EACH):
            write_clip(folder / label / f"{number}.mp4", label)
    return folder


@pytest.fixture(scope="module")
def quantized(
    bundle: Bundle, clips: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bundle]:
    out = tmp_path_factory.mktemp("out") / "int8"
    main.main(
        [str(bundle.path), "--calibrate", str(clips), "--out", str(out)], standalone_mode=False
    )
    yield read_bundle(out)


def test_the_bundle_keeps_its_graphs_and_gets_others(bundle: Bundle, quantized: Bundle) -> None:
    assert quantized.graphs[:2] == bundle.graphs
    added = quantized.graphs[2:]
    assert [(g.part, g.precision, g.batch_sizes) for g in added] == [
        ("encoder_2d", "int8", (1,)),
        ("head_2d", "int8", (1,)),
    ]
    for graph in added:
        model = onnx.load(str(quantized.file(graph.file)))
        assert "QuantizeLinear" in {node.op_type for node in model.graph.node}
    assert quantized.spec == bundle.spec


def test_a_program_without_int8_reads_the_same_schema(quantized: Bundle) -> None:
    description = json.loads((quantized.path / DESCRIPTION).read_text())
    assert description["schema_version"] == 2
    assert quantized.graph("head_2d", "onnx") == quantized.graphs[1]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_agree_with_the_golden_numbers_of_int8(engine: str, quantized: Bundle) -> None:
    outcome = check_apart(engine, quantized, precision="int8")
    assert outcome.state == AGREES
    assert outcome.check is not None and outcome.check.precision == "int8"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_int8_is_really_computed_in(engine: str, bundle: Bundle, quantized: Bundle) -> None:
    assert GOLDEN_INT8 in quantized.files
    exact, rough = quantized.golden(), quantized.golden("int8")
    assert 0 < np.abs(exact.features - rough.features).max() < 0.05
    opened = open_engine(engine, quantized, precision="int8")
    images = np.stack([preprocess(i, bundle.spec.preprocessing) for i in exact.images])
    found = opened.encode(images)
    opened.close()
    assert np.abs(found - rough.features).max() < np.abs(found - exact.features).max()


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_bundle_without_int8_says_how_to_make_it(engine: str, bundle: Bundle) -> None:
    with pytest.raises(EngineError, match=r"has no graph in int8; make one with python"):
        open_engine(engine, bundle, precision="int8")
    with pytest.raises(BundleError, match=r"has no golden_int8\.npz"):
        bundle.golden("int8")


def test_all_attempts_are_made_before_it_is_refused(
    bundle: Bundle, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        quantizing, "_judge", lambda old, new, held_out, layers: Agreement(layers, 200, 198, 2)
    )
    files = list(find_clips([clips]))
    made = quantize_bundle(bundle, files[:2], files[2:], tmp_path / "out")
    lines = [str(next(made)) for _ in quantizing.ATTEMPTS]
    assert lines[0] == "all layers in int8: 99.00% of 200 labels of 2 held-out clips agree"
    with pytest.raises(EngineError, match=r"at best 99\.00% of 200 labels agree, 99\.5% are"):
        next(made)
    assert list(tmp_path.iterdir()) == []


def test_a_threshold_that_is_just_met(bundle: Bundle, clips: Path, tmp_path: Path) -> None:
    files = list(find_clips([clips]))
    [agreement] = quantize_bundle(bundle, files[:2], files[2:], tmp_path / "out", 1.0)
    assert (agreement.share, agreement.clips) == (1.0, len(files) - 2)
    assert agreement.windows > agreement.clips


def test_the_head_may_stay_in_float32(
    bundle: Bundle, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantizing, "ATTEMPTS", {"the encoder": ((0, 0), None)})
    files = list(find_clips([clips]))
    assert len(list(quantize_bundle(bundle, files[:2], files[2:], tmp_path / "out"))) == 1
    made = read_bundle(tmp_path / "out")
    assert [g.part for g in made.graphs if g.precision == "int8"] == ["encoder_2d"]
    used = require_graphs("openvino", made, precision="int8")
    assert [(g.part, g.precision) for g in used] == [("encoder_2d", "int8"), ("head_2d", "f32")]


def test_nothing_but_a_bundle_is_replaced(bundle: Bundle, clips: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    files = list(find_clips([clips]))
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        next(quantize_bundle(bundle, files, files, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
