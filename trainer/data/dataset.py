"""All clips of a training: found, split, read and synthesised.

Memory: `data.cache_mb` for training and validation clips together (see `trainer.data.reading`),
plus all synthetic people, about 4 MB each at a short side of 144 pixels.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import click
import numpy as np

from ecolite_stream.datasets.labelled_clips import VIDEO_SUFFIXES, ClipFile
from ecolite_stream.datasets.marked import find_clips
from ecolite_stream.errors import ConfigError
from trainer.config.schema import DataConfig, TrainConfig
from trainer.data.budget import Budget
from trainer.data.clips import OTHER, Clip, HeldClip, cut_windows, still_clips
from trainer.data.folders import DATA_VARIABLE, DEFAULT_DATA, expand_folder
from trainer.data.following import Following, follow_clips, still_squares
from trainer.data.listed import check_clips, read_lists
from trainer.data.others import read_others
from trainer.data.parallel import in_parallel
from trainer.data.reading import (
    FileClip,
    read_clips,
    reading_side,
    shrink,
)
from trainer.data.splits import keep_only, split_clips
from trainer.synthetic import ACTIONS, draw_clip

FIGURE_FPS = 25.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The clips of a training.

    Attributes:
        filmed: training clips, each with its variants for `framing: follow`.
        windows_per_clip: windows of each clip an epoch; they take its variants in turn.
        in_turn: (clips, how many an epoch), shown in rotation.
        validation: held-out clips.
        labels: of all clips.
    """

    filmed: Sequence[Sequence[Clip]]
    windows_per_clip: int
    in_turn: Sequence[tuple[Sequence[Clip], int]]
    validation: Sequence[Clip]
    labels: tuple[str, ...]

    def training(self, epoch: int) -> list[Clip]:
        """The clips of 1-based `epoch`, one entry a window; the number is the same in each."""
        first = (epoch - 1) * self.windows_per_clip
        shown = [
            variants[(first + window) % len(variants)]
            for window in range(self.windows_per_clip)
            for variants in self.filmed
        ]
        for clips, count in self.in_turn:
            first = (epoch - 1) * count
            shown += [clips[(first + i) % len(clips)] for i in range(min(count, len(clips)))]
        return shown


def load_dataset(config: TrainConfig) -> Dataset:
    """Find, split and decode the clips; add synthetic people and stills.

    Raises:
        ConfigError: a folder holds no clips, all clips are of one class, or the split leaves one
            side empty.
        SourceError: a clip cannot be read.
    """
    real, validation, labels = read_lists(config) if config.train_list else _read_folders(config)
    _warn_of_uncached(real + validation, config.data.cache_mb)
    how = following(config)
    budget = Budget(config.data.cache_mb)
    filmed: list[list[Clip]] = [[clip] for clip in real]
    if how is not None:
        filmed = follow_clips(real, how, budget, config.data.workers)
        live = replace(how, smallest=how.smallest[:1], placed=0)
        shown = follow_clips(validation, live, budget, config.data.workers)
        validation = [clip for variants in shown for clip in variants]
    if config.augmentation.window_s:  # live windows are what is scored
        validation = [w for clip in validation for w in cut_windows(clip, config.clip_seconds)]
    in_turn = _shown_in_turn(config, real, how, budget)
    everything = [*real, *validation, *(clip for clips, _ in in_turn for clip in clips)]
    more = sorted({clip.label for clip in everything} - {*labels, OTHER})
    labels = (*labels, *more)
    if len(labels) < 2:
        raise ConfigError(
            f"all clips are {labels[0]!r}, and training needs two classes; add a folder with clips "
            "of another action, or of none"
        )
    return Dataset(filmed, config.augmentation.windows_per_clip, in_turn, validation, labels)


def following(config: TrainConfig) -> Following | None:
    """Settings of `framing: follow`; None with another framing."""
    if config.preprocessing.framing != "follow":
        return None
    how = config.augmentation
    return Following(config.preprocessing.short_side, how.follow_smallest, how.follow_placed)


def _shown_in_turn(
    config: TrainConfig, real: Sequence[Clip], how: Following | None, budget: Budget
) -> list[tuple[Sequence[Clip], int]]:
    """Synthetic people, stills and videos of other things; see `Dataset.in_turn`."""
    data = config.data
    in_turn: list[tuple[Sequence[Clip], int]] = []
    if data.idle_label:
        stills = still_clips(real, data.idle_label, data.idle_stills)
        if how is not None:
            stills = still_squares(stills, how.side)
        in_turn.append((stills, data.idle_per_epoch or len(stills)))
    draw = partial(_draw, config, how, budget)
    if data.figures_per_class:
        figures = draw(range(data.figures_per_class), ACTIONS)
        per_epoch = data.figures_per_epoch or data.figures_per_class
        in_turn.append((figures, per_epoch * len(ACTIONS)))
    if data.idle_figures:
        first = data.figures_per_class
        figures = draw(range(first, first + data.idle_figures), ["idle"], restless=True)
        in_turn.append((figures, data.idle_figures_per_epoch or len(figures)))
    if data.others:
        folders = [expand_folder(folder) for folder in data.others]
        side = reading_side(config.preprocessing)
        with _naming_the_variable("others", data.others):
            clips = read_others(folders, side, how, data.workers, budget)
        in_turn.append((clips, data.others_per_epoch or len(clips)))
    return in_turn


