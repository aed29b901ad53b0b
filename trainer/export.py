"""Export a checkpoint as a bundle: the folder that `ecolite-stream` runs.

python -m trainer.export CHECKPOINT --bundle DIR
python -m trainer.export CHECKPOINT --file_format MINDIR|ONNX|AIR --file_name NAME  one file
python -m trainer.export --untrained --num-segments 16 --bundle DIR      to measure speed
python -m trainer.export --add-2d --bundle DIR      give an older bundle ONNX without Conv3D
--mindspore-2d adds the head in the form that MindSpore runs fastest at full width. If the
training's held-out clips are present, a bound of known inputs is fitted, as in
ecolite-bench calibrate.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from ecolite_stream.app.extras import command_needs

with command_needs("mindspore", "train", __name__):
    import mindspore as ms
    import mindspore.nn as nn

from ecolite_stream.app.entry import run
from ecolite_stream.engines import installed_engines
from ecolite_stream.engines.check import AGREES, Check, check_apart
from ecolite_stream.errors import BundleError, ConfigError, EngineError, SourceError, one_line
from ecolite_stream.model.bundle import (
    EXPORTED,
    GOLDEN,
    Bundle,
    Graph,
    ModelSpec,
    read_bundle,
    write_description,
)
from ecolite_stream.model.golden import Golden
from ecolite_stream.model.preprocess import Preprocessing, preprocess
from trainer.exporting.bound import fit_held_out_bound, fit_placed_bound
from trainer.exporting.deploy import (
    CONV2D_ONLY,
    CONV2D_ONLY_MINDSPORE,
    TOLERANCE,
    export_conv2d_only,
    export_graph,
    with_conv2d_only,
)
from trainer.exporting.export_whole import FORMATS, export_whole, format_of
from trainer.exporting.folders import replace_folder, require_replaceable
from trainer.loop.device import use_device
from trainer.network import Network, NetworkConfig, build_network
from trainer.network.trimmed import trim_taps
from trainer.weights.checkpoint import (
    CLIP_SECONDS,
    Checkpoint,
    load_checkpoint,
    network_from,
    parameters_of,
)


def export_bundle(
    checkpoint: Checkpoint, folder: Path, conv2d_only: Sequence[Graph] = CONV2D_ONLY
) -> Bundle:
    """Write a bundle, check it on every installed engine, then move it to its place.

    An existing bundle is replaced; anything else is left alone.

    Args:
        checkpoint: the model.
        folder: the bundle.
        conv2d_only: graphs with 2D convolutions only to include.

    Raises:
        BundleError: the folder holds something other than a bundle, or cannot be written.
        EngineError: an engine disagrees with the checkpoint.
    """
    require_replaceable(folder)
    network = network_from(checkpoint)
    spec = dataclasses.replace(checkpoint.spec, training=shareable(checkpoint.spec.training))
    golden = make_golden(network, spec)
    try:
        parent = folder.resolve().parent
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".export-") as scratch:
            draft = Path(scratch) / "bundle"
            draft.mkdir()
            export_graphs(network, spec, draft)
            np.savez_compressed(draft / GOLDEN, **dataclasses.asdict(golden))
            export_conv2d_only(Checkpoint(spec, checkpoint.parameters), golden, draft, conv2d_only)
            open_to_readers(draft)
            ordinary = [graph for graph in EXPORTED if graph not in CONV2D_ONLY]
            if CONV2D_ONLY_MINDSPORE in conv2d_only:  # beside it no engine runs the ordinary head
                check_engines(write_description(draft, spec, [*ordinary, *CONV2D_ONLY], [GOLDEN]))
            write_description(draft, spec, [*ordinary, *conv2d_only], [GOLDEN])
            written = read_bundle(draft)
            check_engines(written)
            replace_folder(draft, folder)
    except OSError as error:
        raise BundleError(f"bundle {folder} cannot be written: {error}") from error
    return read_bundle(folder)


def add_conv2d_only(folder: Path, conv2d_only: Sequence[Graph] = CONV2D_ONLY) -> Bundle:
    """Add ONNX with 2D convolutions only to a bundle, whole or not at all; see `with_conv2d_only`.

    Raises:
        BundleError: the bundle is missing, has no weights or cannot be written.
        EngineError: the new graphs compute something else.
    """
    bundle = read_bundle(folder)
    try:
        with tempfile.TemporaryDirectory(dir=folder.resolve().parent, prefix=".export-") as scratch:
            draft = Path(scratch) / "bundle"
            draft.mkdir()
            check_engines(with_conv2d_only(bundle, draft, conv2d_only))
            open_to_readers(draft)
            replace_folder(draft, folder)
    except OSError as error:
        raise BundleError(f"bundle {folder} cannot be written: {error}") from error
    return read_bundle(folder)


def shareable(facts: Any) -> Any:
    """Training facts with absolute paths reduced to names."""
    if isinstance(facts, Mapping):
        kept = ("split_pattern",)  # no path, even if it starts like one
        return {k: value if k in kept else shareable(value) for k, value in facts.items()}
    if isinstance(facts, list | tuple):
        return [shareable(value) for value in facts]
    return Path(facts).name if isinstance(facts, str) and Path(facts).is_absolute() else facts


def export_graphs(network: Network, spec: ModelSpec, folder: Path) -> None:
    """Write encoder and head as MindIR for any batch size, without taps that no segment reaches."""
    trim_taps(network, spec.num_segments)
    size = spec.preprocessing.image_size
    shapes = {"encoder": (3, size, size), "head": (spec.num_segments, *spec.feature_shape)}
    for name, shape in shapes.items():
        part: nn.Cell = getattr(network, name)
        part.set_train(False)
        many = ms.Tensor(shape=[None, *shape], dtype=ms.float32)
        export_graph(part, many, folder / f"{name}.mindir", "MINDIR")


def open_to_readers(folder: Path) -> None:
    """Undo MindSpore's modes: folders private to their owner, files read-only."""
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o644)


