"""Small clips of a bright square that moves: across for one action, up for the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecolite_stream.media.h264 import INDEX_FIRST, Mp4Writer


def film(path: Path, action: str, seed: int, seconds: float = 2.0) -> Path:
    """Write a clip of 12 frames a second, 96x64."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shade, place = int(rng.integers(40, 90)), int(rng.integers(8, 24))
    writer = Mp4Writer(path, INDEX_FIRST)
    count = max(1, round(12 * seconds))
    for number in range(count):
        picture = np.full((64, 96, 3), shade, np.uint8)
        step = 40 * number // count
        top, left = (place, step) if action == "across" else (40 - step, place + 20)
        picture[top : top + 16, left : left + 16] = 230
        writer.add(picture, number / 12)
    writer.close()
    return path


def folder_of_clips(folder: Path, each: int = 3) -> Path:
    """`across` and `up`, so many clips each, of places a, b, c ..."""
    for number in range(each):
        for action in ("across", "up"):
            film(folder / action / f"{'abcdefgh'[number]}-1.mp4", action, number)
    return folder
