"""Train a network on a folder of clips.

python -m trainer.train --config configs/train/actions.yaml [--key value ...]
"""

from __future__ import annotations

import dataclasses
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import mindspore as ms
import numpy as np

from ecolite_stream.bundle import ModelSpec
from ecolite_stream.commands import run
from ecolite_stream.errors import ConfigError, EcoliteError
from trainer.checkpoint import load_parameters, parameters_of, save_checkpoint
from trainer.config import TrainConfig, load_train_config
from trainer.curves import Row, write_curves
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.loader import test_batches, training_batches
from trainer.device import use_device
from trainer.dropout import seed_dropout
from trainer.evaluate import Scores, evaluate
from trainer.files import remove_left_overs
from trainer.network import Network
from trainer.optimizer import build_optimizer, set_learning_rate
from trainer.pace import Pace
from trainer.schedule import Schedule
from trainer.start import make_network
from trainer.state import (
    STATE,
    TrainingState,
    load_state,
    plain_config,
    require_same_config,
    restore_optimizer,
    save_state,
    state_of_optimizer,
)
from trainer.step import AccumulatingStep, Step, frozen_norms, make_step

BEST, LAST = "best.ckpt", "last.ckpt"

_log = logging.getLogger(__name__)


def train(config: TrainConfig) -> Path:
    """Run a training; log lines go to stdout.

    Returns:
        Path of the best checkpoint: highest validation top-1, the later one where equal.

    Raises:
        ConfigError: the configuration asks for what cannot be done, or the output folder holds a
            training already.
        EngineError: the device cannot be used.
        EcoliteError: the loss stopped being a number.
    """
    state = None
    if config.resume:
        folder = run_folder(config.resume)
        state = load_state(folder / STATE)
        require_same_config(folder, state, config)
        config = dataclasses.replace(config, output=folder)
        remove_left_overs(folder)
    else:
        _require_unused(config.output)
    use_device(config.device_target)
    ms.set_seed(config.seed)
    dataset = load_dataset(config)
    click.echo(
        f"{len(dataset.training(epoch=1))} training windows an epoch, "
        f"{len(dataset.validation)} to validate on, {len(dataset.labels)} classes",
        err=True,
    )
    fresh = dataclasses.replace(config, init_checkpoint=None) if state else config
    training = Run(config, dataset, make_network(fresh, dataset.labels))
    if state:
        training.restore(state)
    return training.fit()


def run_folder(resume: Path) -> Path:
    """The folder of a run that is named by itself or by a checkpoint in it."""
    return resume.parent if resume.suffix == ".ckpt" else resume


def _require_unused(output: Path) -> None:
    if any((output / name).exists() for name in (BEST, LAST, STATE)):
        raise ConfigError(
            f"{output} holds a training already; go on with --resume {output}, name another "
            "--output, or remove it"
        )


