"""Clips from files: in memory up to a budget, read from their files beyond it.

Both give the same pictures. Memory: the budget, one clip for each worker, and the frames of the
batches under way. A clip beyond the budget is decoded from its beginning at each read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecolite_stream.datasets.frame_folders import frame_files, read_picture
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.datasets.marked import segment_of
from ecolite_stream.errors import SourceError
from ecolite_stream.model.preprocess import Preprocessing, resize_short_side
from ecolite_stream.sources import open_source
from ecolite_stream.types import Image
from trainer.data.budget import Budget
from trainer.data.clips import Clip, Frames, HeldClip, Indices, check_indices
from trainer.data.parallel import in_parallel

CUT_FACTOR = 3
"""With `framing: follow`, how many times larger clips are read than the squares cut out of them."""
FALLBACK_FPS = 25.0
"""Of a clip of one frame, or whose frames all have one time."""


@dataclass(frozen=True, eq=False)
class Reading:
    """How clips are read.

    Attributes:
        short_side: longest short side of a picture, in pixels.
        workers: threads.
        budget: of clips in memory.
        rgb_prefix: prefix of the names of extracted frames.
    """

    short_side: int
    workers: int
    budget: Budget
    rgb_prefix: str = ""


@dataclass(frozen=True, eq=False)
class FileClip(Clip):
    """A clip that is decoded from its file at each read and shrunk to `short_side`.

    It has `length` frames of the file, from number `first` on.
    """

    name: str
    label: str
    path: Path
    short_side: int
    length: int
    fps: float
    first: int = 0

    @property
    def num_frames(self) -> int:
        return self.length

    def read(self, indices: Indices) -> Frames:
        check_indices(indices, self)
        places = [self.first + int(index) for index in indices]
        wanted, last = set(places), max(places)
        images: dict[int, Image] = {}
        with open_source(str(self.path)) as source:
            for frame in source:
                if frame.index in wanted:
                    images[frame.index] = shrink(frame.image, self.short_side)
                if frame.index >= last:
                    break
        if len(images) < len(wanted):
            raise SourceError(
                f"{self.path} had {self.first + self.length} frames and has fewer now; leave the "
                "clips alone while a training reads them"
            )
        return np.stack([images[place] for place in places])


@dataclass(frozen=True, eq=False)
class FrameFolderClip(Clip):
    """A folder of frames, read each time and shrunk to `short_side`."""

    name: str
    label: str
    folder: Path
    short_side: int
    length: int
    fps: float = FALLBACK_FPS
    prefix: str = ""

    @property
    def num_frames(self) -> int:
        return self.length

    def read(self, indices: Indices) -> Frames:
        check_indices(indices, self)
        files = frame_files(self.folder, self.prefix)
        if len(files) != self.length:
            raise SourceError(
                f"{self.folder} had {self.length} frames and has {len(files)} now; leave the clips "
                "alone while a training reads them"
            )
        wanted = set(map(int, indices))
        images = {i: shrink(read_picture(files[i]), self.short_side) for i in wanted}
        return np.stack([images[int(index)] for index in indices])


def read_clips(
    files: Sequence[ClipFile], short_side: int, workers: int, budget: Budget
) -> list[Clip]:
    """Decode clips in parallel, each at most `short_side` pixels high or wide, aspect kept.

    Raises:
        SourceError: a clip cannot be read; names it.
    """
    return in_parallel(lambda file: read_clip(file, short_side, budget), files, workers, "decoding")


def read_clip(file: ClipFile, short_side: int, budget: Budget) -> Clip:
    """Decode one clip; keep its frames if the budget allows, else count them."""
    held: list[Image] | None = []
    sizes: dict[tuple[int, ...], tuple[int, ...]] = {}  # as filmed: as shrunk
    times_s: list[float] = []
    part, first = segment_of(file), 0
    with open_source(str(file.path)) as source:
        for frame in source:
            if part.place_of(frame) >= part.end:
                break
            if part.place_of(frame) < part.start:
                first = frame.index + 1
                continue
            times_s.append(frame.time_s)
            image = frame.image
            if held is None and image.shape in sizes:
                continue
            small = shrink(image, short_side)
            sizes[image.shape] = small.shape
            if len(set(sizes.values())) > 1:
                raise SourceError(f"{file.path} changes its size; trim it or leave it out")
            if held is not None and budget.reserve(small.nbytes):
                held.append(small)
            elif held is not None:
                budget.give_back(sum(one.nbytes for one in held))
                held = None
    if not times_s:
        raise SourceError(f"{file.name} has no frame: {file.path} ends before it; mark it again")
    seconds = times_s[-1] - times_s[0]
    fps = (len(times_s) - 1) / seconds if seconds > 0 else FALLBACK_FPS
    if held is None:
        return FileClip(file.name, file.label, file.path, short_side, len(times_s), fps, first)
    return HeldClip(file.name, file.label, np.stack(held), fps)


def reading_side(how: Preprocessing) -> int:
    """Pixels of the short side of clips that are read: more where squares are cut out of them."""
    return how.short_side * (CUT_FACTOR if how.framing == "follow" else 1)


def shrink(image: Image, short_side: int) -> Image:
    """The picture with a short side of at most `short_side` pixels, aspect kept."""
    return resize_short_side(image, short_side) if min(image.shape[:2]) > short_side else image
