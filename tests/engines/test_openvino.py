"""How the OpenVINO engine divides its work: the same numbers, in the order of the samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from ecolite_stream.engines import open_engine
from ecolite_stream.engines import openvino as engine_module
from ecolite_stream.engines.openvino import infer_all, settings
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.types import FloatArray
from tests.conftest import installed


@dataclass
class Output:
    data: FloatArray


@dataclass
class FakeRequest:
    """Doubles its batch, into a buffer that the next call overwrites; refuses to run twice."""

    begun: list[int]
    buffer: FloatArray = field(default_factory=lambda: np.zeros((0, 1), np.float32))
    busy: bool = False

    def start_async(self, inputs: list[FloatArray], share_inputs: bool) -> None:
        assert not self.busy
        self.busy = True
        self.begun.append(len(inputs[0]))
        self.buffer = inputs[0] * 2

    def wait(self) -> None:
        assert self.busy
        self.busy = False

    def get_output_tensor(self, place: int) -> Output:
        assert not self.busy
        output = Output(self.buffer)
        return output


@pytest.mark.parametrize("requests", [1, 2, 3, 5])
def test_batches_come_back_in_their_order(requests: int) -> None:
    batches = [np.full((k, 1), k, np.float32) for k in (1, 2, 3, 1, 2)]
    begun: list[int] = []
    outputs = infer_all([FakeRequest(begun) for _ in range(requests)], batches)
    np.testing.assert_array_equal(outputs, np.concatenate(batches) * 2)
    assert begun == [1, 2, 3, 1, 2]


def test_all_requests_run_before_one_is_waited_for() -> None:
    order: list[str] = []

    class Noting(FakeRequest):
        def start_async(self, inputs: list[FloatArray], share_inputs: bool) -> None:
            super().start_async(inputs, share_inputs)
            order.append("begin")

        def wait(self) -> None:
            super().wait()
            order.append("wait")

    batches = [np.ones((1, 1), np.float32)] * 3
    infer_all([Noting([]), Noting([])], batches)
    assert order == ["begin", "begin", "wait", "wait", "begin", "wait"]


def test_a_small_bundle_runs_several_samples_at_once() -> None:
    assert settings("f32") == {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    assert settings("int8", at_once=3) == {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": "3",
        "INFERENCE_NUM_THREADS": "3",
        "ENABLE_CPU_PINNING": "NO",
    }


def test_small_and_large_bundles_compute_the_same(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    size = bundle.spec.preprocessing.image_size
    images = rng.normal(size=(5, 3, size, size)).astype(np.float32)
    segments = (3, bundle.spec.num_segments, *bundle.spec.feature_shape)
    features = rng.random(segments).astype(np.float32)
    found = []
    # One request, as a large bundle has; two at once; more than there are samples.
    for cores, small_bytes in (([0], 0), ([0, 1], 10**9), (list(range(8)), 10**9)):
        monkeypatch.setattr(engine_module, "SMALL_BYTES", small_bytes)
        monkeypatch.setattr(engine_module, "usable_cores", lambda cores=cores: cores)
        engine = open_engine(installed("openvino"), bundle)
        try:
            found.append((engine.encode(images), engine.classify(features)))
        finally:
            engine.close()
    for encoded, classified in found[1:]:
        np.testing.assert_allclose(encoded, found[0][0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(classified, found[0][1], rtol=1e-5, atol=1e-5)


def test_no_request_is_busy_after_one_has_failed() -> None:
    class Failing(FakeRequest):
        def wait(self) -> None:
            super().wait()
            raise RuntimeError("broken")

    requests = [Failing([]), FakeRequest([])]
    with pytest.raises(RuntimeError, match="broken"):
        infer_all(requests, [np.ones((1, 1), np.float32)] * 2)
    assert not any(request.busy for request in requests)
