"""Class indices of lists, checked against the folders of the clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ecolite_stream.datasets.labelled_clips import label_of
from ecolite_stream.datasets.labels import load_labels
from ecolite_stream.errors import ConfigError
from trainer.data.lists import Item


def listed_labels(
    named: str | None, lists: Sequence[tuple[Path, Sequence[Item]]]
) -> dict[int, str]:
    """Class index -> label, by a label list or by the folders that the items lie in.

    Raises:
        ConfigError: an index is outside the label list, contradicts the name of its folder, or
            stands for two folders.
    """
    if named:
        labels = dict(enumerate(load_labels(named)))
        for path, items in lists:
            for item in items:
                label_of_item(path, item, labels)
        return labels
    labels = {}
    for path, items in lists:
        for item in items:
            folder = label_of(Path(item.path))
            if labels.setdefault(item.index, folder) != folder:
                raise ConfigError(
                    f"{path}:{item.line}: {item.path} has class index {item.index}, which is "
                    f"{labels[item.index]!r} before; name the labels, or write the list again"
                )
    if len(set(labels.values())) < len(labels):
        raise ConfigError(
            f"{lists[0][0]}: a class folder has two class indices; name the labels, or write the "
            "list again"
        )
    return labels


def label_of_item(path: Path, item: Item, labels: Mapping[int, str]) -> str:
    """The label of a list's item.

    Args:
        path: the list, for messages.
        item: a line of it.
        labels: by class index.

    Raises:
        ConfigError: there is no such index, or the item lies in the folder of another class.
    """
    where = f"{path}:{item.line}: {item.path} has class index {item.index}"
    if item.index not in labels:
        raise ConfigError(
            f"{where}, the labels go from 0 to {len(labels) - 1}{_hint(item, labels)}; name the "
            "right labels, or write the list again"
        )
    folder, label = label_of(Path(item.path)), labels[item.index]
    known = {_alike(name) for name in labels.values()}
    if _alike(folder) != _alike(label) and _alike(folder) in known:
        raise ConfigError(
            f"{where}, which is {label!r}, and lies in the folder {folder!r}"
            f"{_hint(item, labels)}; name the right labels, or write the list again"
        )
    return label


def _hint(item: Item, labels: Mapping[int, str]) -> str:
    before = labels.get(item.index - 1)
    if before is None or _alike(before) != _alike(label_of(Path(item.path))):
        return ""
    return ": the list has indices from 1, and indices count from 0"


def _alike(label: str) -> str:
    """Equal for the spellings of one class: `air drumming`, `Air_Drumming`."""
    return "".join(c for c in label.casefold() if c.isalnum()) or label
