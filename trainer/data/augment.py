"""From a decoded clip to the N frames a network sees: a window in time, then one look for all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecolite_stream.preprocess import Preprocessing, normalize, preprocess, resize
from ecolite_stream.sampling import segment_frames
from ecolite_stream.types import FloatArray
from trainer.config import AugmentationConfig
from trainer.data.clips import Clip

Frames = npt.NDArray[np.uint8]
"""(N, H, W, 3) uint8 BGR."""


def training_sample(
    clip: Clip,
    num_segments: int,
    how: Preprocessing,
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> FloatArray:
    """A random view of a clip: (N, 3, S, S) float32."""
    chosen = choose_frames(len(clip.frames), clip.fps, num_segments, config, rng)
    squares = augment(clip.frames[chosen], how, config, rng)
    return np.stack([normalize(square, how) for square in squares])


def test_sample(clip: Clip, num_segments: int, how: Preprocessing) -> FloatArray:
    """The published test view of a whole clip: (N, 3, S, S) float32."""
    return window_sample(clip.frames, num_segments, how)


def window_sample(frames: Frames, num_segments: int, how: Preprocessing) -> FloatArray:
    """The middle frames of N segments of (F, H, W, 3) uint8 frames: (N, 3, S, S) float32."""
    chosen = segment_frames(len(frames), num_segments)
    return np.stack([preprocess(frames[i], how) for i in chosen])


def choose_frames(
    num_frames: int,
    fps: float,
    num_segments: int,
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """N ascending frame numbers from a random window of a clip of `num_frames` frames."""
    length: float = num_frames
    if config.window_s:
        shortest_s, longest_s = config.window_s
        length = min(length, rng.uniform(shortest_s, longest_s) * fps)
    start = rng.uniform(0, num_frames - length)
    stray = config.segment_jitter * rng.uniform(-0.5, 0.5, num_segments)
    phase = (1 - config.segment_jitter) * rng.uniform(-0.5, 0.5)
    positions = start + (np.arange(num_segments) + 0.5 + phase + stray) * length / num_segments
    chosen = positions.astype(np.int64).clip(0, num_frames - 1)
    if rng.random() < config.partial_memory:
        seen = int(rng.integers(num_segments // 2, num_segments))
        chosen = chosen[num_segments - seen :][segment_frames(seen, num_segments)]
    return chosen


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
