"""Videos of synthetic people: one action a clip, or one person doing several after another.

`poses` moves a body, `bodies` draws it, `scenes` has the background; this module has the camera and
the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, repeat
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from ecolite_stream.errors import ConfigError
from trainer.synthetic.bodies import Looks, Person, View, random_looks
from trainer.synthetic.poses import (
    ACTIONS,
    MOTIONS,
    Motion,
    Stage,
    fidgeting,
    odd_pose,
    perform,
    standing,
)
from trainer.synthetic.scenes import Image, paint_scene

Track = list[tuple[float, float, str]]

_OVERSAMPLING = 2
_REACH = 1.22  # how high raised hands are, in body heights
_GRAIN_MARGIN = 16
_ENCODERS = {
    ".avi": ("mpeg4", {"qmin": "2", "qmax": "3", "flags": "+bitexact"}),
    # x264's macroblock tree is not quite deterministic at 180x144, seen with PyAV 18.
    ".mp4": ("libx264", {"crf": "16", "flags": "+bitexact", "x264-params": "mbtree=0"}),
}


@dataclass(frozen=True)
class Camera:
    """A camera. gain, flicker: of the light.  blur, noise: sigma in pixels and levels."""

    gain: float
    flicker: float
    blur: float
    noise: float


@dataclass(frozen=True)
class Set:
    """Who is filmed and where; the view is `_OVERSAMPLING` times as large as the film."""

    view: View
    stage: Stage
    looks: Looks
    camera: Camera


def draw_clip(
    action: str,
    num_frames: int,
    rng: np.random.Generator,
    *,
    fps: float = 25.0,
    size: tuple[int, int] = (180, 144),
    restless: bool = False,
) -> npt.NDArray[np.uint8]:
    """One of `ACTIONS`, by a person, in a place and in a manner that chance chooses.

    size is (width, height) in pixels. Gives (num_frames, height, width, 3) uint8 BGR. Half of the
    `idle` clips show a standing person, a quarter an odd still pose, a quarter nobody; where they
    are to be restless, two thirds show one who fidgets, and the others those. The same seed gives
    the same person and place whatever the action is.
    Raises ConfigError for an unknown action, fewer than one frame or a size below 16 pixels.
    """
    check_action(action, num_frames, fps)
    scene = _random_set(size, fps, rng)
    motion = _idling(restless, rng) if action == "idle" else MOTIONS[action]
    if motion is None:
        return _film(scene, repeat(scene.view.background, num_frames), num_frames, rng)
    return _play(scene, [(motion, num_frames)], rng)


def _idling(restless: bool, rng: np.random.Generator) -> Motion | None:
    """A motion of `idle`; None if nobody is there."""
    if restless and rng.random() < 2 / 3:
        return fidgeting(rng)
    kind = rng.random()
    if kind < 0.25:
        return None
    return standing(rng) if kind < 0.75 else odd_pose(rng)


def draw_sequence(
    parts: Sequence[tuple[str, float]],
    rng: np.random.Generator,
    *,
    fps: float = 25.0,
    size: tuple[int, int] = (180, 144),
) -> tuple[npt.NDArray[np.uint8], Track]:
    """One person in one place doing several actions, (label, seconds) each, one after another.

    Gives frames (F, height, width, 3) uint8 BGR and the track: (start_s, end_s, label) for each
    part, without gaps. The changes from one to the next take about 0.4 s, half on either side.
    Raises ConfigError for no part, an unknown action or a part shorter than a frame.
    """
    if not parts:
        raise ConfigError("a sequence needs at least one part such as walk:4")
    if not all(np.isfinite(seconds) for _, seconds in parts):
        raise ConfigError("every part of a sequence must last a finite time, such as walk:4")
    seams = [round(end_s * fps) for end_s in np.cumsum([0.0, *(s for _, s in parts)])]
    for (action, _), (start, end) in zip(parts, pairwise(seams), strict=True):
        check_action(action, end - start, fps)
    scene = _random_set(size, fps, rng)
    motions = [
        (standing(rng) if action == "idle" else MOTIONS[action], end - start)
        for (action, _), (start, end) in zip(parts, pairwise(seams), strict=True)
    ]
    track = [
        (start / fps, end / fps, action)
        for (action, _), (start, end) in zip(parts, pairwise(seams), strict=True)
    ]
    return _play(scene, motions, rng), track


def check_action(action: str, num_frames: int = 1, fps: float = 25.0) -> None:
    """Raise a ConfigError unless such a clip can be drawn."""
    if action not in MOTIONS:
        raise ConfigError(f"unknown action {action!r}; known are {', '.join(ACTIONS)}")
    if num_frames < 1 or fps <= 0:
        raise ConfigError(
            f"{action} is to last {num_frames} frames at {fps} fps; give it at least 1"
        )


def _random_set(size: tuple[int, int], fps: float, rng: np.random.Generator) -> Set:
    if min(size) < 16:
        raise ConfigError(f"a picture of {size[0]}x{size[1]} is too small; use 16 pixels or more")
    width, height = size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING
    share = rng.normal(0.48, 0.05) if rng.random() < 0.7 else rng.uniform(0.35, 0.75)
    share = min(max(share, 0.35), 0.75)
    ground = rng.uniform(max(0.6, _REACH * share + 0.02), max(0.9, _REACH * share + 0.03))
    ground_y = min(ground, 0.97) * height
    tall = share * height
    view = View(
        background=paint_scene(width, height, round(ground_y), rng),
        ground_y=ground_y,
        height_px=tall,
        tilt=rng.uniform(0.0, 0.12),
        shutter=float(rng.choice((0.0, 0.25, 0.5))),
        light=rng.uniform(-0.5, 0.5),
    )
    camera = Camera(
        gain=rng.uniform(0.7, 1.15),
        flicker=float(rng.choice((0.0, 0.01, 0.03))),
        blur=rng.uniform(0.0, 0.8),
        noise=rng.uniform(0.5, 5.0),
    )
    edge = min(0.2 * tall, 0.25 * width)
    stage = Stage(fps, edge, width - edge, tall)
    return Set(view, stage, random_looks(view.background, rng), camera)


def _play(scene: Set, motions: Sequence[tuple[Motion, int]], rng: np.random.Generator) -> Image:
    """The film of a person doing `motions` (motion, number of frames): (F, H, W, 3) BGR."""
    performance = perform(motions, scene.stage, rng)
    person = Person(performance, scene.looks, scene.view)
    return _film(scene, person.pictures(), len(performance.x), rng)


def _film(
    scene: Set, pictures: Iterable[Image], num_frames: int, rng: np.random.Generator
) -> Image:
    """Pictures shrunk to the film's size, with the camera's blur, exposure and noise."""
    camera = scene.camera
    height, width = (side // _OVERSAMPLING for side in scene.view.background.shape[:2])
    film = np.empty((num_frames, height, width, 3), np.uint8)
    noise_shape = (height + _GRAIN_MARGIN, width + _GRAIN_MARGIN, 3)
    noise = rng.normal(0, camera.noise, noise_shape).astype(np.float32)
    corners = rng.integers(0, _GRAIN_MARGIN, (num_frames, 2))
    gains = camera.gain * (1 + camera.flicker * rng.normal(0, 1, num_frames))
    for frame, picture in enumerate(pictures):
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        if camera.blur > 0.25:
            small = cv2.GaussianBlur(small, (0, 0), camera.blur)
        top, left = corners[frame]
        grain = noise[top : top + height, left : left + width]
        film[frame] = np.clip(small * np.float32(gains[frame]) + grain, 0, 255)
    return film


def write_video(path: Path | str, frames: npt.NDArray[np.uint8], fps: float) -> None:
    """Write (F, H, W, 3) BGR frames: MPEG-4 for a name ending in .avi, H.264 for .mp4.

    H and W must be even. The same frames give the same bytes.
    Raises ConfigError for an unsupported suffix or size, or if it cannot be written.
    """
    path = Path(path)
    if path.suffix not in _ENCODERS:
        raise ConfigError(f"{path.name}: a video's name must end in {' or '.join(_ENCODERS)}")
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ConfigError(
            f"{path.name}: a video of {width}x{height} needs an even width and height"
        )
    codec, options = _ENCODERS[path.suffix]
    try:
        with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream(codec, Fraction(fps).limit_denominator(1001), options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.thread_count = 1  # several threads may cut slices differently
            for image in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
            container.mux(stream.encode())
    except OSError as error:  # PyAV's errors are OSErrors too
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
