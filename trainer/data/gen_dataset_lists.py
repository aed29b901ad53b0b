"""List the clips of each split of a data set, one `path frames class-index` a line.

python -m trainer.data.gen_dataset_lists ucf101 DIR [--frames DIR] [--out DIR] [--check]
python -m trainer.data.gen_dataset_lists hmdb51|kinetics|something DIR --annotations DIR ...

UCF101's official split files are read from `data/ucf101_splits`; without them the same splits
follow from the group in a name, `v_<class>_gNN_cNN`. Frames are counted on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ecolite_stream.app.entry import run
from ecolite_stream.datasets.frame_folders import frame_files
from ecolite_stream.datasets.labelled_clips import (
    ClipKind,
    clip_kind,
    clips_in,
    where_clips_lie,
    without_suffix,
)
from ecolite_stream.datasets.text_files import printable
from ecolite_stream.errors import ConfigError, EcoliteError, SourceError, one_line
from ecolite_stream.sources import open_source
from trainer.data.lists import Item, read_list, write_list
from trainer.data.parallel import in_parallel
from trainer.data.published_splits import LISTS

MOST_LISTED = 20


def count_frames(path: Path) -> int:
    """Number of frames of a folder of pictures, or of a video, which is decoded to its end.

    Raises:
        SourceError: there are none, or it cannot be read.
    """
    if path.is_dir():
        return len(frame_files(path))
    with open_source(str(path)) as source:
        return sum(1 for _ in source)


def find_items(folder: Path, flat: bool) -> dict[str, Path]:
    """`<class>/<video>` without suffix -> the video, or the folder of its frames.

    Args:
        flat: whether the videos lie in the folder itself, as `<video>`.

    Raises:
        ConfigError: there are none.
    """
    if not folder.is_dir():
        raise ConfigError(f"folder {folder} does not exist; name the folder of the data set")
    for kind in (ClipKind.FRAMES, ClipKind.VIDEO):
        if flat:
            paths = sorted(path for path in folder.iterdir() if clip_kind(path) is kind)
            named = {without_suffix(printable(path.name)): path for path in paths}
        else:
            named = {without_suffix(clip.name): clip.path for clip in clips_in(folder, kind)}
        if named:
            return named
    wanted = "<video>" if flat else "<class>/<video>"
    advice = f"name the folder of {wanted}" if flat else where_clips_lie(folder, *ClipKind)
    raise ConfigError(f"{folder} has no {wanted} and no folder of frames named so; {advice}")


@click.command()
@click.argument("dataset", type=click.Choice(list(LISTS)))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--annotations", type=click.Path(path_type=Path), help="Folder of the split files.")
@click.option("--frames", type=click.Path(path_type=Path), help="Folder of extracted frames.")
@click.option("--out", type=click.Path(path_type=Path), help="[data/DATASET_lists]")
@click.option("--check", is_flag=True, help="Write nothing; compare the lists with the disk.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
def main(
    dataset: str,
    folder: Path,
    annotations: Path | None,
    frames: Path | None,
    out: Path | None,
    check: bool,
    workers: int,
) -> None:
    """Write the lists of the splits of the videos in FOLDER/<class>/ (something: in FOLDER).

    Paths are relative to FOLDER, or to the folder of frames: give it as data_path in a training.
    """
    root, out = frames or folder, out or Path("data") / f"{dataset}_lists"
    items = find_items(root, flat=dataset == "something")
    if check:
        return _check(out, dataset, root, workers)
    lists = LISTS[dataset](list(items), annotations)
    _warn_of_unlisted(items, lists)
    used = sorted({items[name] for _, listed in lists for name, _ in listed})
    counts = _count(used, workers)
    for list_name, listed in lists:
        path = out / f"{dataset}_{list_name}.txt"
        lines = [
            Item(items[name].relative_to(root).as_posix(), counts[items[name]], index)
            for name, index in listed
        ]
        write_list(path, lines)
        click.echo(f"{path}: {len(lines)} clips")


def _warn_of_unlisted(
    items: Mapping[str, Path], lists: Sequence[tuple[str, list[tuple[str, int]]]]
) -> None:
    listed = {name for _, names in lists for name, _ in names}
    if unlisted := [name for name in items if name not in listed]:
        click.echo(
            f"{len(unlisted)} of {len(items)} clips are in no list, first {unlisted[0]!r}",
            err=True,
        )


def _check(out: Path, dataset: str, root: Path, workers: int) -> None:
    lists = sorted(out.glob(f"{dataset}_*.txt"))
    if not lists:
        raise ConfigError(f"{out} holds no {dataset}_<list>.txt to check")
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
    """Number of frames of each; names all that cannot be read."""

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
