"""Backgrounds of synthetic people: a wall or a view, the ground before it, some clutter."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]


def random_colour(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> Colour:
    """Blue, green and red, 0 to 255, of any hue; saturation and value are ranges within 0 to 1."""
    hsv = (rng.uniform(0, 360), rng.uniform(*saturation), rng.uniform(*value))
    blue, green, red = cv2.cvtColor(np.array([[hsv]], np.float32), cv2.COLOR_HSV2BGR)[0, 0] * 255
    return float(blue), float(green), float(red)


def varied(colour: Colour, amount: float, rng: np.random.Generator) -> Colour:
    """The same colour, lighter or darker by a normal deviate of `amount` (0 to 255)."""
    change = rng.normal(0.0, amount)
    blue, green, red = (min(max(c + change, 0.0), 255.0) for c in colour)
    return blue, green, red


def paint_scene(width: int, height: int, ground_y: int, rng: np.random.Generator) -> Image:
    """A still background, (height, width, 3) BGR; its ground begins above row `ground_y`.

    `ground_y` is the row of the person's feet.
    """
    image = np.empty((height, width, 3), np.uint8)
    wall = random_colour(rng, (0.0, 0.3), (0.25, 0.95))
    image[:] = np.round(wall)
    _BACKDROPS[rng.choice(len(_BACKDROPS), p=_ODDS)](image, wall, rng)
    for _ in range(rng.integers(0, 4)):
        _distractor(image, ground_y, rng)
    foot_of_wall = ground_y - round(height * rng.uniform(0.01, 0.09))
    _ground(image, foot_of_wall, wall, rng)
    return _weathered(image, rng)


def _plain(image: Image, wall: Colour, rng: np.random.Generator) -> None:
    """Leave the wall as it is."""


def _gradient(image: Image, wall: Colour, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    other = random_colour(rng, (0.0, 0.4), (0.3, 1.0))
    slope_x, slope_y = rng.uniform(-0.5, 0.5), rng.uniform(-1, 1)
    across, down = np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height)
    share = np.clip(0.5 + slope_x * across + slope_y * down[:, None], 0, 1)[..., None]
    image[:] = np.round(share * np.array(wall) + (1 - share) * np.array(other))


def _bricks(image: Image, wall: Colour, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    tall = int(rng.integers(8, 26))
    long = round(tall * rng.uniform(1.2, 3.0))
    spread, joint = rng.uniform(3, 14), int(rng.integers(0, 3))
    for row, top in enumerate(range(0, height, tall)):
        for left in range(-(row % 2) * long // 2, width, long):
            corner = (left + long - 1 - joint, top + tall - 1 - joint)
            cv2.rectangle(image, (left, top), corner, varied(wall, spread, rng), -1)


def _stones(image: Image, wall: Colour, rng: np.random.Generator) -> None:
    """Upright slabs of slightly different tone, darker over a part of the wall."""
    height, width = image.shape[:2]
    spread = rng.uniform(4, 12)
    for _ in range(220):
        left, top = int(rng.integers(-20, width)), int(rng.integers(-20, height))
        corner = (left + int(rng.integers(8, 30)), top + int(rng.integers(14, 50)))
        tone = varied(wall, spread, rng)
        if 0.35 < top / height < 0.65:
            tone = (tone[0] * 0.9, tone[1] * 0.9, tone[2] * 0.9)
        cv2.rectangle(image, (left, top), corner, tone, -1)


def _clutter(image: Image, wall: Colour, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    for _ in range(rng.integers(6, 22)):
        left, top = int(rng.integers(-40, width)), int(rng.integers(-20, height))
        corner = (left + int(rng.integers(15, 110)), top + int(rng.integers(15, 130)))
        cv2.rectangle(image, (left, top), corner, random_colour(rng, (0, 0.5), (0.15, 0.95)), -1)


def _foliage(image: Image, wall: Colour, rng: np.random.Generator) -> None:
    """Pale sky above leaves."""
    height, width = image.shape[:2]
    image[:] = np.round(random_colour(rng, (0.0, 0.35), (0.7, 1.0)))
    leaves = (rng.uniform(20, 80), rng.uniform(60, 130), rng.uniform(30, 90))
    horizon = height * rng.uniform(0.1, 0.6)
    for _ in range(260):
        centre = (int(rng.integers(0, width)), int(horizon + height * abs(rng.normal(0, 0.35))))
        cv2.circle(image, centre, int(rng.integers(4, 22)), varied(leaves, 18, rng), -1)


_BACKDROPS: tuple[Callable[[Image, Colour, np.random.Generator], None], ...] = (
    _plain,
    _gradient,
    _bricks,
    _stones,
    _clutter,
    _foliage,
)
_ODDS = (0.12, 0.2, 0.2, 0.22, 0.14, 0.12)


def _distractor(image: Image, ground_y: int, rng: np.random.Generator) -> None:
    """A door or window, a post, a round sign or tree top, a slanting edge."""
    height, width = image.shape[:2]
    colour = random_colour(rng, (0.0, 0.7), (0.1, 0.9))
    x, y = int(rng.integers(0, width)), int(rng.integers(0, ground_y))
    kind = rng.integers(4)
    if kind == 0:
        size = (int(rng.integers(20, 80)), int(rng.integers(40, 160)))
        cv2.rectangle(image, (x, y), (x + size[0], min(y + size[1], ground_y)), colour, -1)
    elif kind == 1:
        cv2.line(image, (x, 0), (x, ground_y), colour, int(rng.integers(3, 14)), cv2.LINE_AA)
    elif kind == 2:
        cv2.circle(image, (x, y), int(rng.integers(6, 36)), colour, -1, cv2.LINE_AA)
    else:
        end = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.line(image, (x, y), end, colour, int(rng.integers(1, 5)), cv2.LINE_AA)


def _ground(image: Image, top: int, wall: Colour, rng: np.random.Generator) -> None:
    """Pavement, grass or floor from row `top` down, with a kerb or a skirting now and then."""
    height, width = image.shape[:2]
    tilt = int(rng.normal(0, 3))
    colour = random_colour(rng, (0.0, 0.35), (0.2, 0.75))
    if rng.random() < 0.25:
        colour = (rng.uniform(20, 70), rng.uniform(80, 140), rng.uniform(50, 110))
    if rng.random() < 0.1:
        colour = varied(wall, 10, rng)
    corners = np.array([(0, top - tilt), (width, top + tilt), (width, height), (0, height)])
    cv2.fillPoly(image, [corners], colour, cv2.LINE_AA)
    for _ in range(rng.integers(0, 4)):
        y = int(rng.integers(top, height)) if top < height else top
        thickness = int(rng.integers(1, 12))
        cv2.line(image, (0, y - tilt), (width, y + tilt), varied(colour, 25, rng), thickness)


def _weathered(image: Image, rng: np.random.Generator) -> Image:
    """With uneven light, fine grain and coarse stains."""
    height, width = image.shape[:2]
    light = np.ones((height, width), np.float32)
    for cells, strength in ((3, 0.12), (12, 0.05), (60, 0.04)):
        coarse = rng.normal(0, strength * rng.random(), (cells, cells)).astype(np.float32)
        light += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    grain = rng.normal(0, rng.uniform(0, 5), (height, width)).astype(np.float32)
    weathered = image * light[..., None] + grain[..., None]
    return np.clip(np.round(weathered), 0, 255).astype(np.uint8)
