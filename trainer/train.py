"""Train a network on a folder of clips.

python -m trainer.train --config configs/train/actions.yaml [--key value ...]
python -m trainer.train --resume FOLDER       resume, with the saved configuration
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from pathlib import Path

import click

from ecolite_stream.app.extras import command_needs

with command_needs("mindspore", "train", __name__):
    import mindspore as ms

from ecolite_stream.app.entry import run
from ecolite_stream.errors import ConfigError
from trainer.config.load import load_train_config
from trainer.config.schema import TrainConfig
from trainer.data.dataset import load_dataset
from trainer.evaluate import print_scores, score_held_out
from trainer.loop.device import use_device
from trainer.loop.distributed import ALONE, Group, join_group
from trainer.loop.framing import with_chosen_framing, with_framing
from trainer.loop.run import BEST, LAST, Run
from trainer.loop.scoring import Scores
from trainer.loop.start import make_network
from trainer.loop.state import STATE, load_state, require_same_config
from trainer.platforms.modelarts import copy_in, copy_out
from trainer.weights.checkpoint import load_checkpoint
from trainer.weights.files import remove_left_overs


def train(config: TrainConfig) -> Path:
    """Run a training; log lines go to stdout.

    Returns:
        Path of the best checkpoint: highest validation top-1, the later one where equal.

    Raises:
        ConfigError: the configuration is impossible, or the output folder holds a training.
        EngineError: the device cannot be used.
        EcoliteError: the loss is NaN or infinite.
    """
    if config.modelarts.enable:
        config = copy_in(config)
    state = None
    if config.resume:
        folder = run_folder(config.resume)
        state = load_state(folder / STATE)
        if config.choose_framing:  # it was chosen when the training began
            config = with_framing(config, state.spec.preprocessing.framing)
        require_same_config(folder, state, config)
        config = dataclasses.replace(config, output=folder)
    else:
        _require_unused(config.output)
    group = _join(config)
    if state and group.is_first:
        remove_left_overs(config.output)
    ms.set_seed(config.seed)
    if config.choose_framing:
        config = with_chosen_framing(config)
    dataset = load_dataset(config)
    click.echo(
        f"{len(dataset.training(epoch=1))} training windows an epoch, "
        f"{len(dataset.validation)} to validate on, {len(dataset.labels)} classes",
        err=True,
    )
    fresh = dataclasses.replace(config, init_checkpoint=None) if state else config
    training = Run(config, dataset, make_network(fresh, dataset.labels), group)
    if state:
        training.restore(state)
    try:
        return training.fit()
    except KeyboardInterrupt:
        if group.is_first and (config.output / STATE).exists():
            click.echo(
                f"interrupted; resume with --resume {shlex.quote(str(config.output))}", err=True
            )
        raise
    finally:
        if config.modelarts.enable and group.is_first:
            copy_out(config)


def evaluate_only(config: TrainConfig) -> Scores:
    """Score the best checkpoint of `resume`, or `init_checkpoint`, on the held-out clips.

    Raises:
        ConfigError, BundleError, SourceError: as `score_held_out` and `load_checkpoint`.
    """
    if config.modelarts.enable:
        config = copy_in(config)
    path = run_folder(config.resume) / BEST if config.resume else config.init_checkpoint
    assert path is not None  # TrainConfig checks it
    use_device(_device(config))
    return score_held_out(config, load_checkpoint(path))


def _join(config: TrainConfig) -> Group:
    """Select the device, and join the other processes of a distributed training."""
    if not config.run_distribute:
        use_device(_device(config))
        return ALONE
    use_device(config.device_target)  # msrun sets the device id
    group = join_group()
    click.echo(f"worker {group.rank} of {group.size} is process {os.getpid()}", err=True)
    return group


def _device(config: TrainConfig) -> str:
    return config.device_target + (f":{config.device_id}" if config.device_id else "")


def run_folder(resume: Path) -> Path:
    """The folder of a run, given that folder or a checkpoint in it."""
    return resume.parent if resume.suffix == ".ckpt" else resume


def _require_unused(output: Path) -> None:
    if any((output / name).exists() for name in (BEST, LAST, STATE)):
        raise ConfigError(
            f"{output} holds a training; resume it with --resume {output}, name another "
            "--output, or remove it"
        )


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--config",
    "configs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="YAML file; see configs/train.",
)
@click.option(
    "--resume",
    multiple=True,
    metavar="FOLDER",
    help="Resume this run; without --config, use its saved configuration.",
)
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, metavar="[--KEY VALUE]...")
def main(configs: tuple[Path, ...], resume: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Train a network on clips; --KEY VALUE overrides any key of the configuration."""
    if len(configs) > 1:
        raise ConfigError(f"--config is given {len(configs)} times; give it once")
    base = None
    if resume and resume[0] and not configs:
        path = run_folder(Path(resume[0]).expanduser()) / STATE
        base = (str(path), load_state(path).config)
    for folder in resume:  # values are YAML, which JSON is
        overrides = (*overrides, "--resume", json.dumps(folder, ensure_ascii=False))
    config = load_train_config(configs[0] if configs else None, overrides, base)
    if config.evaluate:
        print_scores(evaluate_only(config))
        return
    best = train(config)
    click.echo(f"best checkpoint: {best}", err=True)


if __name__ == "__main__":
    run(main)
