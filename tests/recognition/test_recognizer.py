from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecolite_stream.config.choices import POLICIES
from ecolite_stream.config.schema import MemoryConfig, StreamConfig
from ecolite_stream.engines import Engine, open_engine
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.model.preprocess import preprocess
from ecolite_stream.model.sampling import segment_frames
from ecolite_stream.recognition.memory import make_memory
from ecolite_stream.recognition.recognizer import Recognizer
from ecolite_stream.recognition.view_state import softmax
from ecolite_stream.types import FloatArray, Frame, Prediction
from tests.fakes import NumberEngine, clip_logits, frame, frames, spec_of

policies = st.sampled_from(POLICIES)


def recognizer(
    policy: str = "window",
    every_s: float = 0.5,
    *,
    num_segments: int = 4,
    clip_seconds: float = 1.6,
    engine: Engine | None = None,
    **memory: object,
) -> Recognizer:
    config = StreamConfig(memory=MemoryConfig(policy, **memory), every_s=every_s, top=3)  # type: ignore[arg-type]
    return Recognizer(engine or NumberEngine(), spec_of(num_segments, clip_seconds), config)


def watch(it: Recognizer, stream: Iterable[Frame]) -> list[Prediction]:
    seen = [it.observe(item) for item in stream]
    return [prediction for prediction in seen if prediction]


def test_a_prediction() -> None:
    it = recognizer()
    (first, *_) = watch(it, frames(14, 25, "door"))
    assert (first.stream, first.frame, first.time_s) == ("door", 10, 0.4)
    assert it.engine.clips[0] == [0, 0, 0, 10]
    scores = softmax(clip_logits(np.array([[0, 0, 0, 10]], np.float32))[0])
    order = np.argsort(-scores)
    assert [label for label, _ in first.top] == ["abc"[i] for i in order]
    assert [score for _, score in first.top] == [float(scores[i]) for i in order]
    assert (first.label, first.score) == first.top[0]
    assert first.memory_fill == 0.5
    assert first.latency_ms is None


def test_a_prediction_in_json() -> None:
    prediction = Prediction("s", 3, 0.12345, "a", 0.98765, (("a", 0.98765), ("b", 0.1)), 0.66666)
    assert json.dumps(prediction.as_dict()) == (
        '{"stream": "s", "frame": 3, "time_s": 0.123, "label": "a", "score": 0.9877, '
        '"top": [["a", 0.9877], ["b", 0.1]], "memory_fill": 0.667, "latency_ms": null}'
    )


def test_the_temperature_flattens_the_scores() -> None:
    logits = np.array([1.0, 3.0], np.float32)
    assert softmax(logits) == pytest.approx([0.1192, 0.8808], abs=1e-4)
    assert softmax(logits + 1e4) == pytest.approx(softmax(logits))
    spec = dataclasses.replace(spec_of(), temperature=100.0)
    (hot, *_) = watch(Recognizer(NumberEngine(), spec), frames(14, 25))
    assert 0.33 < hot.score < 0.34


@given(policies, st.floats(0.1, 5), st.floats(5, 60), st.sampled_from([4, 8, 16]))
def test_labels_come_in_time_and_frames_are_encoded_once(
    policy: str, every_s: float, fps: float, num_segments: int
) -> None:
    it = recognizer(policy, every_s, num_segments=num_segments)
    stream = frames(int(12 * fps), fps)
    predictions = watch(it, stream)
    times_s = [prediction.time_s for prediction in predictions]
    interval_s = 1 / fps
    assert 0 < times_s[0] <= 1
    beside_s = interval_s + every_s / 4  # the sample nearest to the moment
    for k, time_s in enumerate(times_s if every_s >= interval_s else []):
        due_s = min(every_s, 0.5) + k * every_s
        assert abs(time_s - due_s) <= beside_s
    assert set(it.engine.encoded.values()) == {1}
    assert len(it.engine.clips) == len(predictions)
    samples_a_label = max(num_segments / 2, 4 * every_s / (1.6 / num_segments) + 1) + 1
    assert len(it.engine.encoded) <= (len(predictions) + 1) * samples_a_label + 1
    for clip, prediction in zip(it.engine.clips, predictions, strict=True):
        assert clip[-1] == prediction.frame
        assert clip == sorted(clip)


