"""Videos that show none of the actions, for a network that learns to give them no label.

Their target is the same share for every class: outlier exposure of Hendrycks, Mazeika and
Dietterich, "Deep Anomaly Detection with Outlier Exposure" (ICLR 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from ecolite_stream.datasets.labelled_clips import find_videos
from ecolite_stream.datasets.marked import SegmentFile
from ecolite_stream.datasets.segments import Marked
from trainer.data.budget import Budget
from trainer.data.clips import OTHER, Clip
from trainer.data.following import Following
from trainer.data.listed import check_clips
from trainer.data.parallel import in_parallel
from trainer.data.reading import read_clip

MOST_S = 20.0
"""Only the beginning of a longer video is read."""


def read_others(
    folders: Sequence[Path],
    short_side: int,
    how: Following | None,
    workers: int,
    budget: Budget,
) -> list[Clip]:
    """One clip of each video, labelled `OTHER`.

    Args:
        folders: searched at any depth.
        short_side: of the clips, in pixels.
        how: squares that follow motion, with one smallest square for each clip, in turn; None
            keeps the pictures.
        workers: threads.
        budget: of clips in memory.

    Raises:
        ConfigError: a folder holds no video.
        SourceError: a video cannot be read.
    """
    paths = [path for folder in folders for path in find_videos(folder)]
    check_clips(paths, workers)
    ways: list[Following | None] = [None]
    if how is not None:
        ways = [replace(how, smallest=(one,), placed=0) for one in how.smallest]

    def read(item: tuple[Path, Following | None]) -> Clip:
        path, way = item
        file = SegmentFile(path, OTHER, Marked(0.0, MOST_S, OTHER))
        if way is None:
            return read_clip(file, short_side, budget)
        whole = read_clip(file, short_side, Budget(0))  # squares are kept, pictures are not
        return way.variants(whole, budget)[0]

    return in_parallel(read, list(zip(paths, cycle(ways))), workers, "reading others")
