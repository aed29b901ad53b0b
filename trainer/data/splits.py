"""Which clips are kept aside to validate on."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ecolite_stream.clips import ClipFile
from ecolite_stream.errors import ConfigError
from trainer.config import DataConfig


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