@given(policies, st.sets(st.integers(1, 249), max_size=200), st.floats(0.1, 2))
def test_frames_are_encoded_once_though_others_are_dropped(
    policy: str, dropped: set[int], every_s: float
) -> None:
    it = recognizer(policy, every_s)
    watch(it, [item for item in frames(250, 25) if item.index not in dropped])
    assert set(it.engine.encoded.values()) == {1}


def test_frames_nobody_samples_are_never_converted() -> None:
    asked: list[int] = []

    def pixels(index: int) -> Callable[[], np.ndarray]:
        def make() -> np.ndarray:
            asked.append(index)
            return np.zeros((16, 16, 3), np.uint8)

        return make

    it = recognizer()
    watch(it, [Frame("s", i, i / 50, pixels(i)) for i in range(200)])
    assert asked == sorted(set(asked))
    assert len(asked) <= 4 / 0.125 + 2


def test_dropping_frames_does_not_change_the_time_scale() -> None:
    """Half the frames, the same labels at the same times from clips that span the same time."""
    whole, half = recognizer(), recognizer()
    all_frames = frames(300, 50)
    first = watch(whole, all_frames)
    second = watch(half, all_frames[::2])
    assert [p.time_s for p in first] == pytest.approx([p.time_s for p in second], abs=0.021)
    for full, thin in zip(whole.engine.clips, half.engine.clips, strict=True):
        assert thin == pytest.approx(full, abs=6)  # an eighth of a segment, either way


@given(
    st.integers(4, 300),
    st.sampled_from([4, 8, 12, 16, 20, 24, 32]),
    st.sampled_from([10, 25, 30]),
    st.booleans(),
)
def test_the_frames_of_offline_sampling_give_the_offline_clip(
    num_frames: int, num_segments: int, fps: int, each: bool
) -> None:
    """Whether there is a label at each frame or at each segment."""
    num_frames = max(num_frames, num_segments)
    seconds = Fraction(num_frames, fps)
    every_s = float(Fraction(1, fps) if each else min(seconds / num_segments, Fraction(1, 2)))
    it = recognizer("window", every_s, num_segments=num_segments, clip_seconds=float(seconds))
    chosen = segment_frames(num_frames, num_segments)
    for index in chosen:
        last = it.observe(frame(index, index / fps))
    last = last or it.finish("s")
    if last is not None:  # where labels are rarer than frames the last may have none
        assert it.engine.clips[-1] == chosen
    assert last is not None or not each


@pytest.fixture(scope="module")
def engines(small_bundle: Callable[[int], Bundle]) -> Iterable[dict[int, Engine]]:
    opened = {n: open_engine("auto", small_bundle(n)) for n in (4, 8)}
    yield opened
    for engine in opened.values():
        engine.close()


def offline_logits(engine: Engine, bundle: Bundle, images: list[np.ndarray]) -> FloatArray:
    inputs = np.stack([preprocess(image, bundle.spec.preprocessing) for image in images])
    return engine.classify(engine.encode(inputs)[None])[0]