def _draw(
    config: TrainConfig,
    how: Following | None,
    budget: Budget,
    numbers: Sequence[int],
    actions: Sequence[str],
    restless: bool = False,
) -> list[Clip]:
    short_side, workers = reading_side(config.preprocessing), config.data.workers
    clips = draw_clips(
        numbers,
        actions,
        short_side=short_side,
        seed=config.seed,
        workers=workers,
        restless=restless,
    )
    if how is None:
        return clips
    # Every second drawn person as a live stream shows them, the others with the next square.
    alone = [replace(how, smallest=(one,), placed=0) for one in how.smallest]
    return [
        alone[number % len(alone)].variants(clip, budget)[0] for number, clip in enumerate(clips)
    ]


def _read_folders(config: TrainConfig) -> tuple[list[Clip], list[Clip], tuple[str, ...]]:
    data, short_side = config.data, reading_side(config.preprocessing)
    files = used_files(data)
    if data.only is None:
        _warn_of_skipped(data.clips, files)
    budget = Budget(data.cache_mb)
    sides = split_clips(files, data, config.seed)
    if data.split != "none":
        _warn_of_one_sided(*sides)
    check_clips([file.path for file in files], data.workers)
    training, validation = (read_clips(side, short_side, data.workers, budget) for side in sides)
    return training, validation, ()


def _warn_of_skipped(folders: Sequence[str], files: Sequence[ClipFile]) -> None:
    """Warn of empty class folders and of skipped files."""
    taken = {file.path for file in files}
    clips_in = Counter(path.parent for path in taken)
    suffixes = ", ".join(VIDEO_SUFFIXES)
    for folder in map(expand_folder, folders):
        for inner in sorted(folder.glob("[!.]*/")):
            left_out = [path for path in sorted(inner.glob("[!.]*")) if path not in taken]
            if not clips_in[inner]:
                _log.warning("%s holds no clip (%s) and is not a class", inner, suffixes)
            elif left_out:
                _log.warning(
                    "%s: skipped %s of %s, first %r; clips end in %s",
                    inner,
                    len(left_out),
                    len(left_out) + clips_in[inner],
                    left_out[0].name,
                    suffixes,
                )


def _warn_of_one_sided(training: Sequence[ClipFile], validation: Sequence[ClipFile]) -> None:
    """Warn of classes that have no clips on one side of the split."""
    learned, scored = ({file.label for file in side} for side in (training, validation))
    if unscored := sorted(learned - scored):
        _log.warning("no clip of %s is held out, so the score leaves it out", ", ".join(unscored))
    if unlearned := sorted(scored - learned):
        _log.warning(
            "all clips of %s are held out, so it is not learned; add clips of other groups, or "
            "set another data.split",
            ", ".join(unlearned),
        )


def _warn_of_uncached(clips: Sequence[Clip], cache_mb: float) -> None:
    if in_files := sum(isinstance(clip, FileClip) for clip in clips):
        click.echo(
            f"{in_files} of {len(clips)} clips do not fit in data.cache_mb {cache_mb:g} and are "
            "read from their files each time",
            err=True,
        )


def labelled_files(folders: Sequence[str]) -> list[ClipFile]:
    """The clips in folders and the segments of their marked videos, `$VARIABLES` expanded.

    Raises:
        ConfigError: a folder does not exist or holds no clip.
    """
    with _naming_the_variable("clips", folders):
        return find_clips([expand_folder(folder) for folder in folders])


@contextmanager
def _naming_the_variable(key: str, folders: Sequence[str]) -> Iterator[None]:
    """Name the variable of the folders of `data.<key>` in an error, where it is not set."""
    try:
        yield
    except ConfigError as error:
        if DATA_VARIABLE in os.environ or not any(DATA_VARIABLE in name for name in folders):
            raise
        raise ConfigError(
            f"{error}; set --data.{key} '[DIR]' or {DATA_VARIABLE}, which is "
            f"{DEFAULT_DATA} by default"
        ) from error


def used_files(data: DataConfig) -> list[ClipFile]:
    """The clips that a configuration names: those of its folders, or `only` some of them.

    Raises:
        ConfigError: as `labelled_files`; or the list cannot be read, or names no clip.
    """
    files = labelled_files(data.clips)
    return files if data.only is None else keep_only(files, data.only)


def draw_clips(
    numbers: Sequence[int],
    actions: Sequence[str],
    *,
    short_side: int,
    seed: int,
    workers: int,
    restless: bool = False,
) -> list[Clip]:
    """Clips of synthetic people, for training without a download.

    Each of `numbers` is another person; it depends on nothing else that is drawn.
    restless: as in `draw_clip`.
    """

    def draw(item: tuple[str, int]) -> Clip:
        action, number = item
        rng = np.random.default_rng([seed, ACTIONS.index(action), number])
        length = int(rng.integers(40, 80))
        frames = draw_clip(action, length, rng, fps=FIGURE_FPS, restless=restless)
        frames = np.stack([shrink(frame, short_side) for frame in frames])
        return HeldClip(f"{action}/figure{number:03d}", action, frames, FIGURE_FPS)

    items = [(action, number) for number in numbers for action in actions]
    return in_parallel(draw, items, workers, "drawing")
