"""Pictures as JPEG."""

from __future__ import annotations

import cv2

from ecolite_stream.model.preprocess import resize
from ecolite_stream.types import Image

_QUALITY = 75


def to_jpeg(image: Image, width_px: int) -> bytes:
    """(H, W, 3) uint8 BGR as a JPEG, made smaller where it is wider than that or twice as high."""
    height, width = image.shape[:2]
    factor = min(1.0, width_px / width, 2 * width_px / height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    done, encoded = cv2.imencode(".jpg", resize(image, size), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ValueError(f"a picture of {width}x{height} cannot be encoded as JPEG")
    return encoded.tobytes()
