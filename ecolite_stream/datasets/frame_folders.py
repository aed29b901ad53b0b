"""Clips as folders of pictures: their frame files, in order."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import cv2
import numpy as np

from ecolite_stream.errors import SourceError
from ecolite_stream.types import Image

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")
"""Suffixes of frames, in lower case; files may use capitals."""

_NUMBER = re.compile("([0-9]+)")
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
"""A marker among the coded pixels, where a stuffed zero and the restart markers are none."""
_PNG_END = b"IEND\xaeB`\x82"
_END_OF_IMAGE = 0xD9


def is_frame(path: Path) -> bool:
    """Whether a file's name is that of a frame: a visible picture."""
    return path.suffix.lower() in FRAME_SUFFIXES and not path.name.startswith(".")


def frame_files(folder: Path, prefix: str = "") -> list[Path]:
    """The frames of a clip whose names begin with `prefix`, in the order of their numbers.

    `frame2.jpg` stands before `frame10.jpg`, and `img_99999.jpg` before `img_100000.jpg`.

    Raises:
        SourceError: the folder cannot be read or holds no frame.
    """
    try:
        files = [path for path in folder.iterdir() if is_frame(path)]
    except OSError as error:
        raise SourceError(
            f"folder of frames {folder} cannot be read: {error.strerror}; copy the frames again"
        ) from error
    files = [path for path in files if path.name.startswith(prefix)]
    if not files:
        named = f" whose name begins with {prefix!r}; see rgb_prefix, or" if prefix else ";"
        raise SourceError(f"{folder} holds no frame{named} extract the frames again")
    return sorted(files, key=by_number)


def by_number(path: Path) -> tuple[list[tuple[str, int]], str]:
    """Sorting key of a frame: the texts and numbers of its name."""
    parts = _NUMBER.split(path.stem)
    texts, numbers = parts[0::2], [int(number) for number in parts[1::2]]
    return list(zip(texts, [*numbers, -1], strict=True)), path.name


def read_picture(path: Path, flags: int = cv2.IMREAD_COLOR) -> Image:
    """Read a complete picture: (H, W, 3) uint8 BGR, or as OpenCV's `flags` ask.

    OpenCV fills the missing part of a cut picture with grey; here it is an error.

    Raises:
        SourceError: it cannot be read, is cut off or is no picture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; copy the frames again") from error
    if not data:
        raise SourceError(f"{path} is empty (0 bytes); extract the frames again")
    if data[:512].lstrip().startswith(b"<"):
        raise SourceError(f"{path} is no picture but a web page; extract the frames again")
    if not is_whole(data):
        raise SourceError(f"{path} is cut off or damaged; extract the frames again")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise SourceError(f"{path}: no picture can be decoded; extract the frames again")
    return np.asarray(image, np.uint8)


def is_whole(data: bytes) -> bool:
    """Whether a JPEG or PNG file is complete; true of other files.

    A JPEG within a JPEG, such as a thumbnail, has an end of its own, which does not count.
    """
    if data.startswith(_JPEG):
        return _jpeg_ends(data)
    return _png_ends(data) if data.startswith(_PNG) else True


def _jpeg_ends(data: bytes) -> bool:
    place = len(_JPEG)
    while found := _JPEG_MARKER.search(data, place):
        marker, place = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            return True
        if place + 2 > len(data):
            return False
        place += struct.unpack_from(">H", data, place)[0]
    return False


def _png_ends(data: bytes) -> bool:
    place = len(_PNG)
    while place + 12 <= len(data):
        length: int = struct.unpack_from(">I", data, place)[0]
        if data[place + 4 : place + 12] == _PNG_END:
            return True
        place += 12 + length
    return False
