"""From a clip to N network inputs: a window in time, then one augmentation for all frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecolite_stream.model.preprocess import Preprocessing, normalize, preprocess, resize
from ecolite_stream.model.sampling import nearest, segment_frames, segment_times
from ecolite_stream.types import FloatArray
from trainer.config.schema import AugmentationConfig
from trainer.data.clips import Clip, Frames

MOST_BEFORE_THE_CLIP = 0.8
"""Largest share of a window that lies before its clip begins."""


def training_sample(
    clip: Clip,
    num_segments: int,
    how: Preprocessing,
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> FloatArray:
    """A random view of a clip: (N, 3, S, S) float32."""
    chosen = choose_frames(clip.num_frames, clip.fps, num_segments, config, rng)
    squares = augment(clip.read(chosen), how, config, rng)
    return np.stack([normalize(square, how) for square in squares])


def test_sample(clip: Clip, num_segments: int, how: Preprocessing) -> FloatArray:
    """The published test view of a clip, the middle frames of N segments: (N, 3, S, S) float32."""
    frames = clip.read(segment_frames(clip.num_frames, num_segments))
    return np.stack([preprocess(frame, how) for frame in frames])


def choose_frames(
    num_frames: int,
    fps: float,
    num_segments: int,
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """N ascending frame numbers from a random window of a clip of `num_frames` frames.

    A window keeps its time scale: before the clip begins, its first frame is repeated, as
    for a stream that has just begun. Without `window_s` the window is the whole clip.
    """
    clip_s = num_frames / fps
    length_s = clip_s
    if config.window_s:
        shortest_s, longest_s = config.window_s
        length_s = rng.uniform(shortest_s, longest_s)
    latest_s = clip_s - length_s  # start of the window that ends with the clip
    start_s = rng.uniform(0, latest_s) if latest_s > 0 else latest_s
    if config.window_s and rng.random() < config.partial_memory:
        start_s = min(latest_s, -rng.uniform(0, MOST_BEFORE_THE_CLIP) * length_s)
    segment_s = length_s / num_segments
    stray = config.segment_jitter * rng.uniform(-0.5, 0.5, num_segments)
    phase = (1 - config.segment_jitter) * rng.uniform(-0.5, 0.5)
    middles_s = segment_times(start_s + length_s - segment_s / 2, length_s, num_segments)
    shown_s = (np.arange(num_frames) + 0.5) / fps  # the middle of the time a frame is shown
    return np.array(nearest(shown_s, middles_s + (phase + stray) * segment_s))


def augment(
    frames: Frames, how: Preprocessing, config: AugmentationConfig, rng: np.random.Generator
) -> Frames:
    """One crop, flip, change of light and noise level for all (N, H, W, 3) frames.

    Returns:
        (N, S, S, 3) uint8.
    """
    size = how.image_size
    top, left, height, width = random_crop(frames.shape[1:3], how.framing, config, rng)
    flip = rng.random() < config.flip
    gain = 1 + rng.uniform(-config.contrast, config.contrast)
    offset = rng.uniform(-config.brightness, config.brightness)
    noise = rng.uniform(0, config.noise)
    views = []
    for frame in frames[:, top : top + height, left : left + width]:
        view = resize(frame, (size, size))
        view = view[:, ::-1] if flip else view
        if gain != 1 or offset or noise:
            view = _relight(view, gain, offset, noise, rng)
        views.append(view)
    return np.stack(views)


def random_crop(
    shape: tuple[int, ...], framing: str, config: AugmentationConfig, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a crop at one of the corners, edges or the middle.

    Its sides are shares of the short side, as published, or of the picture's own sides where the
    whole picture is framed; they differ by at most `max_distort` steps in `scales`.

    Args:
        shape: (height, width) of the picture.
        framing: as in `Preprocessing`.
    """
    height, width = shape
    base_height, base_width = shape if framing == "whole" else (min(shape), min(shape))
    first = int(rng.integers(len(config.scales)))
    low = max(0, first - config.max_distort)
    high = min(len(config.scales) - 1, first + config.max_distort)
    second = int(rng.integers(low, high + 1))
    crop_height = round(base_height * config.scales[first])
    crop_width = round(base_width * config.scales[second])
    top = round((height - crop_height) * int(rng.integers(3)) / 2)
    left = round((width - crop_width) * int(rng.integers(3)) / 2)
    return top, left, crop_height, crop_width


def _relight(
    view: Frames, gain: float, offset: float, noise: float, rng: np.random.Generator
) -> Frames:
    changed = view.astype(np.float32) * np.float32(gain) + np.float32(offset)
    if noise:
        changed += rng.standard_normal(view.shape[:2], dtype=np.float32)[:, :, None] * noise
    return np.clip(changed, 0, 255).astype(np.uint8)
