"""Stretch deep grey pictures to black and white: thermal cameras use a small range of values."""

from __future__ import annotations

import logging
import math

import numpy as np
import numpy.typing as npt
from av import VideoFrame
from av.error import FFmpegError

_log = logging.getLogger(__name__)

_FULL = 65535.0
_STEP = 4  # every fourth pixel of every fourth row is looked at
_DARKEST, _BRIGHTEST = 0.5, 99.5
"""Percentiles that become black and white; dead pixels are beyond."""
_NARROW = 0.5
"""A picture that fills more than this share of all values is left as it is."""
_LEAST_SPAN = 64.0
"""Counts; less is the noise of a camera that sees one temperature."""
_MARGIN = 0.05
_ROUGH, _SMOOTHER = 2000.0, 4.0
"""Mean step between neighbouring pixels, in counts, beyond which bytes may be swapped, and how
many times smaller the step must be with the bytes in the other order."""
_ADAPTS_S = 5.0
"""Time constant: two thirds of a change are followed in that time."""

GreyPicture = npt.NDArray[np.uint16]
"""(H, W) uint16."""
Levels = tuple[float, float]
"""The values that become black and white, in 16-bit counts."""


def is_deep_grey(picture: VideoFrame) -> bool:
    """Whether a picture is one plane of more than 8 bits, in whole numbers."""
    components = picture.format.components
    return (
        len(components) == 1
        and 8 < components[0].bits <= 16
        and picture.format.name.startswith("gray")
    )


def deep_grey(picture: VideoFrame) -> GreyPicture:
    """The values of a deep grey picture, (H, W) uint16, scaled to 16 bits."""
    values: GreyPicture = picture.reformat(format="gray16le", threads=1).to_ndarray()
    return values


def stretched(values: GreyPicture, levels: Levels) -> npt.NDArray[np.uint8]:
    """(H, W) uint8: the lower level is 0, the upper 255, linear between."""
    low, high = levels
    scaled = (values.astype(np.float32) - low) * np.float32(255 / (high - low))
    return np.clip(scaled + np.float32(0.5), 0, 255).astype(np.uint8)


class GreyLevels:
    """The levels of one stream, which follow its pictures slowly to avoid flicker.

    They follow every decoded picture in stream time, so they do not depend on sampling. A picture
    entirely outside the levels resets them.

    Args:
        name: the source, for the message.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._levels: Levels | None = None
        self._time_s = 0.0
        self._reported = False
        self._compared = False

    def of(self, picture: VideoFrame, time_s: float) -> Levels | None:
        """The levels of the next picture; None if it is no deep grey one.

        Args:
            picture: as it was decoded.
            time_s: its stream time, in seconds.
        """
        if not is_deep_grey(picture):
            return None
        try:
            values = deep_grey(picture)[::_STEP]
        except FFmpegError:  # a damaged header; said where the picture is converted
            return self._levels
        self._compare_byte_orders(values)
        wanted = _levels_in(values[:, ::_STEP])
        before, step_s = self._levels, time_s - self._time_s
        if before is None or wanted[0] >= before[1] or wanted[1] <= before[0]:
            self._levels = wanted
        else:
            share = 1 - math.exp(-max(step_s, 0.0) / _ADAPTS_S)
            low, high = (b + share * (w - b) for b, w in zip(before, wanted, strict=True))
            self._levels = low, high
        self._time_s = time_s
        self._report()
        return self._levels

    def _compare_byte_orders(self, values: GreyPicture) -> None:
        """Warn, at the first picture, of bytes in the wrong order."""
        if not self._compared and has_swapped_bytes(values):
            _log.warning(
                "%s: the two bytes of its 16-bit grey values look swapped; set the camera or the "
                "program that records it to the other byte order",
                self._name,
            )
        self._compared = True

    def _report(self) -> None:
        if self._levels is None or self._reported or self._levels == (0.0, _FULL):
            return
        self._reported = True
        _log.warning(
            "%s: grey values from %.0f to %.0f of 65535 are stretched to black and white; the "
            "range follows the picture slowly",
            self._name,
            *self._levels,
        )


def has_swapped_bytes(values: GreyPicture) -> bool:
    """Whether rows of a picture, (H, W) uint16, are far smoother with their bytes swapped."""
    if values.shape[1] < 2:
        return False
    now, swapped = (
        float(np.abs(np.diff(rows.astype(np.int32), axis=1)).mean())
        for rows in (values, values.byteswap())
    )
    return now > _ROUGH and now > _SMOOTHER * swapped


def _levels_in(values: GreyPicture) -> Levels:
    """The levels that a picture alone would have."""
    low, high = (float(level) for level in np.percentile(values, (_DARKEST, _BRIGHTEST)))
    if high - low > _NARROW * _FULL:
        return 0.0, _FULL
    margin = max(_MARGIN * (high - low), (_LEAST_SPAN - (high - low)) / 2)
    return low - margin, high + margin
