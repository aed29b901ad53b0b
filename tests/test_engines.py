from __future__ import annotations

import dataclasses
import shutil
import signal
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ecolite_stream import engines
from ecolite_stream.bundle import GOLDEN, Bundle, Graph, write_description
from ecolite_stream.engines import (
    Engine,
    base,
    check,
    installed_engines,
    mindspore,
    open_engine,
    openvino,
    require_graphs,
)
from ecolite_stream.engines.check import AGREES, CANNOT_RUN, TOLERANCES, check_apart
from ecolite_stream.errors import ConfigError, EngineError
from ecolite_stream.preprocess import preprocess
from tests.conftest import installed

ENGINES = ("mindspore", "openvino")


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, bundle: Bundle) -> Iterable[Engine]:
    opened = open_engine(installed(request.param), bundle)
    yield opened
    opened.close()


def golden_inputs(bundle: Bundle) -> np.ndarray:
    how = bundle.spec.preprocessing
    return np.stack([preprocess(image, how) for image in bundle.golden().images])


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_features_are_the_checkpoints(engine: Engine, bundle: Bundle, k: int) -> None:
    inputs, expected = golden_inputs(bundle), bundle.golden().features
    picked = [i % len(inputs) for i in range(k)]
    assert_close(engine.encode(inputs[picked]), expected[picked])


@pytest.mark.parametrize("b", [1, 2, 5])
def test_logits_are_the_checkpoints(engine: Engine, bundle: Bundle, b: int) -> None:
    golden = bundle.golden()
    assert_close(engine.classify(np.stack([golden.features] * b)), np.stack([golden.logits] * b))


def test_each_of_a_batch_is_computed_alone(engine: Engine, bundle: Bundle) -> None:
    features = bundle.golden().features
    clips = np.stack([features, features[::-1]])
    both = engine.classify(clips)
    assert np.abs(both[0] - both[1]).max() > 0
    for one, expected in zip(clips, both, strict=True):
        np.testing.assert_allclose(engine.classify(one[None])[0], expected, rtol=1e-5, atol=1e-6)


def test_any_memory_layout(engine: Engine, bundle: Bundle) -> None:
    inputs = golden_inputs(bundle)
    turned = np.asfortranarray(inputs)
    np.testing.assert_allclose(engine.encode(turned), engine.encode(inputs), rtol=1e-6)


def test_results_are_the_callers_own(engine: Engine, bundle: Bundle) -> None:
    inputs = golden_inputs(bundle)
    inputs.flags.writeable = False
    features = engine.encode(inputs[:2])
    logits = engine.classify(np.stack([bundle.golden().features]))
    kept = features.copy(), logits.copy()
    engine.encode(255 - inputs[:2])
    engine.classify(np.ones((1, *bundle.golden().features.shape), np.float32))
    np.testing.assert_array_equal(features, kept[0])
    np.testing.assert_array_equal(logits, kept[1])
    features[:] = 0  # nor does writing to them harm the engine
    np.testing.assert_array_equal(engine.encode(inputs[:2]), kept[0])


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


def test_wrong_shapes_are_an_engine_error(engine: Engine) -> None:
    with pytest.raises(EngineError, match=f"engine {engine.name}: encoder graph of .* failed: "):
        engine.encode(np.zeros((1, 2, 64, 64), np.float32))


@pytest.mark.parametrize("name", ENGINES)
def test_a_closed_engine_says_so(name: str, bundle: Bundle) -> None:
    engine = open_engine(installed(name), bundle)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match=f"engine {name} is closed"):
        engine.encode(np.zeros((1, 3, 64, 64), np.float32))


def test_auto_takes_the_first_installed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("openvino")
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "openvino", None)  # as if it were not installed
        assert installed_engines() == ["mindspore"]
        assert open_engine("auto", bundle).name == "mindspore"
        context.setitem(sys.modules, "mindspore", None)
        with pytest.raises(EngineError, match=r"no inference engine .* 'ecolite-stream\[openvino"):
            open_engine("auto", bundle)
    assert installed_engines() == ["openvino", "mindspore"]
    assert open_engine("auto", bundle).name == "openvino"


