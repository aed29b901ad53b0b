"""A taught bundle: graphs with the new classifier, golden numbers, labels and calibration."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ecolite_stream.bench.accuracy.calibrate import Calibration, calibrate
from ecolite_stream.engines import installed_engines, require_graphs
from ecolite_stream.engines.check import AGREES, check_apart
from ecolite_stream.errors import BundleError, ConfigError, EngineError
from ecolite_stream.model.bundle import (
    GOLDEN,
    Bundle,
    ModelSpec,
    read_bundle,
    write_description,
)
from ecolite_stream.model.golden import Golden
from ecolite_stream.model.preprocess import preprocess
from trainer.exporting.folders import replace_folder, require_replaceable
from trainer.teaching.head_graph import (
    Classifier,
    onnx_graphs,
    opened_without_classifier,
    with_classifier,
)
from trainer.teaching.held_out import HeldOut

SHARE = 0.9
"""How often a label is right at its threshold."""

_log = logging.getLogger(__name__)


def taught_spec(
    bundle: Bundle, labels: Sequence[str], framing: str, facts: Mapping[str, Any]
) -> ModelSpec:
    """The description of a bundle with other labels, not calibrated yet.

    Args:
        bundle: that was taught.
        labels: of the new classifier.
        framing: that the features were made with.
        facts: about the teaching; plain containers.
    """
    spec = bundle.spec
    return dataclasses.replace(
        spec,
        labels=tuple(labels),
        preprocessing=dataclasses.replace(spec.preprocessing, framing=framing),
        temperature=1.0,
        thresholds={},
        energy_bound=None,
        training={"taught": {"from_bundle": bundle.digest, **facts}},
        scores={},
    )


def fit_calibration(spec: ModelSpec, held_out: HeldOut, share: float = SHARE) -> Calibration | None:
    """Temperature and thresholds that fit held-out clips; None where those do not determine them.

    Args:
        spec: a description that is not calibrated, with the labels of the clips.
        held_out: the clips.
        share: how often a label is right at its threshold.
    """
    if not held_out.total:
        return None
    try:
        return calibrate(held_out.samples, spec, share, held_out.half_full)
    except ConfigError as error:
        _log.warning("scores are not calibrated: %s", error)
        return None


def write_taught(bundle: Bundle, spec: ModelSpec, classifier: Classifier, folder: Path) -> Bundle:
    """Write a taught bundle, check it on every engine that can run it, then put it in its place.

    It has ONNX graphs alone: the MindIR of the old bundle holds the old classifier.

    Args:
        bundle: that was taught; it may lie in `folder`.
        spec: the new description.
        classifier: fitted on pooled features.
        folder: a bundle that is there is replaced, whole or not at all.

    Raises:
        BundleError: the folder holds something other than a bundle, or cannot be written.
        EngineError: an engine disagrees with the classifier.
    """
    require_replaceable(folder)
    encoder, head = onnx_graphs(bundle)
    golden = _golden(bundle, spec, classifier)
    with _checked_draft(folder) as draft:
        shutil.copyfile(bundle.file(encoder.file), draft / encoder.file)
        (draft / head.file).write_bytes(with_classifier(bundle, classifier))
        np.savez_compressed(draft / GOLDEN, **dataclasses.asdict(golden))
        write_description(draft, spec, [encoder, head], [GOLDEN])
    return read_bundle(folder)


def write_described(bundle: Bundle, spec: ModelSpec, folder: Path) -> Bundle:
    """Write a copy of a bundle with another description, checked like `write_taught`.

    Raises:
        BundleError: the folder holds something other than a bundle, or cannot be written.
        EngineError: an engine disagrees.
    """
    require_replaceable(folder)
    with _checked_draft(folder) as draft:
        for name in dict.fromkeys([*(graph.file for graph in bundle.graphs), *bundle.files]):
            shutil.copyfile(bundle.file(name), draft / name)
        write_description(draft, spec, bundle.graphs, bundle.files)
    return read_bundle(folder)


@contextmanager
def _checked_draft(folder: Path) -> Iterator[Path]:
    """An empty folder for a bundle, which replaces `folder` where all engines agree with it.

    Raises:
        BundleError: it cannot be written.
        EngineError: an engine disagrees.
    """
    try:
        parent = folder.resolve().parent
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".teach-") as scratch:
            draft = Path(scratch) / "bundle"
            draft.mkdir()
            yield draft
            _check_engines(read_bundle(draft))
            replace_folder(draft, folder)
    except OSError as error:
        raise BundleError(f"bundle {folder} cannot be written: {error}") from error


def engines_for(bundle: Bundle) -> list[str]:
    """Names of the installed engines that have a graph of the bundle to run."""
    able = []
    for name in installed_engines():
        try:
            require_graphs(name, bundle)
            able.append(name)
        except EngineError:
            continue
    return able


def _golden(bundle: Bundle, spec: ModelSpec, classifier: Classifier) -> Golden:
    """The old golden pictures, their features as the new framing has them, and the new logits."""
    images = bundle.golden().images
    inputs = np.stack([preprocess(image, spec.preprocessing) for image in images])
    with opened_without_classifier(bundle) as engine:
        features = engine.encode(inputs)
        pooled = engine.classify(features[None])
    return Golden(images, features, classifier.logits(pooled)[0])


def _check_engines(bundle: Bundle) -> None:
    """Run the golden numbers on every engine that can run the bundle.

    Raises:
        EngineError: one fails or disagrees.
    """
    outcomes = [check_apart(name, bundle) for name in engines_for(bundle)]
    if wrong := [outcome for outcome in outcomes if outcome.state != AGREES]:
        reasons = "; ".join(map(str, wrong))
        raise EngineError(f"{reasons}; the bundle was not written")