class Run:
    """One training run: epochs of steps, validation and checkpoints in `config.output`."""

    def __init__(self, config: TrainConfig, dataset: Dataset, network: Network) -> None:
        self.config = config
        self.dataset = dataset
        self.network = network
        self.names = set(parameters_of(network))  # before dropout's masks join them
        self.dropouts = seed_dropout(network, config.batch_size, config.num_segments)
        self.frozen = [] if config.no_partialbn else frozen_norms(network)
        self.optimizer = build_optimizer(
            network, config.lr, config.momentum, config.nesterov, config.weight_decay
        )
        how = (network, self.optimizer, config.clip_gradient, config.label_smoothing)
        self.accumulating = (
            AccumulatingStep(*how, config.iter_size) if config.iter_size > 1 else None
        )
        self.step: Step = self.accumulating or make_step(*how)
        self.steps_per_epoch = max(1, len(dataset.training(epoch=1)) // config.batch_size)
        self.schedule = Schedule(config, config.epochs * self.steps_per_epoch)
        self.pace = Pace()
        self.epochs_done = 0
        self.best_top1 = -1.0
        self.curves: list[Row] = []

    def restore(self, state: TrainingState) -> None:
        """Go on after the epoch of `state`, whose checkpoints are written again.

        Raises:
            ConfigError: the clips are others.
            BundleError: the state does not fit.
        """
        output = self.config.output
        if (state.spec.labels, state.steps_per_epoch) != (
            self.dataset.labels,
            self.steps_per_epoch,
        ):
            raise ConfigError(
                f"the clips are not those that the training in {output} began with: expected "
                f"{len(state.spec.labels)} classes and {state.steps_per_epoch} steps an epoch, got "
                f"{len(self.dataset.labels)} and {self.steps_per_epoch}; bring them back, or start "
                "another training without --resume"
            )
        own = dict(self.network.parameters_and_names())
        masks = {name: p.asnumpy() for name, p in own.items() if name not in self.names}
        load_parameters(self.network, {**state.network, **masks})
        restore_optimizer(self.optimizer, state.optimizer, output / STATE)
        self.schedule.restore(state.schedule)
        self.epochs_done, self.best_top1 = state.epoch, state.best_top1
        self.curves = list(state.curves)
        self._write(state)
        click.echo(f"{output}: {state.epoch} of {self.config.epochs} epochs are done", err=True)

    def fit(self) -> Path:
        """Train the epochs that are left; returns the path of the best checkpoint."""
        output = self.config.output
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"output folder {output} cannot be made: {error}") from error
        left = range(self.epochs_done + 1, self.config.epochs + 1)
        with _progress(len(left) * self.steps_per_epoch) as advance:
            for epoch in left:
                begun_s = time.monotonic()
                loss = self._train_epoch(epoch, advance)
                lr = self.schedule.rate(epoch * self.steps_per_epoch - 1)
                scores = self._validate(epoch)
                self._add_to_curves(epoch, loss, scores, lr, time.monotonic() - begun_s)
                self._end_epoch(epoch, scores)
        return output / BEST

    def _add_to_curves(
        self, epoch: int, loss: float, scores: Scores | None, lr: float, seconds: float
    ) -> None:
        row = {"epoch": epoch, "loss": loss, "lr": lr, "seconds": round(seconds, 1)}
        validated = (scores.loss, scores.top1, scores.top5) if scores else (None, None, None)
        names = ("validation_loss", "top1", "top5")
        self.curves.append({**row, **dict(zip(names, validated, strict=True))})

    def _end_epoch(self, epoch: int, scores: Scores | None) -> None:
        """Keep all of it on disk; the state first, for what is missing after it can be redone."""
        is_best = scores.top1 >= self.best_top1 if scores else not self.dataset.validation
        self.best_top1 = scores.top1 if scores and is_best else self.best_top1
        everything = parameters_of(self.network)
        state = TrainingState(
            config=plain_config(self.config),
            spec=self._spec(epoch, scores),
            epoch=epoch,
            best_top1=self.best_top1,
            is_best=is_best,
            steps_per_epoch=self.steps_per_epoch,
            schedule=self.schedule.state(),
            curves=tuple(self.curves),
            network={name: everything[name] for name in everything if name in self.names},
            optimizer=state_of_optimizer(self.optimizer),
        )
        save_state(self.config.output / STATE, state)
        self._write(state)

    def _write(self, state: TrainingState) -> None:
        output = self.config.output
        save_checkpoint(output / LAST, state.network, state.spec)
        if state.is_best:
            save_checkpoint(output / BEST, state.network, state.spec)
        write_curves(output, state.curves)

    def _train_epoch(self, epoch: int, advance: Callable[[int], None]) -> float:
        """One epoch of steps; returns their mean loss."""
        config, losses = self.config, []
        self.network.set_train(True)
        for norm in self.frozen:
            norm.set_train(False)
        batches = training_batches(
            self.dataset.training(epoch),
            self.dataset.labels,
            config.num_segments,
            config.preprocessing,
            config.augmentation,
            config.batch_size,
            (config.seed, epoch),
            config.data.workers,
        )
        for number, batch in enumerate(batches, start=1):
            done = (epoch - 1) * self.steps_per_epoch + number - 1
            set_learning_rate(self.optimizer, self.schedule.rate(done))
            for place, dropout in enumerate(self.dropouts):
                dropout.draw(np.random.default_rng((config.seed, epoch, number, place)))
            begun_s = time.monotonic()
            loss = float(self.step(ms.Tensor(batch.inputs), ms.Tensor(batch.labels)))
            if warning := self.pace.step(time.monotonic() - begun_s):
                _log.warning(warning)
            click.echo(f"epoch: {epoch} step: {number}, loss is {loss:.7f}")
            self._check(loss, f"epoch {epoch}, step {number}")
            losses.append(loss)
            advance(1)
        if self.accumulating:
            self.accumulating.flush()
        return sum(losses) / len(losses)

    def _check(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            last = self.config.output / LAST
            kept = f"the last good checkpoint is {last}; " if last.exists() else ""
            raise EcoliteError(
                f"the loss is {loss} at {where}; {kept}try a lower lr than {self.config.lr}, or "
                "clip_gradient"
            )

    def _validate(self, epoch: int) -> Scores | None:
        config = self.config
        due = epoch % config.eval_freq == 0 or epoch == config.epochs
        if not self.dataset.validation or not due:
            return None
        batches = test_batches(
            self.dataset.validation,
            self.dataset.labels,
            config.num_segments,
            config.preprocessing,
            config.batch_size,
            config.data.workers,
        )
        scores = evaluate(self.network, batches, config.batch_size)
        self._check(scores.loss, f"epoch {epoch}, validation")
        self.schedule.end_epoch(scores.top1)
        click.echo(f"epoch: {epoch} validation: {scores}")
        return scores

    def _spec(self, epoch: int, scores: Scores | None) -> ModelSpec:
        config = self.config
        return ModelSpec(
            architecture=config.arch,
            width=config.width,
            num_segments=config.num_segments,
            feature_shape=self.network.feature_shape,
            labels=self.dataset.labels,
            clip_seconds=config.clip_seconds,
            preprocessing=config.preprocessing,
            training={
                "config": plain_config(config),
                "windows_per_epoch": len(self.dataset.training(epoch)),
                "epoch": epoch,
                "minutes": round(sum(row["seconds"] or 0 for row in self.curves) / 60, 1),
                "mindspore": ms.__version__,
            },
            scores={"validation": dataclasses.asdict(scores)} if scores else {},
        )


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, where that is a terminal and the log lines go elsewhere."""
    hidden = not sys.stderr.isatty() or sys.stdout.isatty()
    bar = click.progressbar(length=steps, label="training", file=sys.stderr, hidden=hidden)
    with bar:
        yield bar.update


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--config",
    "configs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="YAML file; see configs/train.",
)
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, metavar="[--KEY VALUE]...")
def main(configs: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """Train a network on clips; any key of the configuration can be given as --KEY VALUE."""
    if len(configs) > 1:
        raise ConfigError(f"--config is there {len(configs)} times; give it once")
    best = train(load_train_config(configs[0] if configs else None, overrides))
    click.echo(f"best checkpoint: {best}", err=True)


if __name__ == "__main__":
    run(main)
