"""Clips for training: found in class folders, split, decoded once and kept small in memory."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
import numpy.typing as npt

from ecolite_stream.clips import ClipFile
from ecolite_stream.errors import ConfigError, SourceError
from ecolite_stream.preprocess import resize_short_side
from ecolite_stream.sources import open_source
from ecolite_stream.types import Image
from trainer.config import DataConfig
from trainer.figures import ACTIONS, draw_clip

FIGURE_FPS = 25.0
DATA_VARIABLE = "ECOLITE_DATA"
DEFAULT_DATA = "../shared/data"

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Clip:
    """A decoded clip: frames (F, H, W, 3) uint8 BGR at `fps` frames a second."""

    name: str
    label: str
    frames: npt.NDArray[np.uint8]
    fps: float

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps


def expand_folder(folder: str) -> Path:
    """A folder with `~` and `$VARIABLES` filled in; ECOLITE_DATA has a default."""
    if DATA_VARIABLE not in os.environ:
        folder = re.sub(rf"\$({DATA_VARIABLE}\b|\{{{DATA_VARIABLE}\}})", DEFAULT_DATA, folder)
    return Path(os.path.expandvars(folder)).expanduser()


def split_clips(
    clips: Sequence[ClipFile], config: DataConfig, seed: int
) -> tuple[list[ClipFile], list[ClipFile]]:
    """(training, validation) clips; every clip is in exactly one of them.

    Raises:
        ConfigError: the split keeps nothing aside, or leaves nothing to train on.
    """
    held_out = _held_out(clips, config, seed)
    training = [clip for clip in clips if clip.name not in held_out]
    validation = [clip for clip in clips if clip.name in held_out]
    if clips and not training:
        raise ConfigError(f"the split {config.split!r} leaves no clip to train on")
    if clips and config.split != "none" and not validation:
        raise ConfigError(f"the split {config.split!r} keeps no clip aside to validate on")
    return training, validation


def _held_out(clips: Sequence[ClipFile], config: DataConfig, seed: int) -> set[str]:
    if config.split == "random":
        return _random_share(clips, config.val_fraction, seed)
    if config.split == "pattern":
        return {clip.name for clip in clips if _group(clip, config) in config.val_groups}
    if config.split == "list":
        return _listed(clips, config)
    return set()


def _random_share(clips: Sequence[ClipFile], fraction: float, seed: int) -> set[str]:
    """About `fraction` of every class, at least one clip of each that has two."""
    by_label: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        by_label[clip.label].append(clip.name)
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    for names in by_label.values():
        count = min(len(names) - 1, max(1, round(fraction * len(names))))
        chosen.update(str(name) for name in rng.permutation(names)[:count])
    return chosen


def _group(clip: ClipFile, config: DataConfig) -> str:
    match = re.search(config.split_pattern, clip.name)
    if match is None or not match.groups():
        raise ConfigError(f"split_pattern {config.split_pattern!r} finds no group in {clip.name!r}")
    return str(match.group(1))


def _listed(clips: Sequence[ClipFile], config: DataConfig) -> set[str]:
    assert config.val_list is not None  # DataConfig checks it
    try:
        lines = config.val_list.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"val_list {config.val_list} cannot be read: {error}") from error
    listed = {line.split()[0] for line in lines if line.strip()}
    unknown = sorted(listed - {clip.name for clip in clips})
    if unknown:
        raise ConfigError(
            f"{config.val_list} lists {len(unknown)} clips that do not exist, "
            f"{unknown[0]!r} the first; expected <class>/<file>"
        )
    return listed


def decode_clips(files: Sequence[ClipFile], short_side: int, workers: int) -> list[Clip]:
    """Decode clips in parallel, each at most `short_side` pixels high or wide, aspect kept.

    Raises:
        SourceError: a clip cannot be read; it is named.
    """
    return _in_parallel(lambda file: decode_clip(file, short_side), files, workers, "decoding")


def decode_clip(file: ClipFile, short_side: int) -> Clip:
    """Decode one clip; see `decode_clips`."""
    images: list[Image] = []
    times_s: list[float] = []
    with open_source(str(file.path)) as source:
        for frame in source:
            image = frame.image
            if min(image.shape[:2]) > short_side:
                image = resize_short_side(image, short_side)
            if images and image.shape != images[0].shape:
                raise SourceError(f"{file.path} changes its size; trim it or leave it out")
            images.append(image)
            times_s.append(frame.time_s)
    seconds = times_s[-1] - times_s[0]
    fps = (len(images) - 1) / seconds if seconds > 0 else FIGURE_FPS
    return Clip(file.name, file.label, np.stack(images), fps)


def cut_windows(clip: Clip, seconds: float) -> list[Clip]:
    """Half-overlapping windows of a clip, as a live stream shows it; the last one ends with it.

    A window keeps its seconds: a clip shorter than one is led in by its first frame, as a stream
    that has just begun. Frames are shared, not copied, but for that case.
    """
    length = round(seconds * clip.fps)
    missing = length - len(clip.frames)
    if missing > 0:
        lead_in = np.broadcast_to(clip.frames[:1], (missing, *clip.frames.shape[1:]))
        return [dataclasses.replace(clip, frames=np.concatenate([lead_in, clip.frames]))]
    starts = range(0, max(1, len(clip.frames) - length + 1), max(1, length // 2))
    last = max(0, len(clip.frames) - length)
    return [
        dataclasses.replace(clip, frames=clip.frames[start : start + length])
        for start in sorted({*starts, last})
    ]


def draw_clips(per_class: int, short_side: int, seed: int, workers: int) -> list[Clip]:
    """Clips of drawn figures, `per_class` of each action, for training without any download."""

    def draw(item: tuple[int, str, int]) -> Clip:
        position, action, number = item
        rng = np.random.default_rng([seed, position, number])
        frames = draw_clip(action, int(rng.integers(40, 80)), rng, fps=FIGURE_FPS)
        if min(frames.shape[1:3]) > short_side:
            frames = np.stack([resize_short_side(frame, short_side) for frame in frames])
        return Clip(f"{action}/figure{number:03d}", action, frames, FIGURE_FPS)

    items = [(i, action, n) for n in range(per_class) for i, action in enumerate(ACTIONS)]
    return _in_parallel(draw, items, workers, "drawing")


def still_clips(clips: Sequence[Clip], label: str, count: int, seconds: float = 3.0) -> list[Clip]:
    """Clips in which nothing happens, made from `count` others (or all, where there are fewer).

    They are in turn a held frame and a median picture: whoever moves through the picture is gone
    from its median over time.
    """
    stills = []
    some = np.random.default_rng(0).permutation(len(clips))[:count]  # of every class and person
    for number, clip in enumerate(clips[i] for i in some):
        if number % 2:
            picture = np.median(clip.frames[::4], axis=0).astype(np.uint8)
        else:
            picture = clip.frames[(number * 7) % len(clip.frames)]
        frames = np.broadcast_to(picture, (round(seconds * clip.fps), *picture.shape))
        stills.append(Clip(f"{label}/still of {clip.name}", label, frames, clip.fps))
    return stills


def _in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, doing: str
) -> list[Result]:
    with (
        ThreadPoolExecutor(workers) as pool,
        click.progressbar(
            pool.map(function, items),
            length=len(items),
            label=doing,
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as results,
    ):
        return list(results)
