"""Small videos whose frames carry their number, to detect lost and doubled frames."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from ecolite_stream.types import Image

_COLUMNS, _ROWS = 8, 4  # two rows for 16 bits of the number, two for their complement
_TICKS_PER_S = 10_000  # MPEG-4's limit is 65535

PIXEL_FORMATS = {"mjpeg": "yuvj420p", "gif": "rgb8"}
"""Of encoders that do not take yuv420p."""


def numbered_image(number: int, size: tuple[int, int] = (160, 120)) -> Image:
    """A picture, (H, W, 3) uint8 BGR, that shows a number as black and white blocks.

    Args:
        number: 0 to 65535.
        size: width and height in pixels, at least 16 x 8.
    """
    bits = [number >> bit & 1 for bit in range(16)]
    blocks = np.array(bits + [1 - bit for bit in bits]).reshape(_ROWS, _COLUMNS)
    width, height = size
    rows = np.arange(height) * _ROWS // height
    columns = np.arange(width) * _COLUMNS // width
    image: Image = np.repeat(blocks[np.ix_(rows, columns)][..., None] * 255, 3, 2).astype(np.uint8)
    return image


def read_number(image: Image) -> int:
    """The number in a picture from `numbered_image`, whatever encoding did to it.

    Raises:
        ValueError: there is none, or the picture is damaged.
    """
    height, width = image.shape[:2]
    rows = (2 * np.arange(_ROWS) + 1) * height // (2 * _ROWS)
    columns = (2 * np.arange(_COLUMNS) + 1) * width // (2 * _COLUMNS)
    bits = (image[np.ix_(rows, columns)].mean(axis=2) > 127).astype(int).ravel().tolist()
    if any(bit == check for bit, check in zip(bits[:16], bits[16:], strict=True)):
        raise ValueError("no number can be read from the picture")
    return sum(bit << place for place, bit in enumerate(bits[:16]))


def write_numbered_video(
    path: Path | str,
    num_frames: int,
    size: tuple[int, int] = (160, 120),
    fps: int = 25,
    codec: str = "mpeg4",
    *,
    first: int = 0,
    times_s: Sequence[float] | None = None,
    **options: Any,
) -> Path:
    """Encode frames that show first, first + 1, ...; the container follows from the suffix.

    Args:
        path: where to write.
        num_frames: how many.
        size: width and height in pixels.
        fps: frames per second.
        codec: FFmpeg's name of an encoder.
        first: the number in the first frame.
        times_s: when frames are shown, in seconds, for a variable rate.
        options: "pixel_format", "format" (the container), "movflags", and those of the encoder;
            by default there are no B-frames, and a key frame every 12.
    """
    pixel_format = options.pop("pixel_format", PIXEL_FORMATS.get(codec, "yuv420p"))
    container_options = {"movflags": options.pop("movflags")} if "movflags" in options else {}
    container_format = options.pop("format", None)
    unit = Fraction(1, fps if times_s is None else _TICKS_PER_S)
    with av.open(str(path), "w", format=container_format, options=container_options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.options = {key: str(value) for key, value in {"bf": 0, "g": 12, **options}.items()}
        stream.codec_context.time_base = unit
        for index in range(num_frames):
            frame = _frame(numbered_image(first + index, size), pixel_format)
            frame.pts = index if times_s is None else round(times_s[index] / unit)
            frame.time_base = unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Path(path)


def _frame(image: Image, pixel_format: str) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, "bgr24")
    # With more threads, swscale spoils a line of odd-sized pictures now and then.
    return frame.reformat(format=pixel_format, threads=1)


def packet_places(path: Path | str) -> list[tuple[int, int]]:
    """Where the packets of a file's video are: (position, size) in bytes."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
