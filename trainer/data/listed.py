"""The clips of list files: found, checked and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ecolite_stream.datasets.checked_clips import require_whole
from ecolite_stream.datasets.frame_folders import frame_files
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.errors import ConfigError
from trainer.config.schema import TrainConfig
from trainer.data.budget import Budget
from trainer.data.class_indices import label_of_item, listed_labels
from trainer.data.clips import Clip
from trainer.data.folders import expand_folder
from trainer.data.lists import Item, read_list
from trainer.data.parallel import bar_of, in_parallel
from trainer.data.reading import FrameFolderClip, Reading, read_clip, reading_side


def read_lists(config: TrainConfig) -> tuple[list[Clip], list[Clip], tuple[str, ...]]:
    """(training clips, validation clips, labels in the order of the class indices).

    Raises:
        ConfigError: a list makes no sense, or its frame counts are not those on disk.
        SourceError: a clip cannot be read.
    """
    assert config.train_list is not None  # checked by the caller
    lists = [(path, read_list(path)) for path in (config.train_list, config.val_list) if path]
    labels = listed_labels(config.labels, lists)
    how = Reading(
        reading_side(config.preprocessing),
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
    """Paths of the clips of a list, in its order.

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
            f"{where}:{item.line}: {item.path} is listed with {item.frames} frames but has "
            f"{clip.num_frames}; write the list again with trainer.data.gen_dataset_lists"
        )
    return clip


def check_clips(clips: Sequence[Path], workers: int, prefix: str = "") -> None:
    """Check all clips before the first step, with a progress bar; results are cached.

    Raises:
        SourceError: as `require_whole`.
    """
    with bar_of("checking", len(clips)) as step:
        require_whole(clips, workers, prefix=prefix, on_clip=lambda: step(1))
