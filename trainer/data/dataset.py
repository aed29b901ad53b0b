"""All clips of a training: found, split, read, drawn and made.

What is resident at most is what `trainer.data.reading` says of the clips in files, `data.cache_mb`
being the budget of training and validation together, and all drawn figures on top: about 4 MB each
at a short side of 144 pixels.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np

from ecolite_stream.datasets.checked_clips import require_whole
from ecolite_stream.datasets.frame_folders import frame_files
from ecolite_stream.datasets.labelled_clips import VIDEO_SUFFIXES, ClipFile, find_clips
from ecolite_stream.errors import ConfigError
from trainer.config.schema import TrainConfig
from trainer.data.class_indices import label_of_item, listed_labels
from trainer.data.clips import Clip, HeldClip, cut_windows, still_clips
from trainer.data.folders import DATA_VARIABLE, DEFAULT_DATA, expand_folder
from trainer.data.lists import Item, read_list
from trainer.data.parallel import bar_of, in_parallel
from trainer.data.reading import (
    Budget,
    FileClip,
    FrameFolderClip,
    Reading,
    read_clip,
    read_clips,
    shrink,
)
from trainer.data.splits import split_clips
from trainer.synthetic import ACTIONS, draw_clip

FIGURE_FPS = 25.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The clips of a training.

    Attributes:
        filmed: to learn from, one entry a window an epoch.
        in_turn: what every epoch shows some of, in turn: (clips, how many an epoch).
        validation: those kept aside.
        labels: of all of them.
    """

    filmed: Sequence[Clip]
    in_turn: Sequence[tuple[Sequence[Clip], int]]
    validation: Sequence[Clip]
    labels: tuple[str, ...]

    def training(self, epoch: int) -> list[Clip]:
        """What 1-based `epoch` shows, one entry a window; always equally many."""
        shown = list(self.filmed)
        for clips, count in self.in_turn:
            first = (epoch - 1) * count
            shown += [clips[(first + i) % len(clips)] for i in range(min(count, len(clips)))]
        return shown


def load_dataset(config: TrainConfig) -> Dataset:
    """Find, split and decode the clips, and add what is drawn or made from them.

    Raises:
        ConfigError: a folder holds no clips, all clips are of one class, or the split leaves one
            side empty.
        SourceError: a clip cannot be read.
    """
    real, validation, labels = read_lists(config) if config.train_list else _read_folders(config)
    _tell_of_files(real + validation, config.data.cache_mb)
    if config.augmentation.window_s:  # then it is windows that it has to get right
        validation = [w for clip in validation for w in cut_windows(clip, config.clip_seconds)]
    in_turn = _shown_in_turn(config, real)
    filmed = real * config.augmentation.windows_per_clip
    everything = [*filmed, *validation, *(clip for clips, _ in in_turn for clip in clips)]
    others = sorted({clip.label for clip in everything} - set(labels))
    labels = (*labels, *others)
    if len(labels) < 2:
        raise ConfigError(
            f"all clips are {labels[0]!r}, and from one class nothing can be learned; put clips of "
            "other actions, or of none, into folders of their own beside it"
        )
    return Dataset(filmed, in_turn, validation, labels)


def _shown_in_turn(config: TrainConfig, real: Sequence[Clip]) -> list[tuple[Sequence[Clip], int]]:
    """What is drawn, or made from real clips: see `Dataset.in_turn`."""
    data = config.data
    in_turn: list[tuple[Sequence[Clip], int]] = []
    if data.idle_label:
        stills = still_clips(real, data.idle_label, data.idle_stills)
        in_turn.append((stills, data.idle_per_epoch or len(stills)))
    short_side = config.preprocessing.short_side
    draw = partial(draw_clips, short_side=short_side, seed=config.seed, workers=data.workers)
    if data.figures_per_class:
        figures = draw(range(data.figures_per_class), ACTIONS)
        per_epoch = data.figures_per_epoch or data.figures_per_class
        in_turn.append((figures, per_epoch * len(ACTIONS)))
    if data.idle_figures:
        first = data.figures_per_class
        figures = draw(range(first, first + data.idle_figures), ["idle"], restless=True)
        in_turn.append((figures, data.idle_figures_per_epoch or len(figures)))
    return in_turn


def _read_folders(config: TrainConfig) -> tuple[list[Clip], list[Clip], tuple[str, ...]]:
    data, short_side = config.data, config.preprocessing.short_side
    files = labelled_files(data.clips)
    _tell_of_left_out(data.clips, files)
    budget = Budget(data.cache_mb)
    sides = split_clips(files, data, config.seed)
    if data.split != "none":
        _tell_of_one_sided(*sides)
    check_clips([file.path for file in files], data.workers)
    training, validation = (read_clips(side, short_side, data.workers, budget) for side in sides)
    return training, validation, ()


def _tell_of_left_out(folders: Sequence[str], files: Sequence[ClipFile]) -> None:
    """Warn of class folders that make no class, and of files that are no clips by their names."""
    taken = {file.path for file in files}
    clips_in = Counter(path.parent for path in taken)
    suffixes = ", ".join(VIDEO_SUFFIXES)
    for folder in map(expand_folder, folders):
        for inner in sorted(folder.glob("[!.]*/")):
            left_out = [path for path in sorted(inner.glob("[!.]*")) if path not in taken]
            if not clips_in[inner]:
                _log.warning("%s holds no clip (%s) and makes no class", inner, suffixes)
            elif left_out:
                _log.warning(
                    "left out of %s: %s of %s, %r the first; clips end in %s",
                    inner,
                    len(left_out),
                    len(left_out) + clips_in[inner],
                    left_out[0].name,
                    suffixes,
                )