class LastLogits:
    """An engine that remembers the last logits it gave."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self.encode = engine.encode
        self.close = engine.close
        self._engine = engine
        self.logits: FloatArray | None = None

    def classify(self, features: FloatArray) -> FloatArray:
        self.logits = self._engine.classify(features)
        return self.logits


def video(num_frames: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(num_frames)]


@pytest.mark.parametrize("num_segments", [4, 8])
@pytest.mark.parametrize("num_frames", [8, 29, 40])
def test_the_frames_of_offline_sampling_give_the_offline_logits(
    engines: dict[int, Engine],
    small_bundle: Callable[[int], Bundle],
    num_segments: int,
    num_frames: int,
) -> None:
    bundle, engine, fps = small_bundle(num_segments), LastLogits(engines[num_segments]), 25
    images = video(num_frames)
    chosen = segment_frames(num_frames, num_segments)
    memory = MemoryConfig(span_s=num_frames / fps)
    it = Recognizer(engine, bundle.spec, StreamConfig(memory=memory, every_s=1 / fps, gate=False))
    for index in chosen:
        prediction = it.observe(Frame("s", index, index / fps, images[index]))
    expected = offline_logits(engines[num_segments], bundle, [images[i] for i in chosen])
    assert engine.logits is not None
    np.testing.assert_allclose(engine.logits[0], expected, rtol=1e-5, atol=1e-6)
    assert prediction is not None
    assert prediction.label == bundle.spec.labels[int(expected.argmax())]


@pytest.mark.parametrize("num_segments", [4, 8])
@pytest.mark.parametrize("policy", POLICIES)
def test_n_frames_in_the_memory_give_the_offline_logits(
    engines: dict[int, Engine],
    small_bundle: Callable[[int], Bundle],
    policy: str,
    num_segments: int,
) -> None:
    """Each policy, once its memory holds exactly N frames: they are classified as a clip is."""
    bundle, engine = small_bundle(num_segments), engines[num_segments]
    images = video(4 * num_segments)
    numbers, features = (
        make_memory(policy, num_segments, 4, 1),
        make_memory(policy, num_segments, 4, 1),
    )
    for block in range(4 if policy == "pyramid" else 1):
        wanted = range(block * num_segments, (block + 1) * num_segments)
        for index in wanted:
            time_s = index * 4 / num_segments
            numbers.add(np.full(1, index, np.float32), time_s)
            image = preprocess(images[index], bundle.spec.preprocessing)
            features.add(engine.encode(image[None])[0], time_s)
        clip = numbers.recall().astype(int).ravel().tolist()
        logits = engine.classify(features.recall()[None])[0]
    assert len(set(clip)) == num_segments
    expected = offline_logits(engine, bundle, [images[i] for i in clip])
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


@given(
    policies,
    st.lists(st.booleans(), min_size=1, max_size=160),
    st.floats(0.1, 1),
    st.sampled_from([8.0, 25.0]),
)
def test_interleaved_streams_never_touch_each_other(
    policy: str, turns: list[bool], every_s: float, fps: float
) -> None:
    streams = {
        "a": frames(turns.count(True), 25, "a"),
        "b": [frame(1000 + i, i / fps, "b") for i in range(turns.count(False))],
    }
    both = recognizer(policy, every_s)
    upcoming = {name: iter(stream) for name, stream in streams.items()}
    together = watch(both, [next(upcoming["a" if turn else "b"]) for turn in turns])
    ends = [p for name in streams if (p := both.finish(name))]
    for name, stream in streams.items():
        one = recognizer(policy, every_s)
        alone = watch(one, stream)
        alone += [p for p in [one.finish(name)] if p]
        assert [p for p in together + ends if p.stream == name] == alone


@pytest.mark.parametrize("policy", POLICIES)
def test_a_recorded_run_replays_byte_for_byte(policy: str, bundle: Bundle) -> None:
    engine = open_engine("auto", bundle)
    images = video(50)

    def lines() -> str:
        it = Recognizer(engine, bundle.spec, StreamConfig(memory=MemoryConfig(policy)))
        stream = (Frame("s", i, i / 25, image) for i, image in enumerate(images))
        return "\n".join(json.dumps(p.as_dict()) for p in watch(it, stream))

    first = lines()
    assert first.count("\n") == 2
    assert lines() == first
    engine.close()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_short_stream_gets_one_prediction_when_it_ends(policy: str) -> None:
    it = recognizer(policy)
    assert watch(it, frames(1, 25)) == []
    only = it.finish("s")
    assert only is not None
    assert (only.frame, only.time_s) == (0, 0.0)
    assert it.engine.clips == [[0, 0, 0, 0]]
    assert it.finish("s") is None


def test_the_prediction_at_the_end_is_made_from_the_last_frame() -> None:
    it = recognizer()
    assert watch(it, frames(10, 25)) == []  # 0, 5 are sampled
    only = it.finish("s")
    assert only is not None
    assert only.frame == it.engine.clips[0][-1] == 9
    assert set(it.engine.encoded.values()) == {1}


def test_no_prediction_at_the_end_of_a_stream_that_had_one() -> None:
    it = recognizer()
    assert watch(it, frames(20, 25))
    assert it.finish("s") is None
    assert it.finish("never seen") is None


def test_a_stream_that_comes_again_starts_afresh() -> None:
    it = recognizer()
    first = watch(it, frames(60, 25))
    it.finish("s")
    assert watch(it, frames(60, 25)) == first


@pytest.mark.parametrize(
    ("on_gap", "expected"),
    [("reset", [200, 212, 200]), ("keep", [0, 200, 0])],
)
def test_a_gap(on_gap: str, expected: list[int]) -> None:
    """Across a gap of 6 s the memory is kept, or the stream starts again."""
    it = recognizer("paper", on_gap=on_gap, gap_s=5.0)
    before = [frame(i, i / 25) for i in range(50)]
    after = [frame(200 + i, 7.96 + i / 25) for i in range(50)]
    watch(it, before)
    it.engine.clips.clear()
    predictions = watch(it, after)
    first, *_ = it.engine.clips
    if on_gap == "reset":
        assert predictions[0].frame == 212
        assert min(first) == 200
        assert predictions[0].memory_fill < 1
    else:
        assert predictions[0].frame == 200
        assert min(first) < 50
        assert predictions[0].memory_fill == 1 / 4


def test_a_pause_shorter_than_a_gap_resets_nothing() -> None:
    it = recognizer("paper", on_gap="reset", gap_s=5.0)
    watch(it, [frame(i, i / 25) for i in range(50)])
    it.engine.clips.clear()
    watch(it, [frame(200, 6.9)])
    assert min(it.engine.clips[0]) < 50


@pytest.mark.parametrize(
    ("policy", "smoothing", "share"),
    [("paper", None, 0.5), ("window", None, 0.4), ("pyramid", None, 0.0), ("window", 0.75, 0.75)],
)
def test_smoothing(policy: str, smoothing: float | None, share: float) -> None:
    """For the paper's memory P_A = (P + P_A) / 2, as in its Algorithm 1."""
    config = StreamConfig(memory=MemoryConfig(policy), smoothing=smoothing)
    it = Recognizer(NumberEngine(), spec_of(), config)
    predictions = watch(it, frames(100, 25))
    assert len(predictions) == len(it.engine.clips) > 5
    average = None
    for clip, prediction in zip(it.engine.clips, predictions, strict=True):
        scores = softmax(clip_logits(np.array([clip], np.float32))[0])
        average = scores if average is None else share * average + (1 - share) * scores
        assert dict(prediction.top) == pytest.approx(dict(zip("abc", average, strict=True)))


