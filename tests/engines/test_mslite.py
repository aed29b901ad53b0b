"""How MindSpore Lite is called, on a hand-written stand-in.

`test_mslite_runtime.py` has the real one.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ecolite_stream import engines
from ecolite_stream.engines import base, installed_engines, lite_process, mslite, open_engine
from ecolite_stream.engines.lite_process import LiteProcess
from ecolite_stream.engines.mslite import LiteError, LiteRuntime, require_ascend
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle, Graph
from tests.conftest import ROOT


class FakeLite:
    """The runtime's Python calls; a graph is a text, and its model adds one to the sample."""

    __version__ = "2.3.1"
    FmkType = SimpleNamespace(ONNX="onnx")
    ModelType = SimpleNamespace(MINDIR="mindir", MINDIR_LITE="ms")

    def __init__(self, input_shape: tuple[int, ...] = (1, 2)) -> None:
        self.input_shape = input_shape
        self.conversions: list[dict[str, Any]] = []
        self.built: list[tuple[str, str, Any]] = []
        self.predicted: list[int] = []
        self.refuses = ""

    def Converter(self) -> Any:  # noqa: N802
        lite = self
        settings: dict[str, Any] = {}

        class Converter:
            def __setattr__(self, name: str, value: Any) -> None:
                settings[name] = value

            def set_config_info(self, section: str, info: dict[str, str]) -> None:
                settings[section] = info

            def convert(self, kind: str, source: str, target: str) -> None:
                if lite.refuses == "conversion":
                    raise RuntimeError("Converter model failed! error is Common error code.")
                lite.conversions.append({**settings, "kind": kind})
                shape = settings.get("input_shape", {"x": lite.input_shape})["x"]
                Path(f"{target}.mindir").write_text(json.dumps(shape))

        return Converter()

    def Context(self) -> Any:  # noqa: N802
        return SimpleNamespace(ascend=SimpleNamespace(), cpu=SimpleNamespace())

    def Model(self) -> Any:  # noqa: N802
        lite = self

        class Tensor:
            name = "x"

            def __init__(self, shared: np.ndarray) -> None:
                self.shape, self.shared = list(shared.shape), shared

            def set_data_from_numpy(self, array: np.ndarray) -> None:
                assert array.shape == self.shared.shape
                self.shared[:] = array

            def get_data_to_numpy(self) -> np.ndarray:
                return self.shared

        class Model:
            def build_from_file(self, path: str, kind: str, context: Any) -> None:
                if lite.refuses == "building":
                    raise RuntimeError("build_from_file failed! Error is Common error code.")
                lite.built.append((Path(path).name, kind, context))
                written = Path(path).read_text() if Path(path).is_file() else ""
                shape = json.loads(written) if written.startswith("[") else lite.input_shape
                self.shared = np.zeros(shape, np.float32)

            def get_inputs(self) -> list[Tensor]:
                return [Tensor(self.shared)]

            def predict(self, inputs: list[Tensor]) -> list[Tensor]:
                lite.predicted.append(len(self.shared))
                self.shared[:] += 1
                return [Tensor(self.shared)]

        return Model()


@pytest.fixture
def lite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeLite:
    fake = FakeLite()
    monkeypatch.setitem(sys.modules, "mindspore_lite", fake)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return fake


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    path = tmp_path / "head_2d.onnx"
    path.write_text("a graph")
    return path


def test_each_sample_of_a_batch_is_run_and_copied(lite: FakeLite, onnx: Path) -> None:
    run = LiteRuntime().load(onnx)
    first = run(np.array([[1, 2], [3, 4], [5, 6]], np.float32))
    run(np.zeros((1, 2), np.float32))
    np.testing.assert_array_equal(first, [[2, 3], [4, 5], [6, 7]])
    with pytest.raises(ValueError, match=r"inputs are \(3,\); expected \(2,\)"):
        run(np.zeros((1, 3), np.float32))