@pytest.mark.parametrize(
    ("name", "requirement"),
    [("openvino", "ecolite-stream[openvino]"), ("mindspore", "ecolite-stream")],
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
    done: list[Bundle] = []

    def open_slowly(bundle: Bundle, device: str | None, precision: str | None) -> Engine:
        signal.raise_signal(signal.SIGINT)
        done.append(bundle)
        return open_engine("auto", bundle)

    monkeypatch.setitem(engines._ENGINES, "slow", open_slowly)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        open_engine("slow", bundle)
    assert done == [bundle]
    assert signal.getsignal(signal.SIGINT) is handler
    with ThreadPoolExecutor(1) as pool:  # other threads are never interrupted
        assert pool.submit(open_engine, "auto", bundle).result().name in ENGINES


def test_an_unknown_engine(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="'tpu'; expected auto, openvino, mindspore"):
        open_engine("tpu", bundle)


@pytest.mark.parametrize(
    ("name", "file"), [("mindspore", "head.mindir"), ("openvino", "head_2d.onnx")]
)
def test_graphs_that_are_none(name: str, file: str, bundle: Bundle, tmp_path: Path) -> None:
    """Though their hashes are right."""
    folder = tmp_path / "model"
    shutil.copytree(bundle.path, folder)
    (folder / file).write_bytes(b"no graph")
    broken = write_description(folder, bundle.spec)
    with pytest.raises(EngineError, match=f"engine {name}: head graph of .*{file}"):
        open_engine(installed(name), broken)


def only(bundle: Bundle, *formats: str) -> Bundle:
    """The bundle without its graphs of other formats."""
    kept = tuple(graph for graph in bundle.graphs if graph.format in formats)
    return dataclasses.replace(bundle, graphs=kept)


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


def test_one_list_of_engines() -> None:
    assert tuple(engines._ENGINES) == engines.ENGINE_NAMES


def test_a_sample_does_not_depend_on_its_batch(engine: Engine, bundle: Bundle) -> None:
    inputs = golden_inputs(bundle)
    images = np.stack([inputs[i % len(inputs)] * (1 + i / 10) for i in range(7)])
    features = engine.encode(images)
    clips = np.stack([features[i : i + bundle.spec.num_segments] for i in range(4)])
    logits = engine.classify(clips)
    for samples, together, run in (
        (images, features, engine.encode),
        (clips, logits, engine.classify),
    ):
        alone = np.concatenate([run(sample[None]) for sample in samples])
        assert np.abs(alone - together).max() <= 1e-5 * np.abs(together).max()


def test_an_engine_goes_on_after_an_error(engine: Engine, bundle: Bundle) -> None:
    inputs = golden_inputs(bundle)
    before = engine.encode(inputs)
    with pytest.raises(EngineError):
        engine.encode(np.zeros((3, 2, 64, 64), np.float32))
    np.testing.assert_array_equal(engine.encode(inputs), before)


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("cpu", base.Device("cpu")),
        ("CPU", base.Device("cpu")),
        ("ascend", base.Device("ascend")),
        ("ascend:0", base.Device("ascend", 0)),
        ("gpu:12", base.Device("gpu", 12)),
    ],
)
def test_devices(text: str, device: base.Device) -> None:
    assert base.parse_device(text) == device
    assert str(device) == text.lower()


@pytest.mark.parametrize("text", ["", "tpu", "cpu:0", "ascend:", "ascend:x", "gpu:-1", ":0"])
def test_devices_that_are_none(text: str, bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="expected cpu, ascend, ascend:0, gpu or gpu:0"):
        base.parse_device(text)


def test_a_device_that_an_engine_has_not(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="engine openvino runs on cpu, not on ascend:0"):
        open_engine("openvino", bundle, "ascend:0")
    with pytest.raises(ConfigError, match="device is 'tpu'"):
        open_engine("auto", bundle, "tpu")


class FakeMindSpore:
    """Notes which device is asked for; raises what it is told to, in the place it is told to."""

    def __init__(self, place: str = "", error: Exception | None = None) -> None:
        self.place, self.error, self.devices, self.value = place, error, [], 0.0
        self.nn = SimpleNamespace(GraphCell=self.graph_cell)

    def step(self, place: str) -> None:
        if place == self.place and self.error:
            raise self.error

    def get_context(self, key: str) -> str:
        self.step("get_context")
        return "CPU"

    def set_device(self, *device: object) -> None:
        self.step("set_device")
        self.devices.append(device)

    def load(self, path: str) -> str:
        self.step("load")
        return path

    def graph_cell(self, graph: str) -> Callable[[np.ndarray], SimpleNamespace]:
        self.step("GraphCell")
        shape = (24, 8, 8) if "encoder" in graph else (5,)

        def run(batch: np.ndarray) -> SimpleNamespace:
            self.step("run")
            result = np.zeros((len(batch), *shape), np.float32)
            result[..., -1] = self.value
            return SimpleNamespace(asnumpy=lambda: result)

        return run

    def Tensor(self, array: np.ndarray) -> np.ndarray:  # noqa: N802  MindSpore's name
        self.step("Tensor")
        return array


