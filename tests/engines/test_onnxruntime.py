"""ONNX Runtime's execution providers: which one is asked for what, and what is in the way.

Providers other than the CPU's are fakes; CANN's libraries are empty ones, compiled here.
"""

from __future__ import annotations

import dataclasses
import os
import sys

import numpy as np
import pytest

from ecolite_stream.engines import choose_engine, onnxruntime, open_engine, require_graphs
from ecolite_stream.engines.check import AGREES, TOLERANCES, check_apart, relative_error
from ecolite_stream.engines.onnxruntime import CANN_LIBRARIES, in_float16
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle
from tests.conftest import installed
from tests.engines.test_library_errors import FakeOnnxRuntime

CPU = "CPUExecutionProvider"


def put(monkeypatch: pytest.MonkeyPatch, *providers: str, starts: bool = True) -> FakeOnnxRuntime:
    library = FakeOnnxRuntime(available=(*providers, CPU), starts=starts)
    monkeypatch.setitem(sys.modules, "onnxruntime", library)
    return library


@pytest.fixture
def cann(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "require_cann", lambda: None)
    monkeypatch.setattr(onnxruntime, "require_ascend", lambda index: None)


@pytest.mark.parametrize(
    ("device", "there", "provider", "options"),
    [
        (None, (), CPU, {}),
        ("cpu", ("CUDAExecutionProvider",), CPU, {}),
        ("cuda", ("CUDAExecutionProvider",), "CUDAExecutionProvider", {"use_tf32": "0"}),
        (
            *("gpu:1", ("TensorrtExecutionProvider", "CUDAExecutionProvider")),
            *("CUDAExecutionProvider", {"use_tf32": "0", "device_id": "1"}),
        ),
        (
            *("CUDAExecutionProvider:0", ("CUDAExecutionProvider",)),
            *("CUDAExecutionProvider", {"use_tf32": "0", "device_id": "0"}),
        ),
        ("gpu", ("DmlExecutionProvider",), "DmlExecutionProvider", {}),
        ("directml:0", ("DmlExecutionProvider",), "DmlExecutionProvider", {"device_id": "0"}),
        (
            *("tensorrt:0", ("TensorrtExecutionProvider", "CUDAExecutionProvider")),
            *("TensorrtExecutionProvider", {"device_id": "0"}),
        ),
        (
            *("coreml", ("CoreMLExecutionProvider",)),
            *("CoreMLExecutionProvider", {"ModelFormat": "MLProgram"}),
        ),
        ("XnnpackExecutionProvider", ("XnnpackExecutionProvider",), "XnnpackExecutionProvider", {}),
        (
            *("ascend:2", ("CANNExecutionProvider",), "CANNExecutionProvider"),
            {"precision_mode": "force_fp16", "device_id": "2"},
        ),
    ],
)
def test_the_provider_of_a_device(
    device: str | None,
    there: tuple[str, ...],
    provider: str,
    options: dict[str, str],
    bundle: Bundle,
    cann: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = put(monkeypatch, *there)
    assert choose_engine("onnxruntime", bundle, device) == "onnxruntime"
    open_engine("onnxruntime", bundle, device)
    assert library.asked == [(provider, options)] * 2


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("cuda:0", "the installed ONNX Runtime has CPUExecutionProvider; install onnxruntime-gpu"),
        ("gpu:0", "install onnxruntime-gpu or onnxruntime-migraphx or onnxruntime-directml in its"),
        ("ascend:0", "install onnxruntime-cann in its place, or name another device"),
        ("QNNExecutionProvider", "has CPUExecutionProvider; name another device"),
    ],
)
def test_a_provider_that_is_not_installed(
    device: str, words: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch)
    for act in (open_engine, choose_engine):
        with pytest.raises(EngineError) as caught:
            act("onnxruntime", bundle, device)
        assert words in str(caught.value)


