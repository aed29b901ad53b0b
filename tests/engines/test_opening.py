"""Which engine is opened, on which device and in which precision, and what is in the way."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ecolite_stream import engines
from ecolite_stream.engines import (
    Engine,
    base,
    installed_engines,
    open_engine,
    openvino,
    require_graphs,
)
from ecolite_stream.engines.check import AGREES, CANNOT_RUN, TOLERANCES, check_apart
from ecolite_stream.errors import BundleError, ConfigError, EngineError
from ecolite_stream.model.bundle import Bundle, Graph, write_description
from tests.conftest import installed
from tests.engines.expected import ENGINES, only


def test_an_engine_that_does_not_open_is_closed(bundle: Bundle) -> None:
    """It may have a process of its own."""
    closed = []

    class Broken(base.GraphEngine):
        name, format = "broken", "onnx"

        def _start(self, device: base.Device) -> None:
            pass

        def _load(self, bundle: Bundle, graph: Graph) -> base.Run:
            raise RuntimeError("no graph")

        def close(self) -> None:
            closed.append(self.name)

    with pytest.raises(EngineError, match=r"engine broken: .* cannot be loaded .*: no graph"):
        Broken(bundle)
    assert closed == ["broken"]


def test_auto_takes_the_first_installed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("openvino")
    installed("onnxruntime")
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "openvino", None)  # as if it were not installed
        assert installed_engines() == ["onnxruntime", "mindspore"]
        assert open_engine("auto", bundle).name == "onnxruntime"
        context.setitem(sys.modules, "onnxruntime", None)
        assert open_engine("auto", bundle).name == "mindspore"
        context.setitem(sys.modules, "mindspore", None)
        with pytest.raises(EngineError, match=r"no inference engine .* 'ecolite-stream\[openvino"):
            open_engine("auto", bundle)
    assert installed_engines() == ["openvino", "onnxruntime", "mindspore"]
    assert open_engine("auto", bundle).name == "openvino"


@pytest.mark.parametrize(
    ("name", "requirement"),
    [
        ("openvino", "ecolite-stream[openvino]"),
        ("onnxruntime", "ecolite-stream[onnxruntime]"),
        ("mindspore", "ecolite-stream[mindspore]"),
    ],
)
def test_a_library_that_is_not_installed(
    name: str, requirement: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError) as caught:
        open_engine(name, bundle)
    assert str(caught.value) == f"engine {name} is not installed; run pip install '{requirement}'"


@pytest.mark.parametrize(
    "error",
    [
        ImportError("numpy.core.multiarray failed to import"),
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
        OSError("libstdc++.so.6: version `GLIBCXX_3.4.32' not found"),
    ],
)
def test_a_library_that_is_broken(
    error: Exception, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(base, "importlib", SimpleNamespace(import_module=fail))
    with pytest.raises(EngineError) as caught:
        open_engine("openvino", bundle)
    assert str(caught.value) == (
        f"engine openvino is installed but cannot be imported: {error}; install it again"
    )


def test_an_interruption_waits_until_an_engine_is_open(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Engine] = []

    def open_slowly(bundle: Bundle, *settings: object) -> Engine:
        signal.raise_signal(signal.SIGINT)
        opened.append(open_engine("auto", bundle))
        return opened[0]

    def open_and_close() -> str:
        with contextlib.closing(open_engine("auto", bundle)) as engine:
            return engine.name

    known = engines._known
    slow = {"slow": open_slowly}
    monkeypatch.setattr(engines, "_known", lambda name: slow.get(name) or known(name))
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        open_engine("slow", bundle)
    assert len(opened) == 1
    opened[0].close()
    assert signal.getsignal(signal.SIGINT) is handler
    with ThreadPoolExecutor(1) as pool:  # other threads are never interrupted
        assert pool.submit(open_and_close).result() in ENGINES


def test_a_signal_after_an_engine_ended_in_another_thread(bundle: Bundle) -> None:
    """In a process of its own, which OpenVINO's core ended where it ended there itself."""
    code = """
import gc, signal, sys, threading
from ecolite_stream.model.bundle import read_bundle
from ecolite_stream.engines import open_engine

held = [open_engine(sys.argv[1], read_bundle(sys.argv[2]))]

def end():
    held.pop().close()
    gc.collect()

thread = threading.Thread(target=end)
thread.start()
thread.join()
signal.signal(signal.SIGINT, lambda *what: print("heard"))
signal.raise_signal(signal.SIGINT)
"""
    words = [sys.executable, "-c", code, installed("openvino"), str(bundle.path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_an_unknown_engine(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="'tpu'; expected auto, openvino, onnxruntime, mindsp"):
        open_engine("tpu", bundle)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mindspore", "head.mindir"),
        ("onnxruntime", "head_2d.onnx"),
        ("openvino", "head_2d.onnx"),
    ],
)
def test_graphs_that_are_none(name: str, file: str, bundle: Bundle, tmp_path: Path) -> None:
    """Though their hashes are right."""
    folder = tmp_path / "model"
    shutil.copytree(bundle.path, folder)
    (folder / file).write_bytes(b"no graph")
    broken = write_description(folder, bundle.spec)
    with pytest.raises(BundleError, match=f"{file} is not a graph of format .* export the bundle"):
        open_engine(installed(name), broken)


