"""A bundle with int8 graphs beside its own: calibrated, judged, written whole or not at all."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.engines import installed_engines, open_engine
from ecolite_stream.engines.check import AGREES, check_apart, open_checked
from ecolite_stream.errors import BundleError, ConfigError, EngineError, SourceError, one_line
from ecolite_stream.model.bundle import (
    CONV2D_ONLY_PARTS,
    GOLDEN_INT8,
    PARTS,
    Bundle,
    Graph,
    read_bundle,
    write_description,
)
from ecolite_stream.model.golden import Golden
from ecolite_stream.model.preprocess import preprocess
from ecolite_stream.model.sampling import evenly
from ecolite_stream.types import FloatArray
from trainer.data.parallel import bar_of
from trainer.exporting.folders import replace_folder, require_replaceable
from trainer.quantizing.graphs import ATTEMPTS, Kept, quantized
from trainer.quantizing.watching import watch

SAMPLES = 300
"""Most frames, and most windows, to calibrate with."""
AGREE = 0.995
"""Share of labels of held-out clips that must be those of float32."""
ENGINES = ("openvino", "onnxruntime")
"""Engines that run int8 graphs."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Agreement:
    """How often int8 gives the label of float32 on held-out clips.

    Attributes:
        layers: a key of `ATTEMPTS`.
        windows: number of labels.
        same: of them, those that agree.
        clips: number of held-out clips.
    """

    layers: str
    windows: int
    same: int
    clips: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.same / self.windows if self.windows else 0.0

    def __str__(self) -> str:
        return (
            f"{self.layers} in int8: {self.share:.2%} of {self.windows} labels of {self.clips} "
            "held-out clips agree"
        )


def quantize_bundle(
    bundle: Bundle,
    calibrate_on: Sequence[ClipFile],
    held_out: Sequence[ClipFile],
    folder: Path,
    least: float = AGREE,
) -> Iterator[Agreement]:
    """Add int8 graphs to a copy of a bundle; yield what each attempt came to.

    The last one agreed, and is in the folder.

    Args:
        bundle: the model.
        calibrate_on: clips that show the ranges of values.
        held_out: clips that judge.
        folder: the new bundle, which may be that of `bundle`.
        least: share of labels that must agree, 0 to 1.

    Raises:
        ConfigError: NNCF is not installed, or no clip can be used.
        BundleError: the folder cannot be written.
        EngineError: no attempt agrees often enough, or an engine failed.
    """
    require_replaceable(folder)
    graphs = [_source_graph(bundle, part) for part in PARTS]
    samples = _calibration(bundle, calibrate_on)
    found: list[Agreement] = []
    try:
        parent = folder.resolve().parent
        parent.mkdir(parents=True, exist_ok=True)
        for layers, kept in ATTEMPTS.items():
            with tempfile.TemporaryDirectory(dir=parent, prefix=".quantize-") as scratch:
                draft = Path(scratch) / "bundle"
                made = _draft(bundle, graphs, samples, kept, draft)
                found.append(_judge(bundle, made, held_out, layers))
                yield found[-1]
                if found[-1].share >= least:
                    _check_engines(made)
                    replace_folder(draft, folder)
                    return
    except OSError as error:
        raise BundleError(f"bundle {folder} cannot be written: {error}") from error
    best = max(found, key=lambda one: one.share)
    raise EngineError(
        f"int8 was not written: at best {best.share:.2%} of {best.windows} labels agree, "
        f"{least:.1%} are needed; calibrate on more clips, or stay with f32 or bf16"
    )


def _source_graph(bundle: Bundle, part: str) -> Graph:
    graph = bundle.graph(CONV2D_ONLY_PARTS[part], "onnx")
    if graph is None:
        raise BundleError(
            f"{bundle.path} has no {part} graph in ONNX with 2D convolutions; export it again, or "
            "run python -m trainer.export --add-2d"
        )
    return graph


