"""Time a frame before the engine: decoding, conversion to BGR, preprocessing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecolite_stream.bench.measuring.timing import Clock, Timing
from ecolite_stream.bench.report.report import Table
from ecolite_stream.errors import SourceError
from ecolite_stream.model.preprocess import Preprocessing, preprocess
from ecolite_stream.sources import FileSource
from ecolite_stream.sources.base import Source

STEPS = ("decode", "convert", "preprocess")


@dataclass(frozen=True)
class FrameCosts:
    """Times of the frames of one video.

    Attributes:
        bundle: name of the bundle to preprocess for.
        picture: width and height, `320x240`.
        timings: by step of `STEPS`.
    """

    bundle: str
    picture: str
    timings: dict[str, Timing]

    def to_json(self) -> dict[str, Any]:
        """Plain containers."""
        steps = {step: timing.to_json() for step, timing in self.timings.items()}
        return {"bundle": self.bundle, "picture": self.picture, **steps}


def measure_frames(
    bundle: str,
    video: Path,
    how: Preprocessing,
    seconds: float,
    open_video: Callable[[Path], Source] = FileSource,
    clock: Clock = time.perf_counter,
) -> FrameCosts:
    """Time frames through all steps for `seconds`; the video is repeated.

    Opening the file is not counted; decoding is the time of the source for a frame.

    Raises:
        SourceError: the video cannot be read.
    """
    samples_ms: dict[str, list[float]] = {step: [] for step in STEPS}
    height = width = 0
    until_s = clock() + seconds
    while not width or clock() < until_s:
        with open_video(video) as source:
            begin_s = clock()
            for frame in source:
                decoded_s = clock()
                image = frame.image
                converted_s = clock()
                preprocess(image, how)
                moments = (begin_s, decoded_s, converted_s, clock())
                for step, before_s, after_s in zip(STEPS, moments, moments[1:], strict=False):
                    samples_ms[step].append(1e3 * (after_s - before_s))
                height, width = image.shape[:2]
                if moments[-1] >= until_s:
                    break
                begin_s = clock()
        if not width:
            raise SourceError(f"{video}: no frame can be decoded; name another video")
    timings = {step: Timing(tuple(times_ms)) for step, times_ms in samples_ms.items()}
    return FrameCosts(bundle, f"{width}x{height}", timings)


def frame_table(video: str, rows: Sequence[FrameCosts]) -> Table:
    """A row for each bundle; they differ in preprocessing."""
    return Table(
        f"A frame of {video}: p50 / p95 / p99 in ms",
        ("bundle", "picture", *STEPS),
        [(row.bundle, row.picture, *(str(row.timings[s]) for s in STEPS)) for row in rows],
        notes=(
            "decode: the next frame of the file. convert: its pixels in BGR; of due frames only. "
            "preprocess: resized, cut, normalized.",
        ),
    )