@pytest.mark.parametrize(("name", "format"), [("mindspore", "mindir"), ("openvino", "onnx")])
def test_a_bundle_for_one_engine(name: str, format: str, bundle: Bundle) -> None:
    """Also as `auto`, whichever is the first."""
    installed(name)
    for asked in (name, "auto"):
        engine = open_engine(asked, only(bundle, format))
        assert engine.name == name
        engine.close()


@pytest.mark.parametrize(
    ("name", "wanted", "had", "file"),
    [
        ("mindspore", "mindir", "onnx", "encoder_2d.onnx"),
        ("openvino", "onnx", "mindir", "encoder.mindir"),
    ],
)
def test_a_bundle_without_graphs_for_an_engine(
    name: str, wanted: str, had: str, file: str, bundle: Bundle
) -> None:
    with pytest.raises(EngineError) as caught:
        open_engine(name, only(bundle, had))
    message = str(caught.value)
    assert f"engine {name}: {bundle.path} has no encoder graph of format {wanted}" in message
    assert f"it has {file} ({had} f32, batch " in message


def test_a_bundle_that_no_engine_can_run(bundle: Bundle) -> None:
    graphs = tuple(dataclasses.replace(graph, precision="int8") for graph in bundle.graphs)
    fixed = tuple(dataclasses.replace(graph, batch_sizes=(4,)) for graph in bundle.graphs)
    for unusable in (graphs, fixed):
        with pytest.raises(EngineError) as caught:
            open_engine("auto", dataclasses.replace(bundle, graphs=unusable))
        for name in installed_engines():
            assert f"engine {name}: {bundle.path} has no encoder" in str(caught.value)


def test_bfloat16_is_really_computed_in(bundle: Bundle) -> None:
    installed("openvino")
    if not openvino.has_bf16():
        pytest.skip("this processor has no bfloat16")
    features = bundle.golden().features[None]
    exact = open_engine("openvino", bundle).classify(features)
    rough = open_engine("openvino", bundle, precision="bf16").classify(features)
    error = np.abs(exact - rough).max() / np.abs(exact).max()
    assert 1e-5 < error < TOLERANCES["bf16"]
    outcome = check_apart("openvino", bundle, precision="bf16")
    assert outcome.state == AGREES
    assert outcome.check is not None and outcome.check.precision == "bf16"


def test_bfloat16_on_a_processor_without_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("openvino")
    monkeypatch.setattr(openvino, "_has_bf16", lambda core: False)
    with pytest.raises(EngineError, match="this processor does not compute in bf16; leave the"):
        open_engine("openvino", bundle, precision="bf16")


def test_a_precision_that_an_engine_has_not(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="mindspore computes in f32 on cpu, not in bf16; name"):
        open_engine("mindspore", bundle, precision="bf16")
    with pytest.raises(EngineError, match="mslite computes in f16 on ascend, not in f32; name"):
        require_graphs("mslite", bundle, "ascend:0", "f32")
    outcome = check_apart("mindspore", bundle, precision="f16")
    assert (outcome.state, outcome.check) == (CANNOT_RUN, None)


@pytest.mark.parametrize("name", engines.ENGINE_NAMES)
def test_one_list_of_engines(name: str) -> None:
    engine = engines._known(name)
    assert issubclass(engine, base.GraphEngine) and engine.name == name
    assert engine.precisions_on("cpu")[0] == "f32"


def test_opening_an_engine_loads_no_other(bundle: Bundle) -> None:
    code = """
import sys
from ecolite_stream.engines import ENGINE_NAMES, choose_engine, open_engine
from ecolite_stream.model.bundle import read_bundle

open_engine("onnxruntime", read_bundle(sys.argv[1]))
print(*(name for name in ENGINE_NAMES if name in sys.modules))
"""
    installed("onnxruntime")
    words = [sys.executable, "-c", code, str(bundle.path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "onnxruntime\n"), done.stderr


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("cpu", base.Device("cpu")),
        ("CPU", base.Device("cpu")),
        ("ascend", base.Device("ascend")),
        ("ascend:0", base.Device("ascend", 0)),
        ("gpu:12", base.Device("gpu", 12)),
        ("cuda:0", base.Device("cuda", 0)),
        ("tensorrt", base.Device("tensorrt")),
        ("CoreML", base.Device("coreml")),
        ("XnnpackExecutionProvider", base.Device("xnnpackexecutionprovider")),
        ("QNNExecutionProvider:1", base.Device("qnnexecutionprovider", 1)),
    ],
)
def test_devices(text: str, device: base.Device) -> None:
    assert base.parse_device(text) == device
    assert str(device) == text.lower()


@pytest.mark.parametrize(
    "text", ["executionprovider", "a/bExecutionProvider", "gpu:1000", "cuda:²"]
)
def test_names_of_providers_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="coreml or the full name of a provider"):
        base.parse_device(text)


@pytest.mark.parametrize(
    "text", ["", "tpu", "cpu:0", "ascend:", "ascend:x", "gpu:-1", ":0", "coreml:0"]
)
def test_devices_that_are_none(text: str, bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="expected cpu, ascend, ascend:0, gpu or gpu:0"):
        base.parse_device(text)


def test_a_device_that_an_engine_has_not(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="engine openvino runs on cpu, not on ascend:0"):
        open_engine("openvino", bundle, "ascend:0")
    with pytest.raises(ConfigError, match="device is 'tpu'"):
        open_engine("auto", bundle, "tpu")
