"""Settings of a training."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from ecolite_stream.config.strict import (
    check_above_zero,
    check_at_least,
    check_between,
    check_one_of,
)
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.limits import CLIP_SECONDS
from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.views.follow import SMALLEST
from trainer.config.published_keys import ARCHITECTURES

PRECISIONS = ("float32", "mixed")
LR_SCHEDULES = ("constant", "cosine", "one_cycle", "saturate")
DEVICE_TARGETS = ("CPU", "Ascend", "GPU")
CACHE_MB = 2000.0
MAX_SEED = 2**32 - 1  # MindSpore's
SPLITS = ("none", "random", "pattern", "list", "fold")


@dataclass(frozen=True)
class DataConfig:
    """The clips, and which are held out for validation.

    Attributes:
        clips: folders that hold `<class>/<clip>`, as `datasets.labelled_clips` finds them, or
            videos with their marks beside them, as `datasets.marked` does; `$VARIABLES` are
            expanded.
        figures_per_class: synthetic people added to the training set for each class; 0 adds none.
        figures_per_epoch: how many of them an epoch uses for each class, in turn; None uses all.
        idle_figures: further synthetic people of `idle`, most of whom fidget.
        idle_figures_per_epoch: how many of them an epoch uses, in turn; None uses all.
        idle_label: adds this class, in which nothing happens: stills and empty scenes made from
            the training clips; None adds none.
        idle_stills: how many of these.
        idle_per_epoch: how many of them an epoch uses, in turn; None uses all.
        others: folders of videos, at any depth, that show none of the actions: the network learns
            to give them no label; `$VARIABLES` are expanded.
        others_per_epoch: how many of them an epoch uses, in turn; None uses all.
        split: how validation clips are held out: `none`, `random`, `pattern`, `list` or `fold`.
        val_fraction: share of each class, for `random`.
        split_pattern: regular expression searched in a clip's `<class>/<file>`; its first group
            (a person, a source) keeps clips together, for `pattern` and `fold`.
        groups: in place of a pattern, a CSV table of `<class>/<file>` and group, with a heading;
            `$VARIABLES` are expanded.
        val_groups: the held-out groups, for `pattern`.
        folds, fold: for `fold`: the number of parts, each of whole groups and alike in size and
            classes, and the number, from 1, of the one held out.
        val_list: file that lists one `<class>/<file>` a line, for `list`.
        only: file that lists, likewise, the clips that are used; None uses all in the folders.
        workers: threads that decode and augment.
        cache_mb: megabytes of decoded clips kept in memory; others are read from their files each
            time.
    """

    clips: tuple[str, ...] = ()
    figures_per_class: int = 0
    figures_per_epoch: int | None = None
    idle_figures: int = 0
    idle_figures_per_epoch: int | None = None
    idle_label: str | None = None
    idle_stills: int = 10
    idle_per_epoch: int | None = None
    others: tuple[str, ...] = ()
    others_per_epoch: int | None = None
    split: str = "random"
    val_fraction: float = 0.2
    split_pattern: str = ""
    groups: str | None = None
    val_groups: tuple[str, ...] = ()
    folds: int = 5
    fold: int = 1
    val_list: Path | None = None
    only: Path | None = None
    workers: int = 2
    cache_mb: float = CACHE_MB

    def __post_init__(self) -> None:
        check_one_of("split", self.split, SPLITS)
        if self.split == "random" and not 0 < self.val_fraction < 1:
            raise ConfigError(f"val_fraction is {self.val_fraction}; expected between 0 and 1")
        try:
            re.compile(self.split_pattern)
        except re.error as error:
            raise ConfigError(
                f"split_pattern {self.split_pattern!r} is no regular expression: {error}"
            ) from error
        if self.split_pattern and self.groups:
            raise ConfigError("split_pattern and groups both group the clips; give one of them")
        if self.split == "pattern" and not (self.has_groups and self.val_groups):
            raise ConfigError("split 'pattern' needs val_groups, and split_pattern or groups")
        check_at_least("folds", self.folds, 2)
        check_between("fold", self.fold, 1, self.folds)
        if self.split == "list" and self.val_list is None:
            raise ConfigError("split 'list' needs val_list")
        check_at_least("workers", self.workers, 1)
        check_at_least("cache_mb", self.cache_mb, 0)
        check_at_least("figures_per_class", self.figures_per_class, 0)
        check_at_least("idle_figures", self.idle_figures, 0)
        check_at_least("idle_stills", self.idle_stills, 1)
        if self.figures_per_epoch is not None and self.figures_per_class:
            check_between("figures_per_epoch", self.figures_per_epoch, 1, self.figures_per_class)
        if self.idle_figures_per_epoch is not None and self.idle_figures:
            shown = self.idle_figures_per_epoch
            check_between("idle_figures_per_epoch", shown, 1, self.idle_figures)
        if self.idle_per_epoch is not None:
            check_between("idle_per_epoch", self.idle_per_epoch, 1, self.idle_stills)
        if self.others_per_epoch is not None:
            check_at_least("others_per_epoch", self.others_per_epoch, 1)

    @property
    def has_groups(self) -> bool:
        """Whether clips are grouped."""
        return bool(self.split_pattern or self.groups)

    @property
    def holds_clips_out(self) -> bool:
        """Whether the split has validation clips."""
        return bool(self.clips) and self.split != "none"


@dataclass(frozen=True)
class AugmentationConfig:
    """Augmentation of a clip; one choice for all its frames.

    Attributes:
        window_s: (shortest, longest) window that the N segments are taken from, in seconds; empty
            takes the whole clip, as published. With windows, validation scores windows of
            `clip_seconds` instead of whole clips.
        windows_per_clip: windows of each filmed clip an epoch; drawn and still ones give one.
        segment_jitter: how far a frame may move from the even grid, in segments; 1 is a uniformly
            random frame of each segment, as published.
        partial_memory: share of windows that begin before their clip, by up to 0.8 of their length;
            the first frame is repeated, as in a stream that has just begun.
        scales: crop sides as shares of the picture's sides (published: 1, .875, .75, .66).
        max_distort: how many steps in `scales` width and height may differ (published: 1).
        flip: probability of mirroring a clip.
        brightness: largest change of brightness, in grey levels.
        contrast: largest relative change of contrast.
        noise: largest standard deviation of the pixel noise, in grey levels.
        follow_smallest: smallest squares with `framing: follow`, in short sides of the picture;
            each is a variant of a clip, and the windows of an epoch take them in turn.
        follow_placed: further variants with `framing: follow`, placed in a still picture of four
            times the area, at full and half size in turn.
    """

    window_s: tuple[float, ...] = ()
    windows_per_clip: int = 1
    segment_jitter: float = 1.0
    partial_memory: float = 0.0
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    max_distort: int = 1
    flip: float = 0.5
    brightness: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    follow_smallest: tuple[float, ...] = (SMALLEST,)
    follow_placed: int = 0

    def __post_init__(self) -> None:
        if not self.follow_smallest or not all(0 < s <= 1 for s in self.follow_smallest):
            raise ConfigError("follow_smallest must be numbers above 0 and at most 1")
        check_between("follow_placed", self.follow_placed, 0, 16)
        if self.window_s and not (
            len(self.window_s) == 2 and 0 < self.window_s[0] <= self.window_s[1] < math.inf
        ):
            raise ConfigError("window_s must be the shortest and the longest window, in seconds")
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise ConfigError("scales must be numbers above 0 and at most 1")
        check_at_least("windows_per_clip", self.windows_per_clip, 1)
        for name in ("segment_jitter", "partial_memory", "flip", "contrast"):
            check_between(name, getattr(self, name), 0, 1)
        for name in ("max_distort", "brightness", "noise"):
            check_at_least(name, getattr(self, name), 0)


@dataclass(frozen=True)
class ModelArtsConfig:
    """ModelArts: where data comes from and results go to.

    Attributes:
        enable: whether to copy.
        data_url: copied to `data_path` first.
        train_url: where the run's folder is copied at the end, also after a failure.
        checkpoint_url: copied to `load_path` first; `init_checkpoint` is searched there.
        load_path: folder for checkpoints.
        unzip: whether to unpack `unzip_name`.zip in `data_path`, once a host.
        unzip_name: name of that archive, without `.zip`.
    """

    enable: bool = False
    data_url: str = ""
    train_url: str = ""
    checkpoint_url: str = ""
    load_path: Path = Path("/cache/checkpoint_path")
    unzip: bool = False
    unzip_name: str = ""

    def __post_init__(self) -> None:
        if self.unzip and not (self.unzip_name and self.data_url):
            raise ConfigError("unzip needs unzip_name and data_url")
        urls = (self.data_url, self.train_url, self.checkpoint_url)
        if any(urls) and not self.enable:
            raise ConfigError(
                "data_url, train_url and checkpoint_url need enable (enable_modelarts)"
            )


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        data, augmentation: the clips, and how they are varied.
        train_list, val_list: list files in place of `data.clips`, as
            written by `trainer.data.gen_dataset_lists`; without val_list nothing is validated.
        data_path: folder that the paths in the lists are relative to, `$VARIABLES` expanded; None
            is each list's own.
        labels: label list that the lists' class indices count in, by its name or file, see
            `datasets.labels`; None takes the classes from the paths `<class>/<clip>`.
        output: folder for checkpoints, created if missing.
        resume: run folder, or its last.ckpt, of an interrupted training; continues there, whatever
            `output` is, after the last complete epoch.
        arch, num_segments, width: the network; see `trainer.network.NetworkConfig`.
        clip_seconds: seconds of a live stream that the N segments will span.
        preprocessing: how a picture becomes an input.
        choose_framing: compare the framings on training clips first, and take the best; the framing
            `auto` sets it.
        epochs, batch_size: length of the training, and clips per step.
        iter_size: batches whose gradients are averaged for one move of the optimiser; for large
            batches on little memory. Batch norm still sees `batch_size` clips.
        lr: learning rate; the highest one of a schedule. Biases learn at twice this rate.
        lr_schedule: `constant`, `cosine`, `one_cycle`, or `saturate`: a tenth whenever validation
            has not improved for `num_saturate` epochs, as published; it needs a split.
        momentum, nesterov, weight_decay: of SGD.
        dropout: before the classifier.
        label_smoothing: share of the target spread over all classes.
        clip_gradient: largest global norm of the gradient; None never clips.
        init_checkpoint: checkpoint or bundle to start from, `demo` for the embedded one; the
            classifier's rows follow their labels, or are new where the labels differ.
        motion_init: without a checkpoint, start the first 3D convolution blind to still pictures;
            saves epochs when people are small.
        eval_freq: epochs between validations; the last epoch is always validated.
        no_partialbn: let every batch norm learn; false freezes all but the first, statistics
            included, which suits small batches that start from good weights.
        freeze_bn: let no batch norm learn, nor gather statistics.
        precision: `float32`, or `mixed`: convolutions in float16, and the loss scaled so that
            nothing is lost; for Ascend, whose cube units compute in float16.
        seed: of all random numbers.
        device_target, device_id: `CPU`, `Ascend` or `GPU`, and the number of the device.
        evaluate: only score best.ckpt of `resume`, or `init_checkpoint`, on the held-out clips.
        rgb_prefix: prefix of the names of extracted frames, such as `img_`; others are skipped.
        modelarts: copies in and out.
        run_distribute: whether this is one of several processes that `trainer.launch` started;
            `batch_size` is per process.
    """

    data: DataConfig = field(default_factory=DataConfig)
    train_list: Path | None = None
    val_list: Path | None = None
    data_path: str | None = None
    labels: str | None = None
    output: Path = Path("runs/train")
    resume: Path | None = None
    arch: str = "eco_lite"
    num_segments: int = 4
    width: float = 1.0
    clip_seconds: float = 2.0
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    choose_framing: bool = False
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    epochs: int = 60
    batch_size: int = 16
    iter_size: int = 1
    lr: float = 1e-3
    lr_schedule: str = "saturate"
    num_saturate: int = 5
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    dropout: float = 0.6
    label_smoothing: float = 0.0
    clip_gradient: float | None = 40.0
    init_checkpoint: Path | None = None
    motion_init: bool = False
    eval_freq: int = 1
    no_partialbn: bool = True
    freeze_bn: bool = False
    precision: str = "float32"
    seed: int = 0
    device_target: str = "CPU"
    device_id: int = 0
    run_distribute: bool = False
    evaluate: bool = False
    rgb_prefix: str = ""
    modelarts: ModelArtsConfig = field(default_factory=ModelArtsConfig)

    def __post_init__(self) -> None:
        check_one_of("lr_schedule", self.lr_schedule, LR_SCHEDULES)
        check_one_of("arch", self.arch, tuple(ARCHITECTURES.values()))
        check_one_of("precision", self.precision, PRECISIONS)
        check_one_of("device_target", self.device_target, DEVICE_TARGETS)
        for name in ("epochs", "batch_size", "iter_size", "lr", "num_saturate", "eval_freq"):
            check_above_zero(name, getattr(self, name))
        check_between("clip_seconds", self.clip_seconds, *CLIP_SECONDS)
        for name in ("momentum", "dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 to below 1")
        check_at_least("weight_decay", self.weight_decay, 0)
        check_between("seed", self.seed, 0, MAX_SEED)
        check_at_least("device_id", self.device_id, 0)
        if self.clip_gradient is not None:
            check_above_zero("clip_gradient", self.clip_gradient)
        self._check_clips()
        if self.evaluate and not (self.resume or self.init_checkpoint):
            raise ConfigError("evaluate needs a checkpoint: set resume or init_checkpoint")
        if self.lr_schedule == "saturate" and not (self.data.holds_clips_out or self.val_list):
            raise ConfigError(
                "lr_schedule 'saturate' lowers the rate by validation scores, and no clip is "
                "held out; choose one_cycle, cosine or constant, or another data.split"
            )

    def _check_clips(self) -> None:
        if self.train_list and self.data.clips:
            raise ConfigError("train_list and data.clips both name the clips; give one of them")
        if not self.train_list:
            for name in ("val_list", "data_path", "labels"):
                if getattr(self, name) is not None:
                    raise ConfigError(f"{name} is for list files; name a train_list too")
            if not self.data.clips and not self.data.figures_per_class:
                raise ConfigError(
                    "there are no clips; set data.clips, train_list or data.figures_per_class"
                )