class FakeOpenVino:
    """The same for OpenVINO; it is its own core, compiled graph and request."""

    def __init__(self, place: str = "", error: Exception | None = None) -> None:
        self.place, self.error, self.shape, self.value = place, error, (0,), 0.0

    def step(self, place: str) -> None:
        if place == self.place and self.error:
            raise self.error

    def Core(self) -> FakeOpenVino:  # noqa: N802  OpenVINO's name
        self.step("Core")
        return self

    def read_model(self, path: Path) -> SimpleNamespace:
        self.step("read_model")
        return SimpleNamespace(name=path.name, reshape=lambda shape: self.step("reshape"))

    def compile_model(self, model: SimpleNamespace, device: str, settings: object) -> FakeOpenVino:
        self.step("compile_model")
        compiled = FakeOpenVino(self.place, self.error)
        compiled.value = self.value
        compiled.shape = (1, 24, 8, 8) if "encoder" in model.name else (1, 5)
        return compiled

    def create_infer_request(self) -> FakeOpenVino:
        self.step("create_infer_request")
        return self

    def start_async(self, inputs: list[np.ndarray], share_inputs: bool) -> None:
        self.step("start_async")

    def wait(self) -> None:
        self.step("wait")

    def get_output_tensor(self, index: int) -> SimpleNamespace:
        self.step("get_output_tensor")
        result = np.zeros(self.shape, np.float32)
        result[..., -1] = self.value
        return SimpleNamespace(data=result)


BOUNDARIES = {
    "mindspore": ("get_context", "set_device", "load", "GraphCell", "Tensor", "run"),
    "openvino": (
        *("Core", "read_model", "reshape", "compile_model", "create_infer_request", "start_async"),
        *("wait", "get_output_tensor"),
    ),
}
FAKES = {"mindspore": FakeMindSpore, "openvino": FakeOpenVino}


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, TypeError, OSError, AttributeError])
@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name in BOUNDARIES for place in BOUNDARIES[name]]
)
def test_every_error_of_a_library_is_translated(
    name: str,
    place: str,
    kind: type[Exception],
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, name, FAKES[name](place, kind("boom")))
    monkeypatch.setattr(mindspore, "require_ascend", lambda index: None)
    device = "ascend" if name == "mindspore" else None
    with pytest.raises(EngineError, match=f"^engine {name}.*: boom$") as caught:
        open_engine(name, bundle, device)
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ENGINES)
def test_what_is_no_number_is_an_error(
    name: str, value: float, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fakes: the networks' ReLUs make zeros of most of what is no number."""
    library = FAKES[name]()
    library.value = value
    monkeypatch.setitem(sys.modules, name, library)
    with pytest.raises(EngineError) as caught:
        open_engine(name, bundle)
    assert str(caught.value) == (
        f"engine {name}: encoder graph of {bundle.path} gave values that are no numbers: "
        "192 of 1536; check it with ecolite-bench engines"
    )


@pytest.mark.parametrize(
    ("device", "asked_for"),
    [
        (None, []),
        ("cpu", []),
        ("ascend", [("Ascend",)]),
        ("ascend:1", [("Ascend", 1)]),
        ("gpu:0", [("GPU", 0)]),
    ],
)
def test_mindspore_runs_where_it_is_told_to(
    device: str | None,
    asked_for: list[tuple[object, ...]],
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = FakeMindSpore()
    monkeypatch.setitem(sys.modules, "mindspore", library)
    monkeypatch.setattr(mindspore, "require_ascend", lambda index: None)
    open_engine("mindspore", bundle, device)
    assert library.devices == asked_for


def test_what_mindspore_says_to_its_developers_is_left_out() -> None:
    told = "no such library\n\n-----\n- C++ Call Stack: (For framework developers)\n-----\nx.cc:1"
    with (
        pytest.raises(EngineError, match=r"^it failed: no such library$"),
        base.translated("it failed"),
    ):
        raise RuntimeError(told)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ("one", "two")}, "makes logits of shape (1, 5), the bundle says (1, 2)"),
        ({"feature_shape": (1, 8, 8)}, "makes features of shape (1, 24, 8, 8), the bundle says"),
    ],
)
def test_graphs_that_are_not_what_the_bundle_says(
    name: str, changes: dict[str, object], words: str, bundle: Bundle
) -> None:
    wrong = dataclasses.replace(bundle, spec=dataclasses.replace(bundle.spec, **changes))
    with pytest.raises(EngineError) as caught:
        open_engine(installed(name), wrong)
    assert words in str(caught.value)