def test_a_provider_that_does_not_start(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime goes over to the CPU then."""
    put(monkeypatch, "CUDAExecutionProvider", starts=False)
    with pytest.raises(EngineError, match="CUDAExecutionProvider did not start; see whether"):
        open_engine("onnxruntime", bundle, "cuda:0")


def test_its_own_errors_are_translated(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("InferenceSession", "run"):
        library = FakeOnnxRuntime(place, FakeOnnxRuntime.Fail("boom"))
        monkeypatch.setitem(sys.modules, "onnxruntime", library)
        with pytest.raises(EngineError, match=r"^engine onnxruntime: encoder graph of .*: boom$"):
            open_engine("onnxruntime", bundle)


@pytest.mark.parametrize(
    ("device", "there", "name"),
    [
        ("ascend:0", ("CANNExecutionProvider",), "onnxruntime"),
        ("ascend:0", (), "mindspore"),
        ("cuda:0", ("CUDAExecutionProvider",), "onnxruntime"),
        ("gpu:0", (), "mindspore"),
    ],
)
def test_auto_takes_it_where_it_has_the_device(
    device: str,
    there: tuple[str, ...],
    name: str,
    bundle: Bundle,
    cann: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(monkeypatch, *there)
    monkeypatch.delenv("ECOLITE_MSLITE_PYTHON", raising=False)
    assert choose_engine("auto", bundle, device) == name


def test_auto_takes_mslite_first_on_an_ascend(
    bundle: Bundle, cann: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, "CANNExecutionProvider")
    monkeypatch.setenv("ECOLITE_MSLITE_PYTHON", sys.executable)
    assert choose_engine("auto", bundle, "ascend:0") == "mslite"


@pytest.mark.parametrize(
    ("device", "precision", "words"),
    [
        ("cpu", "f16", "onnxruntime computes in f32 or int8 on cpu, not in f16; name another"),
        ("ascend:0", "f32", "onnxruntime computes in f16 on ascend, not in f32"),
        ("CANNExecutionProvider", "f32", "computes in f16 on cannexecutionprovider, not in f32"),
        ("QNNExecutionProvider", "f16", "computes in f32 on qnnexecutionprovider, not in f16"),
        ("cuda:0", "bf16", "computes in f32 or f16 on cuda, not in bf16"),
    ],
)
def test_a_precision_that_a_provider_has_not(
    device: str, precision: str, words: str, bundle: Bundle
) -> None:
    with pytest.raises(EngineError, match=words):
        require_graphs("onnxruntime", bundle, device, precision)


def test_f16_converts_the_graphs(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a provider that is a fake; the CPU's casts where it has no kernel for float16."""
    pytest.importorskip("onnx")
    installed("onnxruntime")
    import onnxruntime as real

    halves = [in_float16(bundle.file(f"{part}_2d.onnx")) for part in ("encoder", "head")]
    session = real.InferenceSession(halves[1], providers=[CPU])
    golden = bundle.golden()
    (logits,) = session.run(None, {session.get_inputs()[0].name: golden.features[None]})
    assert 1e-6 < relative_error(logits[0], golden.logits) < TOLERANCES["f16"]

    monkeypatch.setattr(onnxruntime, "in_float16", lambda path: halves["head" in path.name])
    library = put(monkeypatch, "CUDAExecutionProvider")
    open_engine("onnxruntime", bundle, "cuda:0", "f16")
    assert library.graphs == halves


def test_f16_without_the_package_that_converts(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, "CUDAExecutionProvider")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        EngineError, match=r"f16 needs the package onnx .* run pip install 'ecolite-stream\[f16"
    ):
        open_engine("onnxruntime", bundle, "cuda:0", "f16")


def test_what_cann_lacks_is_named(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, "CANNExecutionProvider")
    monkeypatch.setattr(onnxruntime, "CANN_LIBRARIES", [f"{name}.none" for name in CANN_LIBRARIES])
    with pytest.raises(EngineError) as caught:
        open_engine("onnxruntime", bundle, "ascend:0")
    message = str(caught.value)
    assert message.startswith("engine onnxruntime cannot use device ascend:0: CANN lacks libascen")
    assert all(f"{name}.none: cannot open shared" in message for name in CANN_LIBRARIES)
    assert message.endswith("source its set_env.sh in this shell")


@pytest.mark.skipif(os.path.exists("/dev/davinci_manager"), reason="an Ascend is here")  # noqa: PTH110
def test_cann_without_a_device(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, "CANNExecutionProvider")
    monkeypatch.setattr(onnxruntime, "CANN_LIBRARIES", ("libc.so.6",))
    with pytest.raises(EngineError, match="no Ascend driver is loaded: /dev/davinci_manager"):
        open_engine("onnxruntime", bundle, "ascend:0")


def test_golden_numbers(bundle: Bundle) -> None:
    installed("onnxruntime")
    outcome = check_apart("onnxruntime", bundle)
    assert outcome.state == AGREES
    assert outcome.check is not None and outcome.check.logit_error < 1e-4


def test_any_provider_that_is_installed_by_its_full_name(bundle: Bundle) -> None:
    installed("onnxruntime")
    engine = open_engine("onnxruntime", bundle, "CPUExecutionProvider")
    golden = bundle.golden()
    assert relative_error(engine.classify(golden.features[None])[0], golden.logits) < 1e-4


def test_a_graph_that_takes_batches(bundle: Bundle) -> None:
    """It runs as a whole."""
    library = FakeOnnxRuntime()
    free = tuple(dataclasses.replace(graph, batch_sizes=()) for graph in bundle.graphs)
    with pytest.MonkeyPatch.context() as context:
        context.setitem(sys.modules, "onnxruntime", library)
        engine = open_engine("onnxruntime", dataclasses.replace(bundle, graphs=free))
        size = bundle.spec.preprocessing.image_size
        assert engine.encode(np.zeros((3, 3, size, size), np.float32)).shape == (1, 24, 8, 8)
