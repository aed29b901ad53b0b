"""Who is timed, what their memory is, and what frames cost before an engine sees them."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ecolite_stream.bench.measuring.peak import peak_apart
from ecolite_stream.bench.measuring.process_tree import peak_mb
from ecolite_stream.bench.speed import backends as module
from ecolite_stream.bench.speed.backends import backends, precisions_in
from ecolite_stream.bench.speed.frames import STEPS, frame_table, measure_frames
from ecolite_stream.bench.speed.limit import SIDE, library_product, numpy_product
from ecolite_stream.errors import ConfigError, EngineError, SourceError
from ecolite_stream.model.bundle import Graph, demo_bundle_path, read_bundle
from ecolite_stream.model.preprocess import Preprocessing
from tests.fakes import ListSource, frames
from tests.videos import write_numbered_video


def test_engines_in_every_precision_they_have(monkeypatch):
    monkeypatch.setattr(module, "has_bf16", lambda: True)
    monkeypatch.setattr(module, "REFERENCES", {"openvino": len, "json": len, "nowhere": len})
    found, lacking = backends(["openvino", "mindspore"], ["f32", "bf16"])
    assert list(map(str, found)) == ["openvino", "openvino bf16", "mindspore", "json"]
    assert lacking == ["mindspore computes in float32 only, here: not in bf16."]
    only, _ = backends(["openvino"], ["bf16"])
    assert list(map(str, only)) == ["openvino bf16", "openvino", "json"]
    monkeypatch.setattr(module, "has_bf16", lambda: False)
    with pytest.raises(ConfigError, match="not in bf16"):
        backends(["openvino", "mindspore"], ["bf16"])


def test_reuse_is_timed_beside_the_same_engine_without_it(monkeypatch):
    monkeypatch.setattr(module, "has_bf16", lambda: True)
    monkeypatch.setattr(module, "REFERENCES", {"json": len})
    found, _ = backends(["openvino", "mindspore"], ["f32", "bf16"], reuse=True)
    expected = ["openvino", "openvino bf16", "mindspore"]
    assert list(map(str, found)) == [*expected, "openvino reuse", "openvino reuse bf16", "json"]
    assert [backend.engine for backend in found[3:5]] == ["openvino reuse"] * 2
    assert [one.open.keywords for one in found[3:5]] == [
        {"precision": "f32", "reuse": True},
        {"precision": "bf16", "reuse": True},
    ]


def test_int8_where_an_engine_runs_it():
    found, lacking = backends(["openvino", "mindspore", "onnxruntime"], ["int8"])
    assert list(map(str, found))[:2] == ["openvino int8", "onnxruntime int8"]
    assert lacking == ["mindspore computes in float32 only, here: not in int8."]
    assert library_product("openvino", "int8") is None


def test_int8_is_timed_where_bundles_have_it():
    demo = read_bundle(demo_bundle_path())
    int8 = Graph("head_2d", "onnx", "head_int8.onnx", "int8", (1,))
    with_int8 = dataclasses.replace(demo, graphs=(*demo.graphs, int8))
    assert precisions_in([demo, with_int8]) == ("f32", "bf16")
    assert precisions_in([with_int8]) == ("f32", "bf16", "int8")


def test_matrix_products_are_products():
    numbers = np.asarray(numpy_product()())
    assert numbers.shape == (SIDE, SIDE)
    for library in ("openvino", "mindspore", "torch"):
        if find_spec(library):
            product = library_product(library, "f32")
            assert product is not None
            assert np.allclose(np.asarray(product()), numbers, atol=1e-2)
    assert library_product("onnxruntime", "f32") is None


@pytest.mark.timeout(120)
def test_memory_of_a_process_of_its_own(bundle):
    if peak_mb() is None:
        pytest.skip("the system does not tell")
    [backend, *_], _ = backends(["mindspore"], ["f32"])
    peak = peak_apart(backend.open, bundle)
    assert peak is not None and peak.peak_mb > peak.before_mb + 20
    with pytest.raises(EngineError, match="engine is 'nonsense'"):
        peak_apart(backends(["nonsense"], ["f32"])[0][0].open, bundle)


def test_what_frames_cost_from_the_beginning_again_after_the_end():
    """Every look at the clock is a second."""
    moments = iter(range(1000))
    opened = []

    def open_list(path: Path) -> ListSource:
        opened.append(path)
        return ListSource("s", frames(2, fps=25))

    costs = measure_frames(
        "b", Path("v"), Preprocessing(16), 20, open_list, clock=lambda: float(next(moments))
    )
    assert len(opened) == 2
    every_step = {step: timing.samples_ms for step, timing in costs.timings.items()}
    assert every_step == dict.fromkeys(STEPS, (1000.0,) * 4)
    one_second = "1000.00 / 1000.00 / 1000.00"
    assert frame_table("v", [costs]).rows == [("b", "16x16", *[one_second] * 3)]


def test_frames_of_a_real_file_and_of_none(tmp_path: Path):
    video = write_numbered_video(tmp_path / "v.avi", 5)
    costs = measure_frames("b", video, Preprocessing(16), 1e-6)
    assert costs.picture == "160x120" and costs.to_json()["decode"]["repetitions"] == 1
    with pytest.raises(SourceError, match="no frame"):
        measure_frames("b", video, Preprocessing(16), 0.1, lambda path: ListSource("s", []))
