"""Activations that are reused: the same numbers as without, and less work."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from ecolite_stream.config.schema import MemoryConfig, StreamConfig
from ecolite_stream.engines import Engine, open_engine
from ecolite_stream.engines.reuse import ReusingHead, Stage
from ecolite_stream.errors import EngineError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle, write_description
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.recognition.models import Model
from ecolite_stream.recognition.step import BatchStep
from ecolite_stream.types import EngineBatch, FloatArray, Prediction, Sample
from tests.conftest import installed

N = 16
STREAM_S = 40


class CountedStage:
    """Three layers that add up neighbours with weights, in numpy, and note how many steps."""

    def __init__(self) -> None:
        self.steps = [0, 0, 0]
        self.stage = Stage(self._first, self._second, self._third, lambda maps: maps[None, :, 0, 0])

    def _first(self, neighbours: FloatArray) -> list[FloatArray]:
        summed = self._summed(0, neighbours)
        return [summed, np.maximum(summed, 0)]

    def _second(self, neighbours: FloatArray) -> list[FloatArray]:
        return [np.maximum(self._summed(1, neighbours), 0)]

    def _third(self, neighbours: FloatArray, shortcuts: FloatArray) -> list[FloatArray]:
        return [shortcuts + self._summed(2, neighbours)]

    def _summed(self, layer: int, neighbours: FloatArray) -> FloatArray:
        self.steps[layer] += len(neighbours)
        before, at, after = neighbours[:, :1], neighbours[:, 1:2], neighbours[:, 2:]
        summed: FloatArray = 0.5 * before + at - 2 * after + 1
        return summed


def frames(count: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(count, 1, 1, 1)).astype(np.float32)


def without_reuse(window: FloatArray) -> FloatArray:
    def summed(x: FloatArray) -> FloatArray:
        padded = np.concatenate([[0], x, [0]])
        return np.asarray(0.5 * padded[:-2] + x - 2 * padded[2:] + 1)

    first = summed(window.ravel().astype(np.float64))
    third = first + summed(np.maximum(summed(np.maximum(first, 0)), 0))
    return third.astype(np.float32)


def check(head: ReusingHead, window: FloatArray) -> None:
    np.testing.assert_allclose(
        head.classify(window[None])[0].ravel(), without_reuse(window), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("slide", "expected"),
    [(0, [0, 0, 0]), (1, [3, 5, 7]), (2, [4, 6, 8]), (4, [6, 8, 10]), (16, [16, 16, 16])],
)
def test_only_new_steps_and_those_at_the_ends_are_computed(slide: int, expected: list[int]) -> None:
    counted, seen = CountedStage(), frames(2 * N)
    head = ReusingHead(counted.stage)
    check(head, seen[:N])
    assert counted.steps == [N, N, N]
    counted.steps = [0, 0, 0]
    check(head, seen[slide : slide + N])
    assert counted.steps == expected


def test_views_in_turns_keep_their_own() -> None:
    counted = CountedStage()
    head = ReusingHead(counted.stage)
    one, other = frames(N + 2, seed=1), frames(N + 2, seed=2)
    for window in (one[:N], other[:N], one[2:], other[2:]):
        check(head, window)
    assert counted.steps == [2 * N + 2 * 4, 2 * N + 2 * 6, 2 * N + 2 * 8]


def test_a_frame_that_stands_in_for_others_is_one_step() -> None:
    counted = CountedStage()
    check(ReusingHead(counted.stage), np.repeat(frames(1), N, axis=0))
    assert counted.steps == [3, 5, 7]  # two ends and the middle, and their neighbours


def test_frames_that_differ_in_one_value_are_two() -> None:
    counted = CountedStage()

    def far_apart(neighbours: FloatArray) -> list[FloatArray]:
        counted.steps[0] += len(neighbours)
        return [neighbours[:, 200:400]] * 2

    def pass_on(neighbours: FloatArray, *_: FloatArray) -> list[FloatArray]:
        return [neighbours[:, 200:400]]

    stage = Stage(far_apart, pass_on, pass_on, lambda maps: maps.sum((2, 3)).sum(0, keepdims=True))
    head = ReusingHead(stage)
    window = np.random.default_rng(0).normal(size=(3, 200, 1, 1)).astype(np.float32)
    for channel in range(200):
        window[1, channel] += 1
        np.testing.assert_allclose(
            head.classify(window[None])[0], window.sum((0, 2, 3)), rtol=1e-4, atol=1e-4
        )
        assert counted.steps[0] >= 3 + channel


def test_memory_is_bounded() -> None:
    counted, seen = CountedStage(), frames(500)
    head = ReusingHead(counted.stage, most_bytes=2000)
    for start in range(0, 480, 2):
        check(head, seen[start : start + N])
        assert head.kept_bytes <= 2000
    assert counted.steps == [N + 239 * 4, N + 239 * 6, N + 239 * 8]


def test_too_little_memory_changes_no_number() -> None:
    counted, seen = CountedStage(), frames(100)
    head = ReusingHead(counted.stage, most_bytes=40)
    for start in range(0, 80, 2):
        check(head, seen[start : start + N])
        assert head.kept_bytes <= 40


def test_arguments_may_change_after_a_call() -> None:
    head, seen = ReusingHead(CountedStage().stage), frames(N + 2)
    window = seen[:N].copy()
    check(head, window)
    window[:] = 7
    check(head, seen[2:])


def stream(bundle: Bundle) -> Iterator[EngineBatch]:
    """Two views of random pictures: one with gaps and resets, one that stands still for a while."""
    rng, size = np.random.default_rng(0), bundle.spec.preprocessing.image_size
    period_s = bundle.spec.clip_seconds / bundle.spec.num_segments
    still_since_s = {"b": 16.0}
    for number in range(round(STREAM_S / period_s)):
        time_s = number * period_s
        is_lost = 6 < time_s < 7 or 10 < time_s < 18
        views = ["b"] if is_lost else ["a", "b"]
        samples = []
        for view in views:
            still_s = max(0.0, time_s - still_since_s[view]) if view in still_since_s else 0.0
            is_still = 0 < still_s < 8
            image = rng.normal(0, 60, (3, size, size)).astype(np.float32)
            samples.append(
                Sample(
                    stream="s",
                    frame=number,
                    time_s=time_s,
                    arrived_s=None,
                    image=None if is_still and number % 3 else image,
                    predicts=number % 2 == 0,
                    reset_state=view == "a" and 18 <= time_s < 18 + period_s,
                    view=view,
                    still_s=still_s if is_still else 0.0,
                )
            )
        yield EngineBatch(number, tuple(samples), (), ())


class NotingEngine:
    """Passes everything on, and keeps the logits."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.encode, self.close = engine.encode, engine.close
        self._classify = engine.classify
        self.logits: list[FloatArray] = []

    def classify(self, features: FloatArray) -> FloatArray:
        self.logits += list(found := self._classify(features))
        return found


