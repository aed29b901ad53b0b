"""The published splits of each data set into training and test clips.

Each function maps the names of the clips on disk, `<class>/<video>` without suffix, to the lists to
write: (list name, [(clip name, class index), ...]).

- UCF101: `trainlist01.txt`, `testlist01.txt`, ..., `classInd.txt`; or the group in a name.
- HMDB51: `<class>_test_split1.txt`, ..., with `<video> 0|1|2` a line: unused, training, test.
- Kinetics: `train.csv` and `val.csv` with the columns label, youtube_id, time_start, time_end; the
  videos are named `<youtube_id>_<start>_<end>`, the times with six digits.
- Something-Something V2: `something-something-v2-{labels,train,validation}.json`; the videos lie in
  one folder and are named by their number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecolite_stream.datasets.labelled_clips import listed_name, without_suffix
from ecolite_stream.datasets.labels import load_labels
from ecolite_stream.datasets.text_files import printable, read_lines, read_table, wrong_line
from ecolite_stream.errors import ConfigError, one_line

Listing = tuple[str, list[tuple[str, int]]]
OFFICIAL = Path("data/ucf101_splits")
SPLITS = (1, 2, 3)
GROUPS_A_SPLIT = 7
NAME = re.compile(r"v_(?P<label>\w+)_g(?P<group>\d\d)_c\d\d")
HMDB51_SIDES = {"1": "train", "2": "test"}
KINETICS_COLUMNS = ("label", "youtube_id", "time_start", "time_end")
KINETICS_SIDES = ("train", "val")
SOMETHING_SIDES = {"train": "train", "validation": "val"}


def ucf101_lists(names: Sequence[str], annotations: Path | None) -> list[Listing]:
    """The three splits of UCF101.

    Raises:
        ConfigError: a video is misnamed, of no class, or in neither list.
    """
    official = annotations or OFFICIAL
    indices = class_indices(names, official)
    lists = []
    for split in SPLITS:
        for side, chosen in zip(
            ("train", "test"), split_names(names, split, official), strict=True
        ):
            listed = [(name, indices[name.split("/")[0]]) for name in chosen]
            lists.append((f"{side}_split_{split}", listed))
    return lists


def is_test(name: str, split: int) -> bool:
    """Whether a video belongs to the test side of a split, by the group in its name.

    Split 1 tests groups 1 to 7, split 2 groups 8 to 14, split 3 groups 15 to 21 of 25.

    Raises:
        ConfigError: the name does not follow UCF101.
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
    lines = read_lines(path, "split file", names_files=True)
    return {without_suffix(listed_name(line.text)) for line in lines}


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


def hmdb51_lists(names: Sequence[str], annotations: Path | None) -> list[Listing]:
    """The three splits of HMDB51.

    Raises:
        ConfigError: a split file is missing or makes no sense, or a video is in none of them.
    """
    folder = _required(annotations, "hmdb51")
    labels = load_labels("hmdb51")
    lists = []
    for split in SPLITS:
        sides = _hmdb51_sides(folder, labels, split)
        if unlisted := [name for name in names if name not in sides]:
            raise ConfigError(f"{unlisted[0]} is in no split file of {folder}; check the folder")
        for number, side in HMDB51_SIDES.items():
            chosen = [name for name in names if sides[name] == number]
            listed = [(name, labels.index(name.split("/")[0])) for name in chosen]
            lists.append((f"{side}_split_{split}", listed))
    return lists


def _hmdb51_sides(folder: Path, labels: Sequence[str], split: int) -> dict[str, str]:
    """Clip name -> `0`, `1` or `2`."""
    sides = {}
    for label in labels:
        path = folder / f"{label}_test_split{split}.txt"
        for line in read_lines(path, "split file", names_files=True):
            video, _, side = line.text.rpartition(" ")
            if not video or side not in ("0", *HMDB51_SIDES):
                advice = "copy the file again from the archive of HMDB51's splits"
                raise wrong_line(path, line, "<video> 0|1|2", advice)
            sides[f"{label}/{without_suffix(printable(video.strip()))}"] = side
    return sides


def kinetics_lists(names: Sequence[str], annotations: Path | None) -> list[Listing]:
    """Training and validation lists of Kinetics-400, of the videos found.

    Raises:
        ConfigError: an annotation file is missing or makes no sense, or a class is unknown.
    """
    folder = _required(annotations, "kinetics")
    by_video = {name.rsplit("/", 1)[-1]: name for name in names}
    labels = {_folder_name(label): index for index, label in enumerate(load_labels("kinetics400"))}
    lists, wanted = [], []
    for side in KINETICS_SIDES:
        path = folder / f"{side}.csv"
        listed = []
        for row in read_table(path, "split file", KINETICS_COLUMNS):
            label, youtube_id, *times = row.cells
            try:
                start, end = (int(float(time)) for time in times)
                index = labels[_folder_name(label)]
            except (KeyError, ValueError, OverflowError) as error:
                raise ConfigError(
                    f"{path}:{row.number} makes no sense at {','.join(row.cells)!r}: "
                    f"{one_line(error)}; expected {','.join(KINETICS_COLUMNS)}"
                ) from error
            video = f"{youtube_id}_{start:06d}_{end:06d}"
            wanted.append(f"{label}/{video}")
            if video in by_video:
                listed.append((by_video[video], index))
        lists.append((side, listed))
    _require_some(lists, wanted, names, folder)
    return lists


def _folder_name(label: str) -> str:
    return label.strip().lower().replace(" ", "_")


def something_lists(names: Sequence[str], annotations: Path | None) -> list[Listing]:
    """Training and validation lists of Something-Something V2.

    Raises:
        ConfigError: an annotation file is missing or makes no sense.
    """
    folder = _required(annotations, "something")
    stem = "something-something-v2"
    labels = _json(folder / f"{stem}-labels.json")
    by_video = {name.rsplit("/", 1)[-1]: name for name in names}
    lists, wanted = [], []
    for part, side in SOMETHING_SIDES.items():
        path = folder / f"{stem}-{part}.json"
        listed = []
        for entry in _json(path):
            try:
                index = int(labels[re.sub(r"[\[\]]", "", entry["template"])])
                video = str(entry["id"])
            except (KeyError, TypeError, ValueError) as error:
                raise ConfigError(f"{path} makes no sense at {entry}: {one_line(error)}") from error
            wanted.append(video)
            if video in by_video:
                listed.append((by_video[video], index))
        lists.append((side, listed))
    _require_some(lists, wanted, names, folder)
    return lists


def _require_some(
    lists: Sequence[Listing], wanted: Sequence[str], names: Sequence[str], folder: Path
) -> None:
    """Raise a ConfigError with a name wanted and one found where no clip is in any list."""
    if not any(listed for _, listed in lists):
        raise ConfigError(
            f"none of {len(names)} clips is in the split files of {folder}: wanted are names such "
            f"as {next(iter(wanted), 'none at all')!r}, found is {next(iter(names), 'none')!r}; "
            "rename the clips as the data set names them"
        )


def _required(annotations: Path | None, dataset: str) -> Path:
    if annotations is None:
        raise ConfigError(f"the splits of {dataset} are in its annotations; name --annotations DIR")
    return annotations


def _json(path: Path) -> Any:
    lines = read_lines(path, "split file")
    try:
        return json.loads("\n".join(line.text for line in lines))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {one_line(error)}") from error


LISTS: Mapping[str, Callable[[Sequence[str], Path | None], list[Listing]]] = {
    "ucf101": ucf101_lists,
    "hmdb51": hmdb51_lists,
    "kinetics": kinetics_lists,
    "something": something_lists,
}
