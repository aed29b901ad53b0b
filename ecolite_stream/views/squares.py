"""Cutting the pixels of a box out of a picture."""

from __future__ import annotations

from ecolite_stream.types import Box, Image


def cut(image: Image, box: Box) -> Image:
    """(H, W, 3) uint8 -> the pixels (h, w, 3) of a box, at least one; a view, not a copy."""
    height, width = image.shape[:2]
    columns = min(max(1, round(box.width * width)), width)
    rows = min(max(1, round(box.height * height)), height)
    left = min(max(0, round(box.x * width)), width - columns)
    top = min(max(0, round(box.y * height)), height - rows)
    return image[top : top + rows, left : left + columns]
