"""The thorough way to teach: all layers are trained; folder, groups and report are the quick way's.

This module needs no MindSpore; the trainings that it starts do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.config.strict import check_above_zero
from ecolite_stream.datasets.checked_clips import faults_of
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.model.bundle import Bundle
from trainer.data.parallel import bar_of
from trainer.exporting.folders import why_not_writable
from trainer.teaching.bundle import write_described
from trainer.teaching.clips import TaughtClip, read_features
from trainer.teaching.head_graph import Classifier, read_classifier
from trainer.teaching.held_out import Learn, judge
from trainer.teaching.report import Findings
from trainer.teaching.run import with_scores
from trainer.teaching.trainings import OnEpoch, Trainings

SETTINGS: Mapping[str, Any] = {
    "augmentation": {
        "windows_per_clip": 2,
        "segment_jitter": 0.7,
        "partial_memory": 0.2,
        "scales": [1.0, 0.875, 0.75],
        "brightness": 30,
        "contrast": 0.3,
    },
    "epochs": 40,
    "eval_freq": 5,
    "batch_size": 8,
    "lr": 0.01,
    "lr_schedule": "one_cycle",
    "dropout": 0.5,
    "label_smoothing": 0.1,
}
"""Those of configs/train/actions.yaml, which is not installed with the package."""
WINDOWS = (0.75, 1.25)
"""Shortest and longest window in a training, in lengths of the memory; 1.2 s and 2 s of 1.6 s."""
WORK = Path("runs/teach")
NEVER = -1000.0
"""Logit of an action that a network does not know."""
_WORKERS = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Thorough:
    """How to train.

    Raises a ConfigError where the work folder cannot be written.

    Attributes:
        clips: folder of the clips.
        work: folder of the trainings.
        epochs: of each training.
        report: takes a line for people.
        on_epoch: as `Trainings` takes it.
    """

    clips: Path
    work: Path
    epochs: int
    report: Callable[[str], None]
    on_epoch: OnEpoch

    def __post_init__(self) -> None:
        check_above_zero("epochs", self.epochs)
        if reason := why_not_writable(self.work.resolve()):
            raise ConfigError(f"--work {self.work} cannot be written: {reason}; name another one")

    def trainings(self, bundle: Bundle, framing: str, held_out: int, final: int) -> Trainings:
        """The trainings of these clips, announced.

        Args:
            bundle: whose weights they start from.
            framing: what the network sees.
            held_out: how many hold clips out.
            final: how many take all clips, 0 or 1.

        Raises:
            ConfigError: the work folder cannot be made.
        """
        count = held_out + final
        settings = settings_of(bundle, framing, self.clips, self.epochs)
        found = Trainings(self.work, settings, count, self.report, self.on_epoch)
        also = " and 1 takes all clips" if final else ""
        epochs = f"{self.epochs} {'epoch' if self.epochs == 1 else 'epochs'}"
        self.report(
            f"{count} {'training' if count == 1 else 'trainings'} of {epochs}: "
            f"{held_out} {'holds' if held_out == 1 else 'hold'} clips out{also}; interrupted, the "
            "same command resumes after the last whole epoch"
        )
        return found


def settings_of(bundle: Bundle, framing: str, folder: Path, epochs: int) -> dict[str, Any]:
    """The configuration of a training, as plain containers: the network of a bundle, `SETTINGS`."""
    spec = bundle.spec
    window_s = [round(share * spec.clip_seconds, 4) for share in WINDOWS]
    return {
        **SETTINGS,
        "augmentation": {**SETTINGS["augmentation"], "window_s": window_s},
        "arch": spec.architecture,
        "num_segments": spec.num_segments,
        "width": spec.width,
        "clip_seconds": spec.clip_seconds,
        "preprocessing": {**asdict(spec.preprocessing), "framing": framing},
        "data": {"clips": [str(folder.resolve())], "split": "none", "workers": _WORKERS},
        "epochs": epochs,
        "init_checkpoint": str(bundle.path.resolve()),
    }


def require_weights(bundle: Bundle) -> None:
    """Pass where a training can start from a bundle.

    Raises:
        BundleError: it has no MindIR graphs, as one that was taught the quick way.
    """
    if not bundle.has_weights:
        raise BundleError(
            f"{bundle.path} has no mindir graphs, which hold the weights to train; name the bundle "
            f"that it was taught from with --bundle, and this one with --against"
        )


def without_faults(files: Mapping[ClipFile, str]) -> dict[ClipFile, str]:
    """The clips whose files can be read to their end; others are left out with a warning."""
    paths = list(dict.fromkeys(file.path for file in files))
    with bar_of("checking", len(paths)) as step:
        faults = faults_of(paths, _WORKERS, on_clip=lambda: step(1))
    for file in files:
        if file.path in faults:
            _log.warning("left out %s: %s", file.name, faults[file.path])
    return {file: digest for file, digest in files.items() if file.path not in faults}


def learn_with(
    trainings: Trainings,
    files: Mapping[ClipFile, str],
    labels: Sequence[str],
    framing: str,
    engine: str,
) -> Learn:
    """A way to learn for `judge`: each part's network is trained, exported and run.

    Args:
        trainings: that make the networks.
        files: the clips with the hashes of their bytes.
        labels: of all clips, in the order of the logits.
        framing: what the networks see.
        engine: what computes features.
    """
    digests = {file.name: digest for file, digest in files.items()}

    def learn(
        rest: Sequence[TaughtClip], seen: list[TaughtClip]
    ) -> tuple[Classifier, list[TaughtClip]]:
        taught = {clip.name: digests[clip.name] for clip in rest}
        bundle = trainings.bundle_of(taught, f"{len(taught)} clips, {len(seen)} held out")
        names = {clip.name for clip in seen}
        held = {file: digest for file, digest in files.items() if file.name in names}
        classifier = in_order(read_classifier(bundle), bundle.spec.labels, labels)
        return classifier, read_features(held, bundle, (framing,), engine)

    return learn


def in_order(own: Classifier, theirs: Sequence[str], labels: Sequence[str]) -> Classifier:
    """A classifier with its rows in the order of `labels`; those that it lacks never win."""
    weight = np.zeros((len(labels), own.weight.shape[1]), np.float32)
    bias = np.full(len(labels), NEVER, np.float32)
    for row, label in enumerate(theirs):
        weight[labels.index(label)] = own.weight[row]
        bias[labels.index(label)] = own.bias[row]
    return Classifier(weight, bias)


def judge_trained(
    findings: Findings, files: Mapping[ClipFile, str], trainings: Trainings, engine: str = "auto"
) -> Findings:
    """What was found, with the held-out clips by trained networks.

    Args:
        findings: of `run.hold_out`.
        files: the clips with the hashes of their bytes.
        trainings: that make the networks.
        engine: what computes features.

    Raises:
        EcoliteError: a training failed.
    """
    framing, labels = findings.chosen, findings.held_out.labels
    learn = learn_with(trainings, files, labels, framing, engine)
    judged = judge(findings.clips, findings.grouping.folds, labels, framing, learn=learn)
    return replace(findings, thorough=judged)


def write_trained(
    findings: Findings,
    files: Mapping[ClipFile, str],
    bundle: Bundle,
    trainings: Trainings,
    folder: Path,
) -> Bundle:
    """Train with all clips and write the bundle, its held-out scores with it.

    Raises:
        BundleError: the folder cannot be written.
        EcoliteError: the training failed.
        EngineError: an engine disagrees.
    """
    names = {clip.name for clip in findings.clips}
    digests = {file.name: digest for file, digest in files.items() if file.name in names}
    trained = trainings.bundle_of(digests, f"all {len(digests)} clips")
    taught = {"from_bundle": bundle.digest, "thorough": True, "clips": len(digests)}
    taught["grouping"] = findings.grouping.how
    facts = {**trained.spec.training, "taught": taught}
    spec = replace(trained.spec, temperature=1.0, thresholds={}, energy_bound=None, training=facts)
    return write_described(trained, with_scores(spec, findings), folder)
