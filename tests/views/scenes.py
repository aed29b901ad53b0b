"""Drawn brightness of a room, of people who walk in it, and of what cameras do to both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from ecolite_stream.model.preprocess import shrink_luma
from ecolite_stream.types import Box, Frame, Image, Luma
from ecolite_stream.views.follow import Follower
from ecolite_stream.views.motion import Motion, MotionDetector

FPS = 25
WIDTH, HEIGHT = 320, 240


def room(width: int = WIDTH, height: int = HEIGHT, seed: int = 1) -> Luma:
    """A wall with pictures and furniture and a floor of boards, levels 40 to 180."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width), 130, np.uint8)
    image[height * 2 // 3 :] = 90
    for _ in range(width // 12):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = int(rng.integers(8, 48)), int(rng.integers(8, 48))
        cv2.rectangle(image, (x, y), (x + w, y + h), int(rng.integers(40, 180)), -1)
    grain = cv2.resize(rng.normal(0, 12, (height // 4, width // 4)), (width, height))
    return np.clip(cv2.GaussianBlur(image, (5, 5), 0) + grain, 30, 190).astype(np.uint8)


def with_person(
    image: Luma, x: float, time_s: float, tall: int = 110, feet: int = 210, level: int = 225
) -> Luma:
    """The picture with somebody of `tall` pixels who walks, the middle at column `x`."""
    drawn = image.copy()
    swing = math.sin(2 * math.pi * 1.2 * time_s)
    hip, neck = feet - tall * 0.45, feet - tall * 0.82
    thick = max(2, round(tall * 0.07))

    def limb(x0: float, y0: float, x1: float, y1: float, wide: int = thick) -> None:
        cv2.line(drawn, (round(x0), round(y0)), (round(x1), round(y1)), level, wide)

    for side in (-1, 1):
        limb(x, hip, x + side * swing * tall * 0.18, feet)
        limb(x, neck + tall * 0.04, x - side * swing * tall * 0.16, hip)
    limb(x, neck, x, hip, round(tall * 0.16))
    cv2.circle(drawn, (round(x), round(neck - tall * 0.09)), round(tall * 0.08), level - 40, -1)
    return drawn


def film(seconds: float, picture: Callable[[float], Luma]) -> Iterator[tuple[float, Luma]]:
    """(time in seconds, brightness) of each frame at `FPS`."""
    for index in range(round(seconds * FPS)):
        yield index / FPS, picture(index / FPS)


def noisy(film: Iterable[tuple[float, Luma]], sigma: float) -> Iterator[tuple[float, Luma]]:
    """A film with a sensor's noise of `sigma` levels in each pixel."""
    rng = np.random.default_rng(3)
    for time_s, image in film:
        noise = rng.normal(0, sigma, image.shape)
        yield time_s, np.clip(image + noise, 0, 255).round().astype(np.uint8)


def compressed(
    film: Iterable[tuple[float, Luma]], path: Path, bits_per_s: int, keyframe_every: int
) -> Iterator[tuple[float, Luma]]:
    """A film as H.264 gives it back."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS)
        stream.pix_fmt, stream.bit_rate = "yuv420p", bits_per_s
        stream.codec_context.time_base = Fraction(1, FPS)
        stream.options = {"g": str(keyframe_every), "preset": "ultrafast", "bf": "0"}
        for _, image in film:
            if not stream.width or stream.width != image.shape[1]:
                stream.height, stream.width = image.shape
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "gray")))
        out.mux(stream.encode())
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            yield index / FPS, frame.reformat(format="gray").to_ndarray()


def frame_of(luma: Luma, time_s: float) -> Frame:
    """A frame that has a plane of brightness, and no colours to convert."""

    def no_colours() -> Image:
        raise AssertionError("the colours of a frame are not for looking at motion")

    return Frame(
        "camera", round(time_s * FPS), time_s, no_colours, luma=lambda side: shrink_luma(luma, side)
    )


def looks(film: Iterable[tuple[float, Luma]]) -> Iterator[Motion]:
    """The looks at a film."""
    detector = MotionDetector()
    for time_s, image in film:
        motion = detector.look(frame_of(image, time_s))
        if motion.looked:
            yield motion


def followed(film: Iterable[tuple[float, Luma]]) -> list[tuple[Motion, Box]]:
    """Looks at a film, each with the square that follows it."""
    follower = Follower()
    return [(motion, follower.follow(motion)) for motion in looks(film)]
