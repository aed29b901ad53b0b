"""One square that follows what moves.

Sideways it follows the newest motion at once. Its height is remembered for longer, since of
somebody who waves only the arms move. It grows quickly and shrinks slowly. Until something moves,
and where everything does, it is the middle square. It follows
faint motion, of people far away, if nothing else moves.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy.typing as npt

from ecolite_stream.types import Box
from ecolite_stream.views.motion import Mask, Motion

MARGIN = 1.35
"""Side of the square in extents of what moves."""
SMALLEST = 0.18
"""Smallest side of the square, in short sides of the picture."""
QUICK_S, SLOW_S = 0.2, 0.8
"""Time constants: of place and growth; of shrinking."""
LEAST_ACTIVE, LEAST_MOVING = 0.0015, 0.001
"""Shares of the picture that must be active, or move, to be followed."""
WEAK_ACTIVE, SUSTAINED_LOOKS = 0.0008, 12
"""A smaller share is followed, too, once it lasts so many looks: somebody far away who waves."""
FAINT_AFTER_S = 3.0
"""Seconds without clear motion after which faint motion elsewhere is followed."""
TAILS, NARROW_TAILS = 0.02, 0.1
"""Shares of motion left outside of an extent at each side."""


class Follower:
    """Follows what moves in one stream.

    Args:
        smallest: smallest side of the square, in short sides of the picture.
    """

    def __init__(self, smallest: float = SMALLEST) -> None:
        self._smallest = smallest
        self._square: FollowingSquare | None = None

    def follow(self, motion: Motion) -> Box:
        """The square at a look, inside the picture.

        It begins anew where the shape of the masks changes or the time goes back.
        """
        square, shape = self._square, motion.active.shape
        if square is None or square.shape != shape or motion.time_s < square.time_s:
            square = self._square = FollowingSquare(shape, motion.time_s, self._smallest)
        elif motion.looked:
            square.update(motion)
        return square.box()


class FollowingSquare:
    """The place and size of one square, and how they change; at first the middle square.

    Args:
        shape: height and width of the masks that it follows.
        time_s: stream time at which it begins.
        smallest: its smallest side, in short sides of the picture.

    Attributes:
        time_s: stream time of its newest look.
    """

    def __init__(self, shape: tuple[int, ...], time_s: float, smallest: float = SMALLEST) -> None:
        height, width = shape
        self.shape = height, width
        self._smallest = smallest
        self._x, self._y, self._side = width / 2, height / 2, float(min(height, width))
        self._top: float | None = None
        self._bottom: float | None = None
        self._seen = False
        self._weak_looks = 0
        self._clear_s: float | None = None
        self._follows_faint = False
        self.time_s = time_s

    def box(self) -> Box:
        """The square, inside the picture."""
        height, width = self.shape
        side = min(self._side, height, width)
        left = min(max(self._x - side / 2, 0.0), width - side)
        top = min(max(self._y - side / 2, 0.0), height - side)
        return Box(left / width, top / height, side / width, side / height)

    def update(self, motion: Motion) -> None:
        """Move to what moves at a new look; the first motion is met at once."""
        height, width = self.shape
        step_s, self.time_s = motion.time_s - self.time_s, motion.time_s
        quick, slow = 1 - math.exp(-step_s / QUICK_S), 1 - math.exp(-step_s / SLOW_S)
        if motion.everywhere:
            self._move(width / 2, height / 2, float(min(height, width)), quick, slow)
            return
        if self._is_clear(motion):
            self._clear_s, self._follows_faint = motion.time_s, False
            self._approach(motion.active, motion.moving, quick, slow)
        elif motion.faint is not None and self._accepts(motion.faint, motion.time_s):
            self._follows_faint = True
            self._approach(motion.faint, motion.faint, quick, slow)

    def _is_clear(self, motion: Motion) -> bool:
        """Whether enough moves to be followed, now or for a while; called once per new look."""
        active = cv2.countNonZero(motion.active) / motion.active.size
        self._weak_looks = self._weak_looks + 1 if active > WEAK_ACTIVE else 0
        return active > LEAST_ACTIVE or self._weak_looks >= SUSTAINED_LOOKS

    def _accepts(self, faint: Mask, time_s: float) -> bool:
        """Decide whether the square moves to faint motion.

        Faint motion inside the square is of somebody who is followed already and moves only a
        hand: the square stays around the whole person.
        """
        if self._follows_faint or self._clear_s is None:
            return True
        if time_s - self._clear_s < FAINT_AFTER_S:
            return False
        x0, x1, y0, y1 = extent(faint, TAILS)
        off = max(abs((x0 + x1) / 2 - self._x), abs((y0 + y1) / 2 - self._y))
        if off <= self._side / 2:
            return False
        self._top = self._bottom = None  # of somebody else
        return True

    def _approach(self, active: Mask, moving: Mask, quick: float, slow: float) -> None:
        """Move towards what has moved lately, (h, w), and sideways to what moves now, (h, w)."""
        height, width = self.shape
        x0, x1, y0, y1 = extent(active, TAILS)
        self._top = y0 if self._top is None or y0 < self._top else _to(self._top, y0, slow)
        self._bottom = (
            y1 if self._bottom is None or y1 > self._bottom else _to(self._bottom, y1, slow)
        )
        to_x, to_y = (x0 + x1) / 2, (self._top + self._bottom) / 2
        if cv2.countNonZero(moving) > LEAST_MOVING * height * width:
            left, right, *_ = extent(moving, NARROW_TAILS)
            to_x = 0.3 * to_x + 0.7 * (left + right) / 2
        short = min(height, width)
        wanted = MARGIN * max(x1 - x0, self._bottom - self._top)
        wanted = min(max(wanted, self._smallest * short), float(short))
        if not self._seen:
            self._seen = True
            self._x, self._y, self._side = to_x, to_y, wanted
        self._move(to_x, to_y, wanted, quick, slow)

    def _move(self, to_x: float, to_y: float, side: float, quick: float, slow: float) -> None:
        self._x, self._y = _to(self._x, to_x, quick), _to(self._y, to_y, quick)
        self._side = _to(self._side, side, quick if side > self._side else slow)


def extent(mask: Mask, tail: float) -> tuple[float, float, float, float]:
    """Edges (x0, x1, y0, y1) between which all but a `tail` of a mask lies, at each side."""
    x, y, width, height = cv2.boundingRect(mask)
    inner = mask[y : y + height, x : x + width]
    columns = cv2.reduce(inner, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    rows = cv2.reduce(inner, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    return *_edges(x, columns, tail), *_edges(y, rows, tail)


def _edges(first: int, weights: npt.NDArray[Any], tail: float) -> tuple[float, float]:
    sums = weights.cumsum()
    shares = sums / sums[-1]
    begin, end = shares.searchsorted(tail), shares.searchsorted(1 - tail) + 1
    return float(first + begin), float(first + end)


def _to(now: float, target: float, share: float) -> float:
    return now + share * (target - now)
