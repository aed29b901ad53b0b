"""Which framing suits some clips: measured on held-out groups before a training, in minutes.

Windows of the clips go, framed in each way, through the network that the training starts from, up
to the numbers before its classifier. A logistic regression on those is scored on groups that it was
not fitted to. docs/decisions/0017-framing.md says what that is worth.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import click
import mindspore.nn as nn
import numpy as np

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.preprocess import FRAMINGS, Preprocessing
from ecolite_stream.types import FloatArray
from trainer.config.schema import TrainConfig
from trainer.data.augment import test_sample
from trainer.data.budget import Budget
from trainer.data.clips import Clip, cut_windows
from trainer.data.dataset import used_files
from trainer.data.following import Following
from trainer.data.listed import check_clips
from trainer.data.parallel import bar_of
from trainer.data.reading import CUT_FACTOR, read_clip
from trainer.data.splits import group_clips, split_clips
from trainer.loop.probe import ProbeScore, folds_of, probe
from trainer.loop.scoring import predict
from trainer.weights.checkpoint import DEMO, load_checkpoint, network_from

FOLDS = 5
MOST_CLIPS = 240
WINDOWS_PER_CLIP = 4


@dataclass(frozen=True)
class Choice:
    """The framing that was chosen, and why.

    Attributes:
        framing: one of `FRAMINGS`.
        scores: by framing.
        groups: how many groups of clips there are.
        seconds: how long it took.
    """

    framing: str
    scores: Mapping[str, ProbeScore]
    groups: int
    seconds: float

    def __str__(self) -> str:
        total = len(self.scores[self.framing].is_right)
        lines = [
            f"framing {name}: {score.num_right} of {total} held-out clips right, cross entropy "
            f"{score.cross_entropy:.3f}"
            for name, score in self.scores.items()
        ]
        own = self.scores[self.framing]
        others = {n: s for n, s in self.scores.items() if n != self.framing}
        reasons = [f"{own.num_right - s.num_right} more than {n}" for n, s in others.items()]
        close = [name for name, score in others.items() if may_be_chance(own, score)]
        chance = f"; beside {' and '.join(close)} that may be chance" if close else ""
        lines.append(
            f"chose framing {self.framing}: {', '.join(reasons)}{chance} ({self.groups} groups in "
            f"{min(FOLDS, self.groups)} folds, {self.seconds:.0f} s)"
        )
        return "\n".join(lines)


def may_be_chance(one: ProbeScore, other: ProbeScore) -> bool:
    """Whether clips that only one of them gets right are too few for a difference.

    By the sign test's normal approximation, two standard deviations.
    """
    differing = int((one.is_right != other.is_right).sum())
    return abs(one.num_right - other.num_right) <= 2 * math.sqrt(differing)


def choose(scores: Mapping[str, ProbeScore]) -> str:
    """The framing with the most clips right; of equals, with the lower cross entropy."""
    return min(scores, key=lambda name: (-scores[name].num_right, scores[name].cross_entropy))


def with_chosen_framing(config: TrainConfig) -> TrainConfig:
    """The configuration with the framing that suits its clips best; says so on stderr.

    The clips that the training holds out are not looked at.

    Raises:
        ConfigError: clips are in lists, or of one group or class.
        SourceError: a clip cannot be read.
    """
    if not config.data.clips or config.run_distribute:
        raise ConfigError(
            "framing 'auto' compares data.clips in one process; name a folder of clips, or set "
            "preprocessing.framing to " + " or ".join(FRAMINGS)
        )
    choice = compare_framings(config)
    click.echo(str(choice), err=True)
    return with_framing(config, choice.framing)


def with_framing(config: TrainConfig, framing: str) -> TrainConfig:
    """The configuration with that framing, which nothing chooses any more."""
    how = dataclasses.replace(config.preprocessing, framing=framing)
    return dataclasses.replace(config, preprocessing=how, choose_framing=False)


def compare_framings(config: TrainConfig) -> Choice:
    """Score every framing; as `with_chosen_framing`."""
    began_s = time.monotonic()
    files = pick_files(split_clips(used_files(config.data), config.data, config.seed)[0])
    check_clips([file.path for file in files], config.data.workers)
    groups = group_clips(files, config.data)
    labels = sorted({file.label for file in files})
    if len(groups) < 2 or len(labels) < 2:
        raise ConfigError(
            f"framing 'auto' needs two groups and two classes to compare on, got {len(groups)} and "
            f"{len(labels)}; set preprocessing.framing"
        )
    folds = folds_of([file.name for file in files], groups, FOLDS)
    classes = np.array([labels.index(file.label) for file in files], np.int64)
    features, numbers = _features(files, config)
    scores = {
        name: probe(np.concatenate(rows), np.array(numbers, np.int64), classes, folds)
        for name, rows in features.items()
    }
    return Choice(choose(scores), scores, len(groups), time.monotonic() - began_s)


def pick_files(files: Sequence[ClipFile], most: int = MOST_CLIPS) -> list[ClipFile]:
    """At most so many clips, spread evenly over the sorted ones, so that every class has some."""
    step = max(1.0, len(files) / most)
    return [files[int(place * step)] for place in range(min(most, len(files)))]


def _features(
    files: Sequence[ClipFile], config: TrainConfig
) -> tuple[dict[str, list[FloatArray]], list[int]]:
    """Rows (w, F) by framing and clip, and the number of the clip that each row is of."""
    checkpoint = load_checkpoint(config.init_checkpoint or DEMO)
    spec, network = checkpoint.spec, network_from(checkpoint)
    network.head.new_fc = nn.Identity()
    network.set_train(False)
    features: dict[str, list[FloatArray]] = {name: [] for name in FRAMINGS}
    numbers: list[int] = []

    def read(file: ClipFile) -> dict[str, FloatArray]:
        budget = Budget(config.data.cache_mb / config.data.workers)
        clip = read_clip(file, CUT_FACTOR * spec.preprocessing.short_side, budget)
        return dict(_framed(clip, spec.preprocessing, spec.num_segments, spec.clip_seconds))

    workers = config.data.workers
    with ThreadPoolExecutor(workers) as pool, bar_of("comparing framings", len(files)) as step:
        for first in range(0, len(files), workers):  # few at a time: inputs take memory
            for place, inputs in enumerate(pool.map(read, files[first : first + workers]), first):
                for name, windows in inputs.items():
                    features[name].append(predict(network, windows, WINDOWS_PER_CLIP))
                numbers += len(windows) * [place]
                step(1)
    return features, numbers


def _framed(
    clip: Clip, how: Preprocessing, num_segments: int, clip_seconds: float
) -> Iterator[tuple[str, FloatArray]]:
    """Some windows of a clip as a live stream of each framing shows them: (w, N, 3, S, S)."""
    for framing in FRAMINGS:
        shown = clip
        if framing == "follow":
            shown = Following(how.short_side).variants(clip, Budget(math.inf))[0]
        windows = cut_windows(shown, clip_seconds)
        some = pick_evenly(windows, WINDOWS_PER_CLIP)
        own = dataclasses.replace(how, framing=framing)
        yield framing, np.stack([test_sample(window, num_segments, own) for window in some])


def pick_evenly(windows: Sequence[Clip], most: int) -> list[Clip]:
    """At most so many, evenly spread."""
    places = np.linspace(0, len(windows) - 1, min(most, len(windows)))
    return [windows[round(place)] for place in places]
