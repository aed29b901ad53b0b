"""Score a checkpoint on labelled clips: loss, top-1 and top-5.

python -m trainer.evaluate CHECKPOINT --clips DIR
python -m trainer.evaluate CHECKPOINT --val_list FILE --data_path DIR
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ecolite_stream.app.entry import run
from ecolite_stream.app.extras import command_needs
from ecolite_stream.config.strict import check_above_zero
from ecolite_stream.datasets.labelled_clips import ClipFile
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import ModelSpec
from trainer.config.schema import CACHE_MB, TrainConfig
from trainer.data.budget import Budget
from trainer.data.clips import Clip, cut_windows
from trainer.data.dataset import labelled_files, used_files
from trainer.data.following import Following, follow_clips
from trainer.data.listed import check_clips, listed_clips, read_items
from trainer.data.lists import read_list
from trainer.data.loader import test_batches
from trainer.data.reading import Reading, read_clips, reading_side
from trainer.data.splits import split_clips

with command_needs("mindspore", "train", __name__):
    from trainer.loop.device import use_device
    from trainer.loop.scoring import Scores, evaluate
    from trainer.weights.checkpoint import Checkpoint, load_checkpoint, network_from


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--clips", multiple=True, help="Folder with <class>/<clip> files.")
@click.option("--val_list", type=click.Path(path_type=Path), help="List file in place of --clips.")
@click.option("--data_path", help="Folder that the list's paths are relative to. [the list's]")
@click.option("--rgb_prefix", default="", help="Prefix of the names of extracted frames.")
@click.option("--window", type=float, help="Score half-overlapping windows of this many seconds.")
@click.option("--only", default="", help="Only clips whose <class>/<file> contains this text.")
@click.option("--batch-size", default=8, show_default=True, type=click.IntRange(1))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--device", default="CPU", show_default=True, help="CPU, Ascend[:ID] or GPU[:ID].")
def main(
    checkpoint: Path,
    clips: tuple[str, ...],
    val_list: Path | None,
    data_path: str | None,
    rgb_prefix: str,
    window: float | None,
    only: str,
    batch_size: int,
    workers: int,
    device: str,
) -> None:
    """Score CHECKPOINT on every clip of a folder tree or a list, whole or in windows."""
    if bool(clips) == bool(val_list):
        raise ConfigError("expected either --clips or --val_list; give one of them")
    if data_path and not val_list:
        raise ConfigError("--data_path needs --val_list")
    if window is not None:
        check_above_zero("--window", window)
    use_device(device)
    loaded = load_checkpoint(checkpoint)
    spec = loaded.spec
    how = Reading(reading_side(spec.preprocessing), workers, Budget(CACHE_MB), rgb_prefix)
    if val_list:
        decoded = _read_listed(val_list, data_path, only, spec, how)
    else:
        files = [file for file in labelled_files(clips) if only in file.name]
        if not files:
            raise ConfigError(f"no clip's <class>/<file> contains {only!r}")
        decoded = _read_files(files, spec, how)
    print_scores(score_clips(loaded, decoded, window, batch_size, workers))


def print_scores(scores: Scores) -> None:
    """Print the published last line on stdout, the count on stderr."""
    click.echo(f"Total data: {scores.num_clips}", err=True)
    click.echo(str(scores))


def score_clips(
    checkpoint: Checkpoint, clips: list[Clip], window_s: float | None, batch_size: int, workers: int
) -> Scores:
    """Score every clip, whole or in windows of `window_s` seconds."""
    spec = checkpoint.spec
    clips = shown_live(clips, spec, workers)
    if window_s is not None:
        clips = [piece for clip in clips for piece in cut_windows(clip, window_s)]
    batches = test_batches(
        clips, spec.labels, spec.num_segments, spec.preprocessing, batch_size, workers
    )
    return evaluate(network_from(checkpoint), batches, batch_size)


def shown_live(clips: list[Clip], spec: ModelSpec, workers: int) -> list[Clip]:
    """The clips as a live stream of that framing shows them."""
    if spec.preprocessing.framing == "follow":
        live = Following(spec.preprocessing.short_side)
        variants = follow_clips(clips, live, Budget(CACHE_MB), workers)
        clips = [clip for found in variants for clip in found]
    return clips


def score_held_out(config: TrainConfig, checkpoint: Checkpoint) -> Scores:
    """Score a checkpoint on the clips that this configuration holds out.

    Raises:
        ConfigError: it holds out none, or the checkpoint lacks one of their classes.
        SourceError: a clip cannot be read.
    """
    clips = held_out_clips(config, checkpoint.spec)
    window_s = config.clip_seconds if config.augmentation.window_s else None
    return score_clips(checkpoint, clips, window_s, config.batch_size, config.data.workers)


def held_out_clips(config: TrainConfig, spec: ModelSpec) -> list[Clip]:
    """The clips that a training with this configuration holds out.

    Raises:
        ConfigError: it holds none out, or the model does not know their classes.
        SourceError: a clip cannot be read.
    """
    data = config.data
    how = Reading(
        reading_side(spec.preprocessing), data.workers, Budget(data.cache_mb), config.rgb_prefix
    )
    if config.val_list:
        return _read_listed(config.val_list, config.data_path, "", spec, how)
    if data.holds_clips_out:
        _, files = split_clips(used_files(data), data, config.seed)
        return _read_files(files, spec, how)
    raise ConfigError("no clips are held out; set val_list or data.split")


def _read_listed(
    path: Path, data_path: str | None, only: str, spec: ModelSpec, how: Reading
) -> list[Clip]:
    items = [item for item in read_list(path) if only in item.path]
    if not items:
        raise ConfigError(f"no path in {path} contains {only!r}")
    labels = dict(enumerate(spec.labels))
    check_clips(listed_clips(path, items, data_path, labels), how.workers, how.rgb_prefix)
    return read_items(path, items, data_path, labels, how)


def _read_files(files: Sequence[ClipFile], spec: ModelSpec, how: Reading) -> list[Clip]:
    unknown = sorted({file.label for file in files} - set(spec.labels))
    if unknown:
        raise ConfigError(
            f"the checkpoint has no class {', '.join(unknown)}; its classes: "
            f"{', '.join(spec.labels)}"
        )
    check_clips([file.path for file in files], how.workers)
    return read_clips(files, how.short_side, how.workers, how.budget)


if __name__ == "__main__":
    run(main)
