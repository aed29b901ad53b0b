"""Which frames are due, and which of them predict."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ecolite_stream.config.schema import MemoryConfig, StreamConfig
from ecolite_stream.recognition.sampler import StreamSampler
from ecolite_stream.types import Frame, Luma, Sample
from tests.fakes import frames, spec_of


def run(config: StreamConfig, seconds: float, fps: float) -> list[Sample]:
    """All samples of a stream; N is 8, a window spans 1.6 s unless the memory says otherwise."""
    sampler = StreamSampler(spec_of(8, 1.6), config)
    return [s for frame in frames(round(seconds * fps), fps) for s in sampler.sample(frame)]


@pytest.mark.parametrize("fps", [10, 24, 25, 29.97, 60])
def test_neighbouring_windows_share_their_samples(fps: float) -> None:
    """A label each half second needs a frame a segment, 5 a second, as one each 0.4 s does."""
    samples = run(StreamConfig(every_s=0.5), 60, fps)
    assert len(samples) in (299, 300, 301)
    predictions_s = [sample.time_s for sample in samples if sample.predicts]
    assert len(predictions_s) in (119, 120, 121)
    due_s = 0.5 * np.arange(1, len(predictions_s) + 1)
    assert np.abs(predictions_s - due_s).max() <= 0.1 + 1 / fps


@pytest.mark.parametrize("fps", [2, 7, 25])
@pytest.mark.parametrize("span_s", [1.6, 4, 30])
@pytest.mark.parametrize("every_s", [0.1, 0.5, 0.7, 10])
def test_the_first_label_comes_within_a_second(fps: float, span_s: float, every_s: float) -> None:
    config = StreamConfig(every_s=every_s, memory=MemoryConfig(span_s=span_s))
    first = next(sample for sample in run(config, 20, fps) if sample.predicts)
    assert first.time_s < 1


@pytest.mark.parametrize("policy", ["paper", "pyramid"])
def test_blocks_end_with_a_prediction(policy: str) -> None:
    """N / 2 samples a block."""
    config = StreamConfig(every_s=0.5, memory=MemoryConfig(policy=policy))
    samples = run(config, 60, fps=100)
    predicts = np.flatnonzero([sample.predicts for sample in samples])
    assert set(np.diff(predicts)) == {4}


@pytest.mark.parametrize(
    ("views", "expected"), [((), range(0, 50, 5)), (("follow",), range(0, 50, 2))]
)
def test_only_what_is_followed_is_looked_at_between_samples(
    views: tuple[str, ...], expected: range
) -> None:
    """At 25 frames/s, five of which are sampled."""
    looked: list[int] = []

    def shown(frame: Frame) -> Frame:
        def luma(long_side: int) -> Luma:
            looked.append(frame.index)
            return np.zeros((12, 16), np.uint8)

        return dataclasses.replace(frame, luma=luma)

    spec = dataclasses.replace(spec_of(8, 1.6), labels=("a", "idle"))
    sampler = StreamSampler(spec, StreamConfig(views=views))
    for frame in frames(50, 25):
        sampler.sample(shown(frame))
    assert looked == list(expected)


def test_what_moved_between_samples_and_stays_is_encoded() -> None:
    """Pictures 0 to 6 are black and the others have a white bar; 0 and 10 differ, 15 does not."""
    black, white = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64, 3), np.uint8)
    white[:, 40:52] = 255
    spec = dataclasses.replace(spec_of(8, 1.6), labels=("a", "idle"))
    sampler = StreamSampler(spec, StreamConfig())
    made = [
        sample
        for frame in frames(21, 25)
        for sample in sampler.sample(
            dataclasses.replace(frame, pixels=black if frame.index < 7 else white)
        )
    ]
    assert [sample.frame for sample in made if sample.image is not None] == [0, 10]