def _calibration(bundle: Bundle, clips: Sequence[ClipFile]) -> tuple[FloatArray, FloatArray]:
    """Frames (K, 3, S, S) and windows (K, N, *feature_shape), spread over the clips."""
    images: list[FloatArray] = []
    windows: list[FloatArray] = []
    each = -(-SAMPLES // max(1, len(clips)))
    with closing(open_checked("auto", bundle)) as engine, bar_of("watching", len(clips)) as step:
        for clip in clips:
            try:
                watched = watch(clip.path, bundle.spec, [engine])
            except SourceError as error:
                _log.warning("left out %s: %s", clip.name, one_line(error))
            else:
                images += [watched.images[i] for i in evenly(len(watched.images), each)]
                windows += [watched.clips[i] for i in evenly(len(watched.clips), each)]
            step(1)
    if not windows:
        raise ConfigError("no clip can be used for calibration; see the warnings above")
    return (
        np.stack([images[i] for i in evenly(len(images), SAMPLES)]),
        np.stack([windows[i] for i in evenly(len(windows), SAMPLES)]),
    )


def _draft(
    bundle: Bundle,
    graphs: Sequence[Graph],
    samples: Sequence[FloatArray],
    kept: Sequence[Kept | None],
    draft: Path,
) -> Bundle:
    """Write a copy of the bundle with int8 graphs and their golden numbers."""
    draft.mkdir()
    others = [graph for graph in bundle.graphs if graph.precision != "int8"]
    files = [name for name in bundle.files if name != GOLDEN_INT8]
    for name in (*(graph.file for graph in others), *files):
        shutil.copyfile(bundle.file(name), draft / name)
    rows = []
    for graph, inputs, layers in zip(graphs, samples, kept, strict=True):
        if layers is None:
            continue
        name = f"{graph.part}_int8.onnx"
        (draft / name).write_bytes(quantized(bundle, graph, inputs, layers))
        rows.append(dataclasses.replace(graph, file=name, precision="int8"))
    made = write_description(draft, bundle.spec, [*others, *rows], files)
    golden = _golden(made)
    np.savez_compressed(draft / GOLDEN_INT8, **dataclasses.asdict(golden))
    write_description(draft, bundle.spec, [*others, *rows], [*files, GOLDEN_INT8])
    return read_bundle(draft)


def _golden(bundle: Bundle) -> Golden:
    """The golden images, and what the int8 graphs make of them."""
    images = bundle.golden().images
    inputs = np.stack([preprocess(image, bundle.spec.preprocessing) for image in images])
    with closing(open_engine("auto", bundle, precision="int8")) as engine:
        features = engine.encode(inputs)
        return Golden(images, features, engine.classify(features[None])[0])


def _judge(bundle: Bundle, made: Bundle, clips: Sequence[ClipFile], layers: str) -> Agreement:
    windows = same = used = 0
    with (
        closing(open_checked("auto", bundle)) as full,
        closing(open_checked("auto", made, precision="int8")) as small,
        bar_of("judging", len(clips)) as step,
    ):
        for clip in clips:
            try:
                expected, found = watch(clip.path, bundle.spec, [full, small]).labels
            except SourceError as error:
                _log.warning("left out %s: %s", clip.name, one_line(error))
            else:
                used += 1
                windows += len(expected)
                same += int((expected == found).sum())
            step(1)
    if not windows:
        raise ConfigError("no held-out clip can be used; see the warnings above")
    return Agreement(layers, windows, same, used)


def _check_engines(bundle: Bundle) -> None:
    """Run the golden numbers of int8 on every installed engine that can.

    Raises:
        EngineError: one fails or disagrees.
    """
    outcomes = [check_apart(name, bundle, precision="int8") for name in able_engines()]
    if wrong := [outcome for outcome in outcomes if outcome.state != AGREES]:
        reasons = "; ".join(map(str, wrong))
        raise EngineError(f"{reasons}; the bundle was not written")


def able_engines() -> list[str]:
    """Installed engines that run int8 graphs."""
    return [name for name in installed_engines() if name in ENGINES]
