"""Lists of the clips of UCF101: one `path frames class-index` a line, for each official split.

python -m trainer.data.gen_dataset_lists ucf101 DIR [--frames DIR] [--out DIR] [--check]

The official split files are used where they lie in `data/ucf101_splits`; the same splits follow
from the group in a name, `v_<class>_gNN_cNN`. Frames are counted on disk, never taken from a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ecolite_stream.clips import ClipFile, find_clips
from ecolite_stream.commands import one_line, run
from ecolite_stream.errors import ConfigError, EcoliteError, SourceError
from ecolite_stream.labels import load_labels
from ecolite_stream.sources import open_source
from trainer.data.lists import Item, frame_files, read_list, write_list
from trainer.data.parallel import in_parallel

OFFICIAL = Path("data/ucf101_splits")
SPLITS = (1, 2, 3)
GROUPS_A_SPLIT = 7
NAME = re.compile(r"v_(?P<label>\w+)_g(?P<group>\d\d)_c\d\d")
MOST_LISTED = 20


def is_test(name: str, split: int) -> bool:
    """Whether a video belongs to the test side of a split, by the group in its name.

    Split 1 tests groups 1 to 7, split 2 groups 8 to 14, split 3 groups 15 to 21 of 25.

    Raises:
        ConfigError: it is not named as UCF101 names its videos.
    """
    match = NAME.fullmatch(Path(name).stem)
    if match is None:
        raise ConfigError(
            f"{name} is not named v_<class>_gNN_cNN as the videos of UCF101 are; rename it or "
            "take it out of the folder"
        )
    first = (split - 1) * GROUPS_A_SPLIT + 1
    return first <= int(match["group"]) < first + GROUPS_A_SPLIT


def split_names(
    names: Sequence[str], split: int, official: Path = OFFICIAL
) -> tuple[list[str], list[str]]:
    """(training, test) names `<class>/<video>` without suffix, of those in `names`.

    Raises:
        ConfigError: a video is in neither official list, or is misnamed where there are none.
    """
    files = [official / f"{side}list{split:02d}.txt" for side in ("train", "test")]
    if not all(path.is_file() for path in files):
        training = [name for name in names if not is_test(name, split)]
        return training, [name for name in names if is_test(name, split)]
    listed = [_official_names(path) for path in files]
    sides = [name in listed[0] for name in names]
    for name, trains in zip(names, sides, strict=True):
        if not trains and name not in listed[1]:
            raise ConfigError(f"{name} is in neither {files[0]} nor {files[1]}; check the folder")
    chosen: tuple[list[str], list[str]] = ([], [])
    for name, trains in zip(names, sides, strict=True):
        chosen[0 if trains else 1].append(name)
    return chosen


def _official_names(path: Path) -> set[str]:
    """Names without suffix; training lists also carry a class number."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"split file {path} cannot be read: {one_line(error)}") from error
    return {_without_suffix(line.split()[0]) for line in lines if line.strip()}


def class_indices(names: Sequence[str], official: Path = OFFICIAL) -> dict[str, int]:
    """Class -> index: by classInd.txt where it lies there, else by the published list of UCF101.

    Raises:
        ConfigError: a class is in neither.
    """
    path = official / "classInd.txt"
    labels = load_labels(path if path.is_file() else "ucf101")
    for name in names:
        if name.split("/")[0] not in labels:
            raise ConfigError(
                f"{name}: {name.split('/')[0]!r} is no class of UCF101; name the folder as its "
                "class is"
            )
    return {label: index for index, label in enumerate(labels)}


def count_frames(path: Path) -> int:
    """Frames of a folder of pictures, or of a video, which is decoded from end to end.

    Raises:
        SourceError: there are none, or it cannot be read.
    """
    if path.is_dir():
        return len(frame_files(path))
    with open_source(str(path)) as source:
        return sum(1 for _ in source)


def find_items(folder: Path) -> dict[str, Path]:
    """`<class>/<video>` without suffix -> the video, or the folder of its frames.

    Raises:
        ConfigError: there are none.
    """
    frames = [p for p in folder.glob("[!.]*/[!.]*") if p.is_dir() and any(p.glob("*.jpg"))]
    clips = [ClipFile(p, p.parent.name) for p in frames] or find_clips([folder])
    return {_without_suffix(clip.name): clip.path for clip in sorted(clips, key=lambda c: c.name)}


def _without_suffix(name: str) -> str:
    return str(Path(name).with_suffix("")) if Path(name).suffix else name


@click.command()
@click.argument("dataset", type=click.Choice(["ucf101"]))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--frames", type=click.Path(path_type=Path), help="Folder of extracted frames.")
@click.option("--out", default=Path("data/ucf101_lists"), type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; hold the lists there against the disk.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
def main(
    dataset: str, folder: Path, frames: Path | None, out: Path, check: bool, workers: int
) -> None:
    """Write the lists of the three official splits of the videos in FOLDER/<class>/.

    Paths are relative to FOLDER, or to the folder of frames: give it as data_path in a training.
    """
    items = find_items(frames or folder)
    if check:
        return _check(out, dataset, frames or folder, workers)
    counts = _count(list(items.values()), workers)
    indices = class_indices(list(items))
    for split in SPLITS:
        for side, names in zip(("train", "test"), split_names(list(items), split), strict=True):
            listed = [
                Item(
                    items[name].relative_to(frames or folder).as_posix(),
                    counts[items[name]],
                    indices[name.split("/")[0]],
                )
                for name in names
            ]
            path = out / f"{dataset}_{side}_split_{split}.txt"
            write_list(path, listed)
            click.echo(f"{path}: {len(listed)} clips")


def _check(out: Path, dataset: str, root: Path, workers: int) -> None:
    lists = sorted(out.glob(f"{dataset}_*_split_*.txt"))
    if not lists:
        raise ConfigError(f"{out} holds no {dataset}_<side>_split_<number>.txt to check")
    listed = {path: read_list(path) for path in lists}
    paths = sorted({root / item.path for items in listed.values() for item in items})
    counts = _count(paths, workers)
    wrong = [
        f"{path.name}: {item.path} has {counts[root / item.path]} frames, listed are {item.frames}"
        for path, items in listed.items()
        for item in items
        if item.frames != counts[root / item.path]
    ]
    for line in wrong[:MOST_LISTED]:
        click.echo(line, err=True)
    if wrong:
        raise EcoliteError(
            f"{len(wrong)} frame counts in {out} are wrong; write the lists again without --check"
        )
    click.echo(f"{len(paths)} clips in {len(lists)} lists have the frames that are listed")


def _count(paths: Sequence[Path], workers: int) -> Mapping[Path, int]:
    """Frames of each; every one that cannot be read is named."""

    def count(path: Path) -> int | str:
        try:
            return count_frames(path)
        except SourceError as error:
            return one_line(error)

    counted = dict(zip(paths, in_parallel(count, paths, workers, "counting"), strict=True))
    bad = [value for value in counted.values() if isinstance(value, str)]
    for text in bad[:MOST_LISTED]:
        click.echo(text, err=True)
    if bad:
        raise SourceError(f"{len(bad)} of {len(paths)} clips cannot be read; replace them")
    return {path: value for path, value in counted.items() if isinstance(value, int)}


if __name__ == "__main__":
    run(main)
