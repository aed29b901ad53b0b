"""Augmentation: windows inside the clip, one look for all its frames, batches that repeat."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecolite_stream.model.preprocess import Preprocessing, preprocess
from ecolite_stream.model.sampling import nearest, segment_times
from ecolite_stream.recognition.memory import WindowMemory
from trainer.config.schema import AugmentationConfig
from trainer.data.augment import augment, choose_frames, random_crop, training_sample
from trainer.data.augment import test_sample as whole_clip_sample
from trainer.data.clips import HeldClip
from trainer.data.loader import test_batches as whole_clip_batches
from trainer.data.loader import training_batches

PLAIN = AugmentationConfig(scales=(1.0,), flip=0.0)
HOW = Preprocessing(32, framing="whole")


def numbered_clip(num_frames: int, label: str = "walk") -> HeldClip:
    """Every pixel of frame i is i."""
    numbers = np.arange(num_frames, dtype=np.uint8)[:, None, None, None]
    return HeldClip(label, label, np.broadcast_to(numbers, (num_frames, 40, 50, 3)), 25.0)


@given(
    num_frames=st.integers(1, 200),
    num_segments=st.sampled_from((4, 8, 16)),
    window_s=st.sampled_from(((), (0.5, 0.5), (0.96, 2.4))),
    jitter=st.floats(0, 1),
    partial=st.sampled_from((0.0, 1.0)),
    seed=st.integers(0, 99),
)
def test_frames_ascend_inside_the_clip_and_the_window(
    num_frames: int,
    num_segments: int,
    window_s: tuple[float, ...],
    jitter: float,
    partial: float,
    seed: int,
) -> None:
    config = AugmentationConfig(window_s=window_s, segment_jitter=jitter, partial_memory=partial)
    rng = np.random.default_rng(seed)
    chosen = choose_frames(num_frames, 25.0, num_segments, config, rng)
    assert len(chosen) == num_segments
    assert chosen[0] >= 0 and chosen[-1] < num_frames
    assert (np.diff(chosen) >= 0).all()
    longest_s = window_s[1] if window_s else num_frames / 25
    # Each frame is the one shown at a moment in the window, so numbers differ by whole frames.
    assert chosen[-1] - chosen[0] <= math.ceil(longest_s * 25)


def test_full_jitter_is_the_published_random_frame_of_each_segment() -> None:
    rng = np.random.default_rng(0)
    chosen = np.array([choose_frames(80, 25, 8, AugmentationConfig(), rng) for _ in range(300)])
    for segment in range(8):
        assert set(chosen[:, segment]) == set(range(10 * segment, 10 * segment + 10))


def test_a_window_keeps_its_time_scale() -> None:
    """Whether it begins before its clip or the clip is shorter: the first frame stands in."""
    config = AugmentationConfig(window_s=(1.6, 1.6), segment_jitter=0, partial_memory=1.0)
    rng = np.random.default_rng(0)
    repeats = []
    for num_frames in (80, 24):  # 3.2 s, 0.96 s
        for _ in range(50):
            chosen = choose_frames(num_frames, 25, 8, config, rng)
            begun = int((chosen > 0).sum())
            assert (chosen[: 8 - begun] == 0).all()
            assert set(np.diff(chosen[8 - begun :])) <= {5}
            repeats.append(8 - begun)
    assert {1, 7} <= set(repeats)


def test_training_chooses_as_a_live_stream_remembers() -> None:
    """One rule for both: `sampling.segment_times`."""
    config = AugmentationConfig(window_s=(1.6, 1.6), segment_jitter=1, partial_memory=1.0)
    memory = WindowMemory(8, 1.6, every_s=0.2)
    for number in range(8):
        memory.add(np.full((1, 1, 1), number, np.float32), number / 25)
    live = memory.recall().ravel()
    offline = nearest((np.arange(8) + 0.5) / 25, segment_times(7.5 / 25, 1.6, 8))
    assert live.tolist() == offline == [0, 0, 0, 0, 0, 0, 2, 7]
    assert (choose_frames(8, 25, 8, config, np.random.default_rng(0))[:3] == 0).all()


def test_without_variation_training_sees_what_the_test_sees() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    clip = HeldClip("a", "a", np.broadcast_to(image, (9, 40, 50, 3)), 25.0)
    sample = training_sample(clip, 4, HOW, PLAIN, np.random.default_rng(0))
    assert np.array_equal(sample, whole_clip_sample(clip, 4, HOW))
    assert np.array_equal(sample[0], preprocess(image, HOW))


def test_one_choice_for_all_frames_of_a_clip() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    frames = np.broadcast_to(image, (4, 40, 50, 3))
    config = AugmentationConfig(brightness=40, contrast=0.3)
    views = [augment(frames, HOW, config, np.random.default_rng(seed)) for seed in range(12)]
    assert all((view == view[0]).all() for view in views)
    assert len({view.tobytes() for view in views}) > 6


def test_darkening_stops_at_black() -> None:
    frames = np.full((2, 40, 50, 3), 5, np.uint8)
    config = AugmentationConfig(brightness=60, flip=0.0)
    views = [augment(frames, HOW, config, np.random.default_rng(seed)) for seed in range(20)]
    darkened = [view for view in views if view.mean() < 5]
    assert darkened
    assert all((view == 0).all() for view in darkened if view.mean() < 1)
    assert min(view.mean() for view in views) == 0


def test_noise_differs_between_frames() -> None:
    frames = np.full((2, 40, 50, 3), 100, np.uint8)
    view = augment(frames, HOW, AugmentationConfig(noise=20), np.random.default_rng(1))
    assert not np.array_equal(view[0], view[1])


@given(seed=st.integers(0, 200), framing=st.sampled_from(("center", "whole")))
def test_crops_lie_inside_and_distort_one_step_at_most(seed: int, framing: str) -> None:
    config = AugmentationConfig()
    rng = np.random.default_rng(seed)
    top, left, height, width = random_crop((120, 160), framing, config, rng)
    assert 0 <= top <= 120 - height and 0 <= left <= 160 - width
    steps = [
        next(i for i, s in enumerate(config.scales) if round(side * s) == length)
        for side, length in ((120, height), (160 if framing == "whole" else 120, width))
    ]
    assert abs(steps[0] - steps[1]) <= 1


def test_batches_depend_on_seed_and_epoch_but_not_on_workers() -> None:
    clips = [numbered_clip(60 + i, label) for i, label in enumerate("abcabcab")]

    def epoch(number: int, workers: int) -> list[bytes]:
        config = AugmentationConfig(window_s=(0.5, 1.0))
        batches = training_batches(clips, "abc", 4, HOW, config, 3, (7, number), workers)
        return [batch.inputs.tobytes() + batch.labels.tobytes() for batch in batches]

    assert epoch(1, 1) == epoch(1, 4)
    assert epoch(1, 2) != epoch(2, 2)
    assert len(epoch(1, 2)) == 2  # the last, smaller batch is dropped


def test_validation_sees_every_clip_once_in_order() -> None:
    clips = [numbered_clip(8, label) for label in "abcab"]
    batches = list(whole_clip_batches(clips, "abc", 4, HOW, 2, workers=2))
    assert [len(batch.labels) for batch in batches] == [2, 2, 1]
    assert np.concatenate([batch.labels for batch in batches]).tolist() == [0, 1, 2, 0, 1]


def test_an_error_in_a_worker_surfaces() -> None:
    broken = HeldClip("a", "a", np.empty((0, 4, 4, 3), np.uint8), 25.0)
    with pytest.raises(IndexError):
        list(whole_clip_batches([broken], "a", 4, HOW, 2, workers=2))
