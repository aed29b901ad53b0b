"""Whole clips, as published: N frames of each, the network once, and what it takes them for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
import numpy.typing as npt

from ecolite_stream.bench.measuring.process_tree import peak_mb
from ecolite_stream.datasets.frame_folders import frame_files, read_picture
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.engines import Engine
from ecolite_stream.errors import ConfigError, SourceError, one_line
from ecolite_stream.model.bundle import ModelSpec
from ecolite_stream.model.preprocess import (
    Preprocessing,
    frame_square,
    normalize,
    resize_short_side,
)
from ecolite_stream.model.sampling import segment_frames
from ecolite_stream.sources import open_source
from ecolite_stream.sources.video_stream import pick_video_stream
from ecolite_stream.types import FloatArray, Image

CROPS = (1, 10)
TOP = 5
EARLY = 20
"""Videos after which a process should have all the memory that it needs."""
LOST_SHARE = 0.1
"""A file with more of its frames lost, by its own header, is not the clip that was published."""

Squares = npt.NDArray[np.uint8]
"""(crops, N, S, S, 3) uint8 BGR."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Outcome:
    """What one clip is taken for; the same whenever it is computed again.

    Attributes:
        clip: `<class>/<file>`.
        label: its class.
        frames: how many it has; 0 where it cannot be read.
        rank: how many other labels score at least as much as the right one: 0 is right. A tie is
            thus wrong.
        loss: cross entropy of the logits as they are, without the bundle's temperature.
        taken_for: the label with the highest logit; None where it cannot be read.
        top: the best labels with their probabilities.
        error: why it cannot be read.
    """

    clip: str
    label: str
    frames: int = 0
    rank: int | None = None
    loss: float | None = None
    taken_for: str | None = None
    top: tuple[tuple[str, float], ...] = ()
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain containers."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Outcome:
        """The reverse of `to_json`."""
        return cls(**{**row, "top": tuple((label, score) for label, score in row["top"])})

    def is_within(self, best: int) -> bool:
        """Whether the right label is among the best so many."""
        return self.rank is not None and self.rank < best


@dataclass
class Pace:
    """Time and memory of a run; wall-clock seconds.

    Attributes:
        videos: how many were classified.
        wall_s: from the first to the last, decoding included.
        engine_s: from squares of pixels to logits, summed over the videos.
        early_mb: the most that the process was resident after `EARLY` of them, in 10^6 bytes;
            None if the system does not report it.
        peak_mb: the most after the last.
    """

    videos: int = 0
    wall_s: float = 0.0
    engine_s: float = 0.0
    early_mb: float | None = None
    peak_mb: float | None = None

    def add(self, engine_s: float, wall_s: float) -> None:
        """Count another video, at so many seconds after the start."""
        self.videos += 1
        self.engine_s += engine_s
        self.wall_s = wall_s
        self.peak_mb = peak_mb()
        if self.videos <= EARLY:
            self.early_mb = self.peak_mb

    def to_json(self) -> dict[str, Any]:
        """Plain containers; None for what was not measured."""
        measured = self.videos > 0 and self.wall_s > 0 and self.engine_s > 0
        return {
            "videos": self.videos,
            "videos_per_s": round(self.videos / self.wall_s, 3) if measured else None,
            "videos_per_s_without_decoding": round(self.videos / self.engine_s, 3)
            if measured
            else None,
            "early_resident_mb": self.early_mb,
            "peak_resident_mb": self.peak_mb,
        }


@dataclass(frozen=True)
class Decoded:
    """The N squares of a clip, or the error of reading it.

    Attributes:
        frames: how many it has.
        squares: of its N frames; None if it cannot be read.
        error: why it cannot be read.
    """

    frames: int = 0
    squares: Squares | None = field(default=None, repr=False)
    error: str | None = None


def check_crops(crops: int, how: Preprocessing) -> None:
    """Check that a bundle's framing allows that many crops.

    Raises:
        ConfigError: it does not.
    """
    if crops != 1 and how.framing != "center":
        raise ConfigError(
            f"--crops {crops} needs a bundle with framing center; this one looks at the "
            f"{how.framing} picture, which has no corners; use --crops 1"
        )


def crops_of(image: Image, how: Preprocessing, crops: int) -> list[Image]:
    """(H, W, 3) uint8 -> squares (S, S, 3): the bundle's own, or that one, four corners and all
    their mirror images."""
    middle = frame_square(image, how)
    if crops == 1:
        return [middle]
    size = how.image_size
    image = resize_short_side(image, how.short_side)
    rows, columns = (slice(0, size), slice(-size, None)), (slice(0, size), slice(-size, None))
    squares = [image[row, column] for row in rows for column in columns] + [middle]
    return squares + [square[:, ::-1] for square in squares]


