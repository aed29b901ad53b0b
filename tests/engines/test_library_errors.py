"""What a library raises or returns that it should not becomes an error for people."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ecolite_stream.engines import base, mindspore, open_engine
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle
from tests.conftest import installed
from tests.engines.expected import ENGINES


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


class FakeOnnxRuntime:
    """The same for ONNX Runtime; it is its own session and options."""

    def __init__(
        self,
        place: str = "",
        error: Exception | None = None,
        available: Sequence[str] = ("CPUExecutionProvider",),
        starts: bool = True,
    ) -> None:
        self.place, self.error, self.available = place, error, list(available)
        self.starts, self.value, self.providers, self.asked = starts, 0.0, [], []
        self.graphs: list[str | bytes] = []
        self.__spec__ = SimpleNamespace()  # as of a module that is installed
        state = SimpleNamespace(Fail=FakeOnnxRuntime.Fail, version=1, Session=int)
        self.capi = SimpleNamespace(onnxruntime_pybind11_state=state)

    class Fail(Exception):  # noqa: N818  ONNX Runtime's name
        """As ONNX Runtime's own errors, no `RuntimeError`."""

    def step(self, place: str) -> None:
        if place == self.place and self.error:
            raise self.error

    def disable_telemetry_events(self) -> None:
        self.step("disable_telemetry_events")

    def get_available_providers(self) -> list[str]:
        self.step("get_available_providers")
        return self.available

    def SessionOptions(self) -> SimpleNamespace:  # noqa: N802  ONNX Runtime's name
        self.step("SessionOptions")
        return SimpleNamespace(add_session_config_entry=lambda *entry: None)

    def InferenceSession(  # noqa: N802
        self,
        graph: str | bytes,
        options: object,
        providers: list[tuple[str, dict[str, str]]],
        enable_fallback: int,
    ) -> SimpleNamespace:
        self.step("InferenceSession")
        assert enable_fallback == 0
        self.asked += providers
        self.graphs.append(graph)
        shape = (1, 5) if len(self.graphs) == 2 else (1, 24, 8, 8)
        found = [providers[0][0]] if self.starts else []
        return SimpleNamespace(
            get_providers=lambda: [*found, "CPUExecutionProvider"],
            get_inputs=lambda: [SimpleNamespace(name="x")],
            run=lambda names, inputs: self.run(shape),
        )

    def run(self, shape: tuple[int, ...]) -> list[np.ndarray]:
        self.step("run")
        result = np.zeros(shape, np.float32)
        result[..., -1] = self.value
        return [result]


BOUNDARIES = {
    "mindspore": ("get_context", "set_device", "load", "GraphCell", "Tensor", "run"),
    "onnxruntime": (
        *("disable_telemetry_events", "get_available_providers", "SessionOptions"),
        *("InferenceSession", "run"),
    ),
    "openvino": (
        *("Core", "read_model", "reshape", "compile_model", "create_infer_request", "start_async"),
        *("wait", "get_output_tensor"),
    ),
}


FAKES = {
    "mindspore": FakeMindSpore,
    "onnxruntime": FakeOnnxRuntime,
    "openvino": FakeOpenVino,
}


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
