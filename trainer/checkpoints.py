"""Import published checkpoints, or change our own, into a checkpoint or a bundle.

python -m trainer.checkpoints import SOURCE --out FILE.ckpt
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ecolite_stream.app.extras import command_needs

with command_needs("mindspore", "train", __name__):
    import mindspore as ms

from ecolite_stream.app.entry import run
from ecolite_stream.datasets.labels import KNOWN_LISTS, load_labels
from ecolite_stream.errors import BundleError, ConfigError
from ecolite_stream.model.bundle import ModelSpec, hash_file
from ecolite_stream.model.preprocess import Preprocessing
from ecolite_stream.types import FloatArray
from trainer.export import export_bundle
from trainer.network import Network
from trainer.weights.checkpoint import (
    CLIP_SECONDS,
    MODEL_SPEC,
    Checkpoint,
    build_from_spec,
    parameters_of,
    parse_spec,
    save_checkpoint,
)
from trainer.weights.published import (
    CLASSIFIER,
    Recognized,
    as_float32,
    recognize,
    require_fit,
)
from trainer.weights.reading import read_entries


@dataclass(frozen=True)
class ImportOptions:
    """Options that replace what a file says; None keeps it.

    Attributes:
        num_segments: N, which does not follow from the weights.
        image_size: S in pixels, likewise.
        labels: names of the classes.
        new_head: labels of a new classifier that replaces the file's.
        clip_seconds: seconds that the segments span.
        seed: of the new classifier.
    """

    num_segments: int | None = None
    image_size: int | None = None
    labels: tuple[str, ...] | None = None
    new_head: tuple[str, ...] | None = None
    clip_seconds: float | None = None
    seed: int = 0


def import_checkpoint(path: Path, options: ImportOptions | None = None) -> Checkpoint:
    """Read a checkpoint of ECO-pytorch, of the ModelZoo's ecolite or of this project.

    Raises:
        BundleError: the file is unreadable, unsafe, or not exactly one of these networks.
        ConfigError: the options do not fit the file.
    """
    options = options or ImportOptions()
    entries = read_entries(path)
    text = entries.pop(MODEL_SPEC, None)
    found = recognize(str(path), entries)
    spec = _published_spec(path, found) if text is None else parse_spec(path, text)
    spec = _with_options(path, spec, found, options)
    ms.set_seed(options.seed)
    network = build_from_spec(spec)
    spec = dataclasses.replace(spec, feature_shape=network.feature_shape)
    return Checkpoint(spec, _own_parameters(path, network, found, options.new_head is None))


def _own_parameters(
    path: Path, network: Network, found: Recognized, keep_head: bool
) -> dict[str, FloatArray]:
    """The file's parameters under our names; the network's own classifier unless it is kept."""
    parameters = parameters_of(network)
    theirs = {
        name: found.naming.name(name)
        for name in parameters
        if keep_head or not name.startswith(CLASSIFIER)
    }
    head = () if keep_head else {found.naming.name(f"{CLASSIFIER}.{x}") for x in ("weight", "bias")}
    entries = {name: value for name, value in found.entries.items() if name not in head}
    require_fit(
        f"{path} ({found.naming.origin}, {found.architecture})",
        {theirs[name]: parameters[name].shape for name in theirs},
        {name: value.shape for name, value in entries.items()},
        "only whole ECO-Lite and ECO-Full networks can be imported",
    )
    values = as_float32(str(path), entries)
    return parameters | {name: values[theirs[name]] for name in theirs}


def _published_spec(path: Path, found: Recognized) -> ModelSpec:
    """Describe a published checkpoint by its shapes and the published input."""
    return ModelSpec(
        architecture=found.architecture,
        width=found.width,
        num_segments=found.naming.num_segments,
        feature_shape=(1,),  # set once the network is built
        labels=default_labels(found.num_classes or 1),
        clip_seconds=CLIP_SECONDS,
        preprocessing=Preprocessing(),
        training={
            "imported_from": path.name,
            "origin": found.naming.origin,
            "sha256": hash_file(path),
        },
    )


def _with_options(
    path: Path, spec: ModelSpec, found: Recognized, options: ImportOptions
) -> ModelSpec:
    labels = options.labels or options.new_head or spec.labels
    num_classes = len(options.new_head) if options.new_head else found.num_classes
    if num_classes is None:
        raise BundleError(f"{path} has no classifier; make one with --new-head CLASSES")
    if len(labels) != num_classes:
        raise ConfigError(
            f"{len(labels)} labels for a classifier of {num_classes} classes; give the labels that "
            "the network was trained with, or make a new classifier with --new-head"
        )
    size = options.image_size or spec.preprocessing.image_size
    changed = dataclasses.replace(
        spec,
        num_segments=options.num_segments or spec.num_segments,
        labels=labels,
        clip_seconds=options.clip_seconds or spec.clip_seconds,
        preprocessing=dataclasses.replace(spec.preprocessing, image_size=size),
        thresholds={},
    )
    if changed == dataclasses.replace(spec, thresholds={}) and not options.new_head:
        return spec
    return dataclasses.replace(  # these belong to another model
        changed, temperature=1.0, energy_bound=None, scores={}
    )


def default_labels(num_classes: int) -> tuple[str, ...]:
    """The known list of that length (UCF101, HMDB51, Kinetics-400), else `class_000`, ..."""
    known = {len(labels): labels for labels in map(load_labels, KNOWN_LISTS)}
    return known.get(num_classes) or tuple(f"class_{i:03d}" for i in range(num_classes))


@click.group()
def main() -> None:
    """Work with checkpoint files."""


@main.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Checkpoint (.ckpt) to write.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Bundle folder to write.")
@click.option(
    "--num-segments", type=click.IntRange(1), help="N; published: 16 (ECO-pytorch), 4 (ModelZoo)."
)
@click.option(
    "--image-size", type=click.IntRange(1), help="Side of the input in pixels; published: 224."
)
@click.option("--labels", help="ucf101, hmdb51, kinetics400 or a file, one label a line.")
@click.option("--new-head", help="New classifier: a number of classes or, as above, labels.")
@click.option(
    "--clip-seconds",
    type=click.FloatRange(0, min_open=True),
    help=f"Seconds of a stream that N segments span; {CLIP_SECONDS:g} if the file has none.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the new classifier.")
def import_command(
    source: Path,
    out: Path | None,
    bundle: Path | None,
    labels: str | None,
    new_head: str | None,
    **options: Any,
) -> None:
    """Import SOURCE, a published checkpoint or one of this project, as a checkpoint or bundle.

    SOURCE: ECO-pytorch (.pth.tar, .pth, .pt), MindSpore ModelZoo's ecolite or ours (.ckpt), or
    any of their state dicts as .npz. Class names are guessed from the number of classes (101:
    UCF101, 51: HMDB51, 400: Kinetics-400); name them with --labels.
    """
    if out is None and bundle is None:
        raise click.UsageError("nothing to write; give --out FILE.ckpt or --bundle DIR")
    checkpoint = import_checkpoint(
        source,
        ImportOptions(
            labels=load_labels(labels) if labels else None,
            new_head=_head_labels(new_head) if new_head else None,
            **options,
        ),
    )
    if out is not None:
        save_checkpoint(out, checkpoint.parameters, checkpoint.spec)
        click.echo(f"wrote {out}", err=True)
    if bundle is not None:
        export_bundle(checkpoint, bundle)
        click.echo(f"wrote {bundle}", err=True)


def _head_labels(classes: str) -> tuple[str, ...]:
    if not classes.isdigit():
        return load_labels(classes)
    if int(classes) < 1:
        raise ConfigError("--new-head is 0; expected at least 1 class")
    return default_labels(int(classes))


if __name__ == "__main__":
    run(main)