def _tell_of_one_sided(training: Sequence[ClipFile], validation: Sequence[ClipFile]) -> None:
    """Warn of classes that are not among the clips of both sides."""
    learned, scored = ({file.label for file in side} for side in (training, validation))
    if unscored := sorted(learned - scored):
        _log.warning("no clip of %s is kept aside, so no score tells of it", ", ".join(unscored))
    if unlearned := sorted(scored - learned):
        _log.warning(
            "all clips of %s are kept aside, so it is not learned; add clips of other groups, or "
            "set another data.split",
            ", ".join(unlearned),
        )


def read_lists(config: TrainConfig) -> tuple[list[Clip], list[Clip], tuple[str, ...]]:
    """(training clips, validation clips, labels in the order of the class indices).

    Raises:
        ConfigError: a list makes no sense, or its frame counts are not those on disk.
        SourceError: a clip cannot be read.
    """
    assert config.train_list is not None  # by whoever calls
    lists = [(path, read_list(path)) for path in (config.train_list, config.val_list) if path]
    labels = listed_labels(config.labels, lists)
    how = Reading(
        config.preprocessing.short_side,
        config.data.workers,
        Budget(config.data.cache_mb),
        config.rgb_prefix,
    )
    check_clips(
        [
            clip
            for path, items in lists
            for clip in listed_clips(path, items, config.data_path, labels)
        ],
        config.data.workers,
        config.rgb_prefix,
    )
    sides = [read_items(path, items, config.data_path, labels, how) for path, items in lists]
    by_index = tuple(labels[index] for index in sorted(labels))
    return sides[0], sides[1] if config.val_list else [], by_index


def read_items(
    path: Path,
    items: Sequence[Item],
    data_path: str | None,
    labels: Mapping[int, str],
    how: Reading,
) -> list[Clip]:
    """The clips of a list at `path`: videos as `read_clips` reads them, and folders of frames.

    Args:
        data_path: what the list's paths are relative to; None is its folder.
        labels: of the class indices.

    Raises:
        ConfigError, SourceError: as `read_lists`.
    """
    paths = listed_clips(path, items, data_path, labels)

    def read(pair: tuple[Item, Path]) -> Clip:
        item, clip = pair
        return _read_item(path, clip, item, labels[item.index], how)

    pairs = list(zip(items, paths, strict=True))
    return in_parallel(read, pairs, how.workers, f"reading {path.name}")


def listed_clips(
    path: Path, items: Sequence[Item], data_path: str | None, labels: Mapping[int, str]
) -> list[Path]:
    """Where the clips of a list lie, in its order.

    Raises:
        ConfigError: a clip does not exist, or its class index contradicts its folder.
    """
    root = expand_folder(data_path) if data_path else path.parent
    clips = []
    for item in items:
        label_of_item(path, item, labels)
        clip = root / Path(item.path).expanduser()
        if not clip.exists():
            raise ConfigError(
                f"{path}:{item.line}: {clip} does not exist; set data_path to the folder that the "
                "list's paths are relative to"
            )
        clips.append(clip)
    return clips


def _read_item(where: Path, path: Path, item: Item, label: str, how: Reading) -> Clip:
    name = ClipFile(path, label).name
    if path.is_dir():
        length = len(frame_files(path, how.rgb_prefix))
        clip: Clip = FrameFolderClip(
            name, label, path, how.short_side, length, prefix=how.rgb_prefix
        )
    else:
        clip = read_clip(ClipFile(path, label), how.short_side, how.budget)
    if clip.num_frames != item.frames:
        raise ConfigError(
            f"{where}:{item.line}: {item.path} is listed with {item.frames} frames and has {clip.num_frames}; "
            "write the list again with trainer.data.gen_dataset_lists"
        )
    return clip


def check_clips(clips: Sequence[Path], workers: int, prefix: str = "") -> None:
    """Check all clips before the first step, with a bar; those that passed are remembered.

    Raises:
        SourceError: as `require_whole`.
    """
    with bar_of("checking", len(clips)) as step:
        require_whole(clips, workers, prefix=prefix, on_clip=lambda: step(1))


def _tell_of_files(clips: Sequence[Clip], cache_mb: float) -> None:
    if in_files := sum(isinstance(clip, FileClip) for clip in clips):
        click.echo(
            f"{in_files} of {len(clips)} clips do not fit in data.cache_mb {cache_mb:g} and are "
            "read from their files each time",
            err=True,
        )


def labelled_files(folders: Sequence[str]) -> list[ClipFile]:
    """The clips in folders, `$VARIABLES` expanded.

    Raises:
        ConfigError: a folder does not exist or holds no clip.
    """
    try:
        return find_clips(map(expand_folder, folders))
    except ConfigError as error:
        if DATA_VARIABLE in os.environ or not any(DATA_VARIABLE in name for name in folders):
            raise
        raise ConfigError(
            f"{error}; name your own with --data.clips '[DIR]', or set {DATA_VARIABLE}, which is "
            f"{DEFAULT_DATA} by default"
        ) from error


def draw_clips(
    numbers: Sequence[int],
    actions: Sequence[str],
    *,
    short_side: int,
    seed: int,
    workers: int,
    restless: bool = False,
) -> list[Clip]:
    """Clips of drawn figures, for training without any download.

    Each of these `numbers` of an action is another figure, the same whatever else is drawn.
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