def predictions(bundle: Bundle, engine: Engine, config: StreamConfig) -> list[Prediction]:
    step = BatchStep({0: Model(bundle.spec)}, lambda name: config, Metrics())
    outputs = [output for batch in stream(bundle) for output in step.run_batch({0: engine}, batch)]
    return [output for output in outputs if isinstance(output, Prediction)]


@pytest.fixture(scope="module")
def embedded() -> Bundle:
    return read_bundle(demo_bundle_path())


@pytest.mark.parametrize("policy", ["window", "paper", "pyramid"])
def test_a_long_stream_has_the_same_numbers(embedded: Bundle, policy: str) -> None:
    config = StreamConfig(
        top=len(embedded.spec.labels), memory=MemoryConfig(policy=policy), smoothing=0.0
    )
    name = installed("openvino")
    plain, reusing = (
        NotingEngine(open_engine(name, embedded, reuse=reuse)) for reuse in (False, True)
    )
    without, with_reuse = (predictions(embedded, engine, config) for engine in (plain, reusing))
    plain.close()
    reusing.close()
    assert len(without) > 150
    assert (len(without) > len(plain.logits)) == (policy == "window")  # the gate spared some
    assert len(plain.logits) == len(reusing.logits)
    for expected, logits in zip(plain.logits, reusing.logits, strict=True):
        assert np.abs(logits - expected).max() <= 1e-5 * np.abs(expected).max()
    for one, other in zip(without, with_reuse, strict=True):
        assert other == dataclasses.replace(one, score=other.score, top=other.top)
        assert abs(other.score - one.score) <= 1e-5


def test_the_golden_numbers(embedded: Bundle) -> None:
    golden, engine = embedded.golden(), open_engine(installed("openvino"), embedded, reuse=True)
    logits = engine.classify(np.stack([golden.features, golden.features[::-1], golden.features]))
    for found in (logits[0], logits[2]):
        assert np.abs(found - golden.logits).max() <= 1e-5 * np.abs(golden.logits).max()
    engine.close()


@pytest.mark.parametrize("name", ["onnxruntime", "mindspore", "mslite"])
def test_other_engines_cannot(embedded: Bundle, name: str) -> None:
    with pytest.raises(EngineError) as caught:
        open_engine(name, embedded, reuse=True)
    assert str(caught.value) == (
        f"engine {name} cannot reuse activations; set reuse: false or engine: openvino"
    )


def test_a_head_with_other_names_is_refused(renamed: Bundle) -> None:
    with pytest.raises(EngineError) as caught:
        open_engine(installed("openvino"), renamed, reuse=True)
    assert "so nothing of it can be reused; set reuse: false" in str(caught.value)


@pytest.fixture
def renamed(embedded: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The embedded bundle, whose head names its weights otherwise."""
    onnx = pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("renamed") / "bundle"
    shutil.copytree(embedded.path, folder)
    head = embedded.graph("head_2d", "onnx")
    assert head is not None
    model = onnx.load(folder / head.file)
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace("net.res3b_2", "other")
    for node in model.graph.node:
        names = [name.replace("net.res3b_2", "other") for name in node.input]
        node.input[:] = names
    onnx.save(model, folder / head.file)
    return write_description(folder, embedded.spec, embedded.graphs, embedded.files)