def make_golden(network: Network, spec: ModelSpec) -> Golden:
    """An input of smooth moving colours, with the network's features and logits."""
    images = golden_images(spec.num_segments, spec.preprocessing.image_size)
    inputs = np.stack([preprocess(image, spec.preprocessing) for image in images])
    features = network.encoder(ms.Tensor(inputs))
    logits = network.head(features.reshape((1, *features.shape)))
    return Golden(images, features.asnumpy(), logits.asnumpy()[0])


def golden_images(num_segments: int, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(N, H, W, 3) uint8: a blob that crosses a gradient; 4:3, so that framing is exercised."""
    height, width = size, size * 4 // 3
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    images = []
    for segment in range(num_segments):
        centre_x = width * (segment + 0.5) / num_segments
        blob = np.exp(-((x - centre_x) ** 2 + (y - height / 2) ** 2) / (size / 4) ** 2)
        channels = [255 * blob, 255 * x / width, 255 * y / height]
        images.append(np.stack(channels, axis=-1).astype(np.uint8))
    return np.stack(images)


def check_engines(bundle: Bundle) -> list[Check]:
    """Run the bundle's golden input on every installed engine, each in its own process.

    The state and device of MindSpore in this process then do not matter.

    Raises:
        EngineError: an engine fails, or its features or logits are off by more than `TOLERANCE`.
    """
    outcomes = [check_apart(name, bundle) for name in installed_engines()]
    if wrong := [outcome for outcome in outcomes if outcome.state != AGREES]:
        reasons = "; ".join(map(str, wrong))
        raise EngineError(f"{reasons}; the bundle was not written")
    checks = [outcome.check for outcome in outcomes if outcome.check]
    for check in checks:
        error = max(check.feature_error, check.logit_error)
        if not error <= TOLERANCE:
            raise EngineError(
                f"engine {check.name} is off by {error:.1e}, export allows {TOLERANCE:.0e}"
                "; the bundle was not written"
            )
    return checks


def with_bound(checkpoint: Checkpoint, placed: bool = False) -> Checkpoint:
    """The checkpoint with a bound of what it knows, if one can be fitted.

    Args:
        checkpoint: what has a bound keeps it.
        placed: fit the bound to the training's clips, placed at half size, not to held-out ones.
    """
    if checkpoint.spec.energy_bound is not None:
        return checkpoint
    try:
        fitted = fit_placed_bound(checkpoint) if placed else fit_held_out_bound(checkpoint)
    except (ConfigError, SourceError) as error:
        click.echo(
            f"no bound of what is known: {one_line(error)}; ecolite-bench calibrate fits one",
            err=True,
        )
        return checkpoint
    click.echo(str(fitted), err=True)
    return fitted.applied(checkpoint)


def untrained(config: NetworkConfig, seed: int = 0) -> Checkpoint:
    """Random weights, to measure speed: as fast as a trained network."""
    ms.set_seed(seed)
    network = build_network(config)
    spec = ModelSpec(
        architecture=config.architecture,
        width=config.width,
        num_segments=config.num_segments,
        feature_shape=network.feature_shape,
        labels=tuple(f"class_{i:03d}" for i in range(config.num_classes)),
        clip_seconds=CLIP_SECONDS,
        preprocessing=Preprocessing(image_size=config.image_size),
        training={"untrained": True, "seed": seed},
    )
    return Checkpoint(spec, parameters_of(network))


@click.command()
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.option("--checkpoint_path", type=click.Path(path_type=Path), help="Same as CHECKPOINT.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Bundle folder to write.")
@click.option(
    "--file_format",
    type=click.Choice(FORMATS, case_sensitive=False),
    help="Format of the single file. [by its suffix, else MINDIR]",
)
@click.option("--file_name", type=click.Path(path_type=Path), help="Of --file_format.")
@click.option(
    "--untrained", "is_untrained", is_flag=True, help="Export random weights, without a CHECKPOINT."
)
@click.option("--add-2d", is_flag=True, help="Add ONNX without Conv3D to an older bundle.")
@click.option(
    "--mindspore-2d",
    is_flag=True,
    help="Also export the head without Conv3D for MindSpore; larger.",
)
@click.option(
    "--placed-bound",
    is_flag=True,
    help="Fit the bound of what is known to the training's clips, small in a larger picture.",
)
@click.option("--num-segments", default=4, show_default=True, help="N of --untrained.")
@click.option("--width", default=1.0, show_default=True, help="Of --untrained.")
@click.option("--image-size", default=224, show_default=True, help="Of --untrained, in pixels.")
@click.option("--classes", default=101, show_default=True, help="Of --untrained.")
@click.option(
    "--device", help="Device that runs the checkpoint: cpu, ascend, ascend:0, gpu:0. [cpu]"
)
def main(
    checkpoint: Path | None,
    checkpoint_path: Path | None,
    bundle: Path | None,
    file_format: str | None,
    file_name: Path | None,
    is_untrained: bool,
    add_2d: bool,
    mindspore_2d: bool,
    placed_bound: bool,
    num_segments: int,
    width: float,
    image_size: int,
    classes: int,
    device: str | None,
) -> None:
    """Export CHECKPOINT as a bundle, checked on every installed engine, or as one file."""
    if checkpoint and checkpoint_path:
        raise click.UsageError("CHECKPOINT and --checkpoint_path are the same; give one of them")
    checkpoint = checkpoint or checkpoint_path
    if (checkpoint is not None) + is_untrained + add_2d != 1:
        raise click.UsageError("give one of CHECKPOINT, --untrained and --add-2d")
    if (bundle is None) == (file_name is None):
        raise click.UsageError("give either --bundle, or --file_name for one file")
    if file_format and not file_name:
        raise click.UsageError("--file_format needs --file_name")
    use_device(device or "cpu")
    config = NetworkConfig("eco_lite", num_segments, image_size, classes, width)
    if bundle is None:
        assert file_name is not None  # as checked
        if add_2d:
            raise click.UsageError("--add-2d needs --bundle")
        if mindspore_2d:
            raise click.UsageError("--mindspore-2d needs --bundle")
        chosen = load_checkpoint(checkpoint) if checkpoint else untrained(config)
        written_to = export_whole(chosen, file_format or format_of(file_name), file_name)
        click.echo(f"{written_to}: {written_to.stat().st_size / 1e6:.1f} MB", err=True)
        return
    conv2d_only = [*CONV2D_ONLY, CONV2D_ONLY_MINDSPORE] if mindspore_2d else CONV2D_ONLY
    if add_2d:
        written = add_conv2d_only(bundle, conv2d_only)
    elif checkpoint is None:
        written = export_bundle(untrained(config), bundle, conv2d_only)
    else:
        bounded = with_bound(load_checkpoint(checkpoint), placed_bound)
        written = export_bundle(bounded, bundle, conv2d_only)
    megabytes = sum(file.stat().st_size for file in bundle.iterdir()) / 1e6
    engines = ", ".join(installed_engines())
    summary = f"{megabytes:.1f} MB, agrees on {engines}; {written.digest[:12]}"
    click.echo(f"{bundle}: {summary}", err=True)


if __name__ == "__main__":
    run(main)