def read_frames(path: Path, num_segments: int) -> tuple[int, list[Image]]:
    """F, and the N frames of a clip that represent its segments.

    Only these are converted to pixels. F is the number of decodable frames: the container's count,
    or, if that is wrong, that of a second decoding.

    Raises:
        SourceError: the clip cannot be read, or is cut off.
    """
    if path.is_dir():
        return _read_pictures(path, num_segments)
    packets, declared = _counts(path)
    count, images = _decode(path, segment_frames(packets, num_segments))
    if declared - count > max(1, declared * LOST_SHARE):
        raise SourceError(
            f"{path}: only {count} of its {declared} frames can be decoded; copy it again"
        )
    if count != packets:
        count, images = _decode(path, segment_frames(count, num_segments))
    return count, images


def _counts(path: Path) -> tuple[int, int]:
    """Packets in a file, at least 1, and the frames that its header declares, or 0."""
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            video = pick_video_stream(container)
            if video is None:
                return 1, 0
            return max(1, len([p for p in container.demux(video) if p.size])), int(video.frames)
    except (av.error.FFmpegError, OSError, IndexError, ValueError):
        return 1, 0  # decoding reports the error


def _decode(path: Path, wanted: Sequence[int]) -> tuple[int, list[Image]]:
    kept: dict[int, Image] = {}
    count = 0
    source = open_source(str(path))
    try:
        for frame in source:
            if frame.index in wanted:
                kept[frame.index] = frame.image
            count += 1
    finally:
        source.close()
    return count, [kept[number] for number in wanted if number in kept]


def _read_pictures(folder: Path, num_segments: int) -> tuple[int, list[Image]]:
    files = frame_files(folder)
    numbers = segment_frames(len(files), num_segments)
    images = {number: read_picture(files[number]) for number in sorted(set(numbers))}
    return len(files), [images[number] for number in numbers]


def read_squares(clip: ClipFile, spec: ModelSpec, crops: int) -> Decoded:
    """The squares of a clip, or why it cannot be read."""
    how = spec.preprocessing
    try:
        count, images = read_frames(clip.path, spec.num_segments)
    except SourceError as error:
        return Decoded(error=one_line(error))
    if len(images) != spec.num_segments:
        return Decoded(error=f"{clip.path}: decodes differently each time; record it again")
    by_frame = [crops_of(image, how, crops) for image in images]
    return Decoded(count, np.stack([np.stack(crop) for crop in zip(*by_frame, strict=True)]))


def logits_of(squares: Squares, engine: Engine, spec: ModelSpec) -> FloatArray:
    """(crops, N, S, S, 3) uint8 -> logits (classes,) float32, averaged over the crops."""
    logits = []
    for clip in squares:
        images = np.stack([normalize(square, spec.preprocessing) for square in clip])
        logits.append(engine.classify(engine.encode(images)[None])[0])
    return np.asarray(np.mean(logits, axis=0, dtype=np.float32), np.float32)


def judge(clip: ClipFile, frames: int, logits: FloatArray, labels: Sequence[str]) -> Outcome:
    """The outcome of a clip with logits (classes,) float32."""
    right = labels.index(clip.label)
    shifted = logits.astype(np.float64) - logits.max()
    log_total = float(np.log(np.exp(shifted).sum()))
    best = np.argsort(-logits, kind="stable")[:TOP]
    top = tuple((labels[i], round(float(np.exp(shifted[i] - log_total)), 6)) for i in best)
    rank = int((logits >= logits[right]).sum()) - 1
    loss = round(log_total - float(shifted[right]), 6)
    return Outcome(clip.name, clip.label, frames, rank, loss, top[0][0], top)


def evaluate(
    clips: Sequence[ClipFile],
    engine: Engine,
    spec: ModelSpec,
    crops: int,
    workers: int,
    pace: Pace,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Outcome]:
    """The outcome of every clip, in order; an unreadable one has an error.

    Args:
        clips: labelled with labels of `spec`.
        engine: of the bundle.
        spec: of the bundle.
        crops: one of `CROPS`.
        workers: threads that decode; at most one clip more than these waits for the engine.
        pace: added to.
        clock: wall-clock seconds.

    Raises:
        EngineError: the engine failed.
    """
    start_s = clock()
    decoded = read_ahead(clips, lambda clip: read_squares(clip, spec, crops), workers)
    for clip, read in zip(clips, decoded, strict=True):
        outcome, engine_s = evaluate_clip(clip, read, engine, spec, clock)
        if engine_s is not None:
            pace.add(engine_s, clock() - start_s)
        yield outcome


def evaluate_clip(
    clip: ClipFile,
    read: Decoded,
    engine: Engine,
    spec: ModelSpec,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Outcome, float | None]:
    """The outcome of a clip and the seconds from squares to logits; None if it is unreadable.

    Raises:
        EngineError: the engine failed.
    """
    if read.squares is None:
        return Outcome(clip.name, clip.label, error=read.error), None
    begin_s = clock()
    logits = logits_of(read.squares, engine, spec)
    engine_s = clock() - begin_s
    return judge(clip, read.frames, logits, spec.labels), engine_s


def read_ahead(items: Iterable[T], work: Callable[[T], R], workers: int) -> Iterator[R]:
    """`map(work, items)` with that many threads, at most `workers + 1` results ahead."""
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