def scaled(bundle: Bundle, folder: Path, factor: float) -> Bundle:
    """A copy of a bundle whose golden features are not what its encoder makes."""
    shutil.copytree(bundle.path, folder)
    golden = dataclasses.asdict(bundle.golden())
    np.savez(folder / GOLDEN, **{**golden, "features": golden["features"] * factor})
    return write_description(folder, bundle.spec)


def test_a_check_measures_and_times(engine: Engine, bundle: Bundle) -> None:
    found = check.check_engine(engine, bundle)
    assert found.name == engine.name
    assert max(found.feature_error, found.logit_error) <= check.TOLERANCES["f32"]
    assert found.same_label
    assert min(found.encode_ms, found.classify_ms) > 0


def test_a_check_refuses_what_is_off(engine: Engine, bundle: Bundle, tmp_path: Path) -> None:
    wrong = scaled(bundle, tmp_path / "wrong", 2)
    assert check.measure(engine, wrong).feature_error == pytest.approx(0.5)
    with pytest.raises(EngineError) as caught:
        check.check_engine(engine, wrong)
    assert str(caught.value) == (
        f"engine {engine.name} disagrees with the bundle: its features are off by 5.0e-01, "
        "at most 1e-03 is allowed in f32; use another engine"
    )


@pytest.mark.parametrize(
    ("found", "error"),
    [([1.0, 2.5], 0.25), ([1.0, np.nan], np.inf), ([1.0, np.inf], np.inf), ([1.0], np.inf)],
)
def test_relative_error(found: list[float], error: float) -> None:
    assert check.relative_error(np.array(found), np.array([1.0, 2.0])) == error


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ENGINES)
def test_a_check_in_a_process_of_its_own(name: str, bundle: Bundle, tmp_path: Path) -> None:
    agreeing = check.check_apart(installed(name), bundle, "cpu")
    assert (agreeing.engine, agreeing.state, agreeing.detail) == (name, "agrees", "")
    assert agreeing.check and agreeing.check.same_label
    off = check.check_apart(name, scaled(bundle, tmp_path / "wrong", 2))
    assert off.state == "disagrees"
    assert off.check and off.check.feature_error == pytest.approx(0.5)
    assert "its features are off by 5.0e-01" in str(off)


def test_a_check_that_needs_no_process(bundle: Bundle) -> None:
    outcome = check.check_apart("openvino", only(bundle, "mindir"))
    assert (outcome.state, outcome.check) == ("cannot run it", None)
    assert "has no encoder graph of format onnx" in str(outcome)
    assert check.check_apart("openvino", bundle, "ascend").state == "cannot run it"


def test_a_check_that_fails_is_an_outcome(bundle: Bundle, tmp_path: Path) -> None:
    assert check.check_here("tpu", str(bundle.path)).state == "failed"
    outcome = check.check_here("openvino", str(tmp_path))
    assert outcome.state == "failed"
    assert "is not a bundle" in outcome.detail


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "engine x: crashed (signal 11)",
        ),
        ("import time; time.sleep(60)", "engine x: no answer in 1 s"),
        (
            "import sys; sys.exit('cannot import y')",
            "engine x gave no answer, exit code 1: cannot import y",
        ),
        ("print('{}')", "engine x gave no answer, exit code 0: "),
        ("", "engine x gave no answer, exit code 0: "),
        (
            'print("chatter"); print(\'{"check": null, "state": "failed", "detail": "no y"}\')',
            "no y",
        ),
    ],
)
@pytest.mark.timeout(60)
def test_a_process_that_ends_badly(code: str, line: str) -> None:
    outcome = check.run_apart(
        "x", [sys.executable, "-c", code], timeout_s=1 if "sleep" in code else 30
    )
    assert str(outcome) == line
    assert outcome.check is None


def test_what_a_failed_engine_said_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import sys; print('numpy is missing', file=sys.stderr); sys.exit(1)"
    check.run_apart("x", [sys.executable, "-c", code], timeout_s=30)
    assert capfd.readouterr().err == "numpy is missing\n"


def test_a_process_that_does_not_start(tmp_path: Path) -> None:
    outcome = check.run_apart("x", [str(tmp_path / "nothing")], timeout_s=30)
    assert outcome.state == "failed"
    assert "engine x cannot be started" in str(outcome)