def test_batches_are_run_in_the_sizes_fixed_at_the_start(lite: FakeLite, onnx: Path) -> None:
    run = LiteRuntime().load(onnx, [1, 4])
    assert [made.get("input_shape") for made in lite.conversions] == [None, {"x": [4, 2]}]
    samples = np.arange(12, dtype=np.float32).reshape(6, 2)
    for count, calls in ((1, [1]), (3, [1, 1, 1]), (4, [4]), (6, [4, 1, 1])):
        lite.predicted.clear()
        np.testing.assert_array_equal(run(samples[:count]), samples[:count] + 1)
        assert lite.predicted == calls
    assert len(LiteRuntime().load(onnx, [1, 4])(samples)) == 6
    assert len(lite.conversions) == 2


@pytest.mark.parametrize("num_segments", [4, 8, 16])
def test_a_step_of_the_papers_policy_is_two_calls(
    num_segments: int, lite: FakeLite, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "warm_up", lambda engine, spec: None)
    spec = dataclasses.replace(bundle.spec, num_segments=num_segments)
    engine = open_engine("mslite", dataclasses.replace(bundle, spec=spec))
    engine.encode(np.zeros((num_segments // 2, 2), np.float32))
    engine.classify(np.zeros((1, 2), np.float32))
    assert lite.predicted == [num_segments // 2, 1]


def test_a_graph_is_converted_once(lite: FakeLite, onnx: Path, tmp_path: Path) -> None:
    LiteRuntime().load(onnx)
    LiteRuntime().load(onnx)
    assert len(lite.conversions) == 1
    assert lite.conversions[0]["optimize"] == "general"
    onnx.write_text("another graph")
    LiteRuntime().load(onnx)
    assert len(lite.conversions) == 2
    lite.__version__ = "2.7.0"  # type: ignore[misc]
    LiteRuntime().load(onnx)
    assert len(lite.conversions) == 3
    kept = list((tmp_path / "home" / "ecolite-stream" / "mslite").iterdir())
    assert len(kept) == 3 and all(path.suffix == ".mindir" for path in kept)


def test_a_converted_graph_that_was_damaged_is_made_anew(
    lite: FakeLite, onnx: Path, tmp_path: Path
) -> None:
    LiteRuntime().load(onnx)
    folder = tmp_path / "home" / "ecolite-stream" / "mslite"
    [kept] = folder.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    LiteRuntime().load(onnx)
    assert len(lite.conversions) == 2
    assert [path.read_bytes() for path in folder.iterdir()] == [whole]


def test_a_damaged_graph_that_another_process_removes_first(
    lite: FakeLite, onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LiteRuntime().load(onnx)
    [kept] = (tmp_path / "home" / "ecolite-stream" / "mslite").iterdir()
    kept.write_bytes(b"damaged")
    digest = mslite._digest

    def removed_meanwhile(path: Path) -> str:
        found = digest(path)
        if path == kept:
            path.unlink()
        return found

    monkeypatch.setattr(mslite, "_digest", removed_meanwhile)
    LiteRuntime().load(onnx)
    assert len(lite.conversions) == 2


def test_a_cache_that_cannot_be_written(lite: FakeLite, onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(LiteError, match=r"cannot be kept in .*; make room there or set XDG_CACHE"):
        LiteRuntime().load(onnx)


@pytest.mark.parametrize(("suffix", "kind"), [(".mindir", "mindir"), (".ms", "ms")])
def test_what_is_converted_already(suffix: str, kind: str, lite: FakeLite, onnx: Path) -> None:
    LiteRuntime().load(onnx.rename(onnx.with_suffix(suffix)))
    assert not lite.conversions
    assert lite.built[0][:2] == (f"head_2d{suffix}", kind)


def test_an_ascend_computes_in_float16(
    lite: FakeLite, onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mslite, "require_ascend", lambda index: None)
    LiteRuntime("ascend", 1).load(onnx)
    assert lite.conversions[0]["optimize"] == "ascend_oriented"
    assert lite.conversions[0]["ascend_context"] == {"precision_mode": "enforce_fp16"}
    context = lite.built[0][2]
    assert (context.target, context.ascend.device_id) == (["ascend"], 1)
    assert context.ascend.precision_mode == "enforce_fp16"


@pytest.mark.parametrize(
    ("refuses", "kind", "words"),
    [
        ("conversion", "cpu", "cannot be converted: .*Common error code; export the bundle again"),
        ("building", "cpu", "cannot be loaded: .*Common error code; it is damaged, or was"),
        ("building", "ascend", "cannot be loaded: .*; the device is busy or out of memory"),
    ],
)
def test_what_the_runtime_refuses(
    refuses: str,
    kind: str,
    words: str,
    lite: FakeLite,
    onnx: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mslite, "require_ascend", lambda index: None)
    lite.refuses = refuses
    with pytest.raises(LiteError, match=words):
        LiteRuntime(kind).load(onnx)


@pytest.mark.parametrize("shape", [(4, 2), ()])
def test_a_graph_for_another_batch(shape: tuple[int, ...], lite: FakeLite, onnx: Path) -> None:
    lite.input_shape = shape
    with pytest.raises(LiteError, match="expected a batch of one"):
        LiteRuntime().load(onnx)


@pytest.mark.parametrize("version", ["1.10.0", "", SimpleNamespace(__version__="1.9.0")])
def test_a_runtime_that_is_too_old(version: Any, lite: FakeLite) -> None:
    lite.__version__ = version  # type: ignore[misc]
    with pytest.raises(LiteError, match=r"mindspore_lite is .*; expected 2\.0 or later"):
        LiteRuntime()


def test_a_runtime_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mindspore_lite", None)
    with pytest.raises(
        LiteError, match=r"not installed for .*python\S*; its wheel .* in ECOLITE_MSLITE_PYTHON"
    ):
        LiteRuntime()


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("says", ["mslite.py cpu 0", "5", "[]"])
def test_a_program_that_is_no_python(says: str, tmp_path: Path) -> None:
    with pytest.raises(LiteError, match=r"ECOLITE_MSLITE_PYTHON names .*, which answers b'.*'; na"):
        LiteProcess(program(tmp_path / "echo", f"echo '{says}'"), cache=tmp_path)


def test_a_program_that_ends_at_once(tmp_path: Path) -> None:
    with pytest.raises(LiteError, match=r"ended with exit code 3; .* mindspore_lite and numpy"):
        LiteProcess(program(tmp_path / "end", "exit 3"), cache=tmp_path)


NEVER_RETURNS = """
import time
from ecolite_stream.engines import mslite

class Runtime:
    def __init__(self, *where): pass
    def load(self, path, sizes): time.sleep(60)

mslite.LOAD_S, mslite.LiteRuntime = 1, Runtime
mslite.serve("cpu", "0", ".")
"""


def test_a_runtime_that_never_returns_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stuck.py").write_text(NEVER_RETURNS)
    monkeypatch.setattr(lite_process, "_environment", lambda: {"PYTHONPATH": str(ROOT)})
    python = program(tmp_path / "python", f"exec {sys.executable} {tmp_path}/stuck.py")
    process = LiteProcess(python, cache=tmp_path)
    with pytest.raises(
        LiteError, match="was ended: the runtime did not run a graph in 60 s, or lo"
    ):
        process.load(tmp_path / "graph.onnx")


@pytest.mark.parametrize("others", ["", "/cann/python"])
def test_the_other_python_gets_no_libraries_of_this_one(
    others: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package has this Python's NumPy beside it, which no other can import."""
    own = str(Path(engines.__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, (own, others))))
    says = """echo "{\\"error\\": \\"paths '$PYTHONPATH'\\"}\""""
    with pytest.raises(LiteError, match=f"^paths '{others}'$"):
        LiteProcess(program(tmp_path / "python", says), cache=tmp_path)


def shown(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "no Ascend driver is loaded: .*davinci_manager is missing; install the driver"),
        (("davinci_manager",), "there is no device ascend:0; the driver shows none"),
        (
            ("davinci_manager", "davinci1", "davinci2"),
            "there is no device ascend:0; the driver shows ascend:1, ascend:2",
        ),
    ],
)
def test_an_ascend_that_is_not_there(names: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(LiteError, match=words):
        require_ascend(0, shown(tmp_path, *names))


def test_an_ascend_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_ascend(0, shown(tmp_path, "davinci_manager", "davinci0"))
    monkeypatch.setattr(mslite.os, "access", lambda path, mode: not path.endswith("davinci0"))
    with pytest.raises(LiteError, match="davinci0 may not be opened; add this user to the group"):
        require_ascend(0, tmp_path)


def test_the_module_stands_alone() -> None:
    """It is loaded by its path, in a Python that has nothing of this package."""
    tree = ast.parse(Path(mslite.__file__).read_text(encoding="utf-8"), feature_version=(3, 7))
    names = [
        getattr(node, "module", None) or node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not [name for name in names if name.startswith("ecolite_stream")]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, list[str]]]:
    """The engine on a runtime that computes nothing, and is not warmed up."""
    runtimes: list[tuple[str, int, list[str]]] = []

    class Runtime:
        def __init__(self, kind: str, index: int) -> None:
            self.files: list[str] = []
            runtimes.append((kind, index, self.files))

        def load(self, path: Path, batch_sizes: Sequence[int]) -> Callable[[Any], Any]:
            self.files.append(path.name)
            return lambda batch: batch

    monkeypatch.setattr("ecolite_stream.engines.mindspore_lite.LiteRuntime", Runtime)
    monkeypatch.setattr(base, "warm_up", lambda engine, spec: None)
    return runtimes


def test_the_engine_runs_the_2d_graphs(
    bundle: Bundle, opened: list[tuple[str, int, list[str]]]
) -> None:
    assert open_engine("mslite", bundle, "ascend:1").name == "mslite"
    open_engine("mslite", bundle)
    files = ["encoder_2d.onnx", "head_2d.onnx"]
    assert opened == [("ascend", 1, files), ("cpu", 0, files)]


def test_the_engine_prefers_what_is_converted(
    bundle: Bundle, opened: list[tuple[str, int, list[str]]]
) -> None:
    converted = Graph("head", "ms", "head.mindir", "f16", (1,), "0")
    for_eight = Graph("encoder", "ms", "encoder.mindir", "f16", (8,), "0")
    graphs = (*bundle.graphs, converted, for_eight)
    open_engine("mslite", dataclasses.replace(bundle, graphs=graphs), "ascend")
    assert opened.pop() == ("ascend", 0, ["encoder_2d.onnx", "head.mindir"])
    open_engine("mslite", dataclasses.replace(bundle, graphs=graphs), "cpu")  # it is not for a CPU
    assert opened.pop() == ("cpu", 0, ["encoder_2d.onnx", "head_2d.onnx"])


def test_a_bundle_without_2d_graphs(bundle: Bundle) -> None:
    older = tuple(graph for graph in bundle.graphs if graph.format == "mindir")
    with pytest.raises(
        EngineError, match=r"no encoder_2d graph of .*it has encoder.mindir .*--add-2d"
    ):
        open_engine("mslite", dataclasses.replace(bundle, graphs=older))


def test_no_runtime_is_an_engine_error(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mindspore_lite", None)
    with pytest.raises(EngineError, match="engine mslite cannot use device cpu: mindspore_lite is"):
        open_engine("mslite", bundle)


def test_auto_prefers_it_on_an_ascend_only(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: name)
    assert installed_engines() == list(engines.ENGINE_NAMES)
    assert engines._first_able(bundle, None, None) == "openvino"
    assert engines._first_able(bundle, "cpu", None) == "openvino"
    assert engines._first_able(bundle, "ascend:0", None) == "mslite"
