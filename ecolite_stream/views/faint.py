"""Motion that is too small or too faint for one look, found where it lasts.

Somebody far away who waves moves a few pixels by a few levels: as much as noise does in one look.
But noise is elsewhere in the next look, and the arm comes back. So differences below the usual
threshold count where they are close together, again and again, in a small place.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

LEAST_DIFFERENCE, NOISE_FACTOR = 5.0, 7.0
"""Levels of 256, and median differences, above which a pixel may move."""
LEAST_PIXELS = 4
"""Pixels of a square of 3 that must differ together."""
LASTS_S = 0.7
"""Time constant over which looks are compared."""
LASTS = 0.25
"""Share of these looks with a difference within two pixels."""
LEAST_LOOKS = 4
"""Looks with faint motion, no more than `LASTS_S` apart, from which on it counts."""
MOST_PLACES, LARGEST_SIDE = 3, 0.4
"""Places that may move at once, and their largest extent in short sides of the picture.

More of them, or larger ones, are light, shadows or compression.
"""

_SQUARE = np.ones((5, 5), np.uint8)

Pixels = npt.NDArray[np.uint8]


class FaintMotion:
    """Finds faint motion in the differences of one stream."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all looks; later times may be earlier ones."""
        self._lasting: npt.NDArray[np.float32] | None = None
        self._looks, self._found_s = 0, 0.0
        self._time_s: float | None = None

    def observe(self, size: Pixels, noise: float, time_s: float) -> Pixels | None:
        """Where faint motion lasts, (h, w) uint8, 0 or 1; None where there is none.

        Args:
            size: how much each pixel differs from shortly before, (h, w) uint8 levels.
            noise: median difference of the picture, in levels.
            time_s: stream time of the look; times ascend until `reset`.
        """
        step_s = 0.0 if self._time_s is None else time_s - self._time_s
        self._time_s = time_s
        least = min(math.floor(max(LEAST_DIFFERENCE, NOISE_FACTOR * noise)), 255)
        _, differs = cv2.threshold(size, least, 1, cv2.THRESH_BINARY)
        any_differs = cv2.countNonZero(differs) >= LEAST_PIXELS
        if self._lasting is None or self._lasting.shape != size.shape:
            if not any_differs:
                return None
            self._lasting = np.zeros(size.shape, np.float32)
        keep = np.float32(math.exp(-step_s / LASTS_S))
        self._lasting *= keep
        if not any_differs:
            return None
        close = cv2.boxFilter(differs, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
        _, close = cv2.threshold(close, LEAST_PIXELS - 1, 1, cv2.THRESH_BINARY)
        around = cv2.dilate(close, _SQUARE)
        self._lasting[around.view(np.bool_)] += 1 - keep
        lasts = (self._lasting > LASTS).view(np.uint8)
        if not _is_local(lasts):
            return None
        faint = cv2.bitwise_and(cv2.dilate(close, _SQUARE[:3, :3]), lasts)
        if not cv2.countNonZero(faint):
            return None
        self._looks = self._looks + 1 if time_s - self._found_s <= LASTS_S else 1
        self._found_s = time_s
        return np.asarray(faint, np.uint8) if self._looks >= LEAST_LOOKS else None


def _is_local(lasts: Pixels) -> bool:
    """Check whether lasting differences form a few small places."""
    if not cv2.countNonZero(lasts):
        return False
    count, _, places, _ = cv2.connectedComponentsWithStats(lasts)
    if count - 1 > MOST_PLACES:
        return False
    sides = places[1:, (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)]
    return bool(sides.max() <= LARGEST_SIDE * min(lasts.shape))
