"""What figures are drawn with: white paper and text, by OpenCV. (H, W, 3) uint8 BGR."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from ecolite_stream.errors import ConfigError
from ecolite_stream.types import Image

Color = tuple[int, int, int]

INK: Color = (40, 40, 40)
PAPER: Color = (255, 255, 255)
GRID: Color = (222, 222, 222)
COLORS: tuple[Color, ...] = (
    *((178, 114, 0), (0, 94, 213), (115, 158, 0)),
    *((167, 121, 204), (0, 159, 230), (233, 180, 86)),
)
"""Of series, in turn: blue, vermilion, green, purple, orange, sky; told apart by colour-blind eyes
too."""

PAD = 14
LINE = 22
"""Height of a line of text, in pixels."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SIZE = 0.5


def blank(height: int, width: int) -> Image:
    """White paper."""
    return np.full((height, width, 3), 255, np.uint8)


def text_width(text: str) -> int:
    """In pixels."""
    return int(cv2.getTextSize(_ascii(text), _FONT, _SIZE, 1)[0][0])


def widest(texts: Iterable[str]) -> int:
    """In pixels; 0 where there are none."""
    return max(map(text_width, texts), default=0)


def write(image: Image, text: str, at: tuple[int, int], color: Color = INK) -> None:
    """Text whose left end stands on a point (x, y)."""
    cv2.putText(image, _ascii(text), at, _FONT, _SIZE, color, 1, cv2.LINE_AA)


def write_upwards(image: Image, text: str, at: tuple[int, int]) -> None:
    """Text to be read from the right, whose beginning is at the bottom: (x of its middle, y)."""
    strip = blank(LINE, text_width(text) + 4)
    write(strip, text, (2, LINE // 2 + 5))
    turned = cv2.rotate(strip, cv2.ROTATE_90_COUNTERCLOCKWISE)
    left, top = at[0] - LINE // 2, at[1] - turned.shape[0]
    place = image[top : at[1], left : left + LINE]
    np.minimum(place, turned, out=place)  # strips of a dense figure overlap


def write_figure(path: Path, figure: Image) -> None:
    """Write a PNG.

    Raises:
        ConfigError: it cannot be written.
    """
    done, data = cv2.imencode(".png", figure)
    try:
        if not done:
            raise OSError("no PNG can be made")
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}") from error


def _ascii(text: str) -> str:
    """OpenCV's font has no other letters."""
    return text.encode("ascii", "replace").decode()