def test_top() -> None:
    config = StreamConfig(top=2)
    (first, *_) = watch(Recognizer(NumberEngine(), spec_of(), config), frames(20, 25))
    assert len(first.top) == 2
    config = StreamConfig(top=9)
    (first, *_) = watch(Recognizer(NumberEngine(), spec_of(), config), frames(20, 25))
    assert len(first.top) == 3
    assert all(a[1] >= b[1] for a, b in pairwise(first.top))


def test_segments_must_be_the_bundles() -> None:
    with pytest.raises(ConfigError, match=r"bundle has 4 segments, .* says 8; edit memory\.num"):
        Recognizer(NumberEngine(), spec_of(4), StreamConfig(memory=MemoryConfig(num_segments=8)))


@settings(max_examples=20)
@given(policies, st.lists(st.floats(0.001, 0.4), min_size=1, max_size=300))
def test_uneven_frames(policy: str, intervals_s: list[float]) -> None:
    it = recognizer(policy)
    times_s = np.cumsum([0.0, *intervals_s]).tolist()
    predictions = watch(it, [frame(i, t) for i, t in enumerate(times_s)])
    if times_s[-1] >= 1:
        assert predictions[0].time_s <= 1
    gaps = [b.time_s - a.time_s for a, b in pairwise(predictions)]
    assert all(gap <= 0.5 + 2 * max(intervals_s) for gap in gaps)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_stream_whose_time_starts_again_starts_afresh(policy: str) -> None:
    it = recognizer(policy)
    first = watch(it, frames(60, 25))
    again = watch(it, frames(60, 25))
    assert again == first
    assert all(0 <= prediction.memory_fill <= 1 for prediction in again)
