"""One training run: epochs of steps, validation and checkpoints."""

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
import mindspore.nn as nn
import numpy as np

from ecolite_stream.errors import ConfigError, EcoliteError
from ecolite_stream.model.bundle import ModelSpec
from trainer.config.schema import TrainConfig
from trainer.data.dataset import Dataset
from trainer.data.loader import test_batches, training_batches
from trainer.loop.curves import Row, write_curves
from trainer.loop.distributed import ALONE, Group, average_statistics
from trainer.loop.dropout import seed_dropout
from trainer.loop.optimizer import build_optimizer, set_learning_rate
from trainer.loop.pace import Pace, Waiting
from trainer.loop.precision import loss_scaler, restore_scaler, state_of_scaler, use_mixed_precision
from trainer.loop.schedule import Schedule
from trainer.loop.scoring import Scores, combine, evaluate
from trainer.loop.state import (
    STATE,
    TrainingState,
    plain_config,
    restore_optimizer,
    save_state,
    state_of_optimizer,
)
from trainer.loop.step import AccumulatingStep, Rules, Step, frozen_norms, make_step
from trainer.network import Network
from trainer.weights.checkpoint import load_parameters, parameters_of, save_checkpoint

BEST, LAST = "best.ckpt", "last.ckpt"

_log = logging.getLogger(__name__)


class Run:
    """One training run: epochs of steps, validation and checkpoints in `config.output`."""

    def __init__(
        self, config: TrainConfig, dataset: Dataset, network: Network, group: Group = ALONE
    ) -> None:
        self.config = config
        self.group = group
        self.dataset = dataset
        self.network = network
        self.names = set(parameters_of(network))  # before dropout's masks are added
        self.dropouts = seed_dropout(network, config.batch_size, config.num_segments)
        self.frozen = self._freeze()
        if config.precision == "mixed":
            use_mixed_precision(network)
        self.optimizer = build_optimizer(
            network, config.lr, config.momentum, config.nesterov, config.weight_decay
        )
        self.scaler = loss_scaler(config.precision)
        rules = Rules(config.clip_gradient, config.label_smoothing, group, self.scaler)
        how = (network, self.optimizer, rules)
        self.accumulating = (
            AccumulatingStep(*how, config.iter_size) if config.iter_size > 1 else None
        )
        self.step: Step = self.accumulating or make_step(*how)
        windows, together = len(dataset.training(epoch=1)), config.batch_size * group.size
        if group.size > 1 and windows < together:
            raise ConfigError(
                f"{windows} training windows are fewer than one batch of {group.size} processes, "
                f"{together}; lower batch_size"
            )
        self.steps_per_epoch = max(1, windows // together)
        self.schedule = Schedule(config, config.epochs * self.steps_per_epoch)
        self.pace = Pace()
        self.waited_s = 0.0  # for clips, in the last epoch
        self.epochs_done = 0
        self.best_top1 = -1.0
        self.curves: list[Row] = []
        self._spec(1, None)  # raise now what a checkpoint would refuse after an epoch

    def _freeze(self) -> list[nn.Cell]:
        """The frozen batch norms."""
        if self.config.freeze_bn:
            return frozen_norms(self.network, kept=0)
        return [] if self.config.no_partialbn else frozen_norms(self.network)

    def restore(self, state: TrainingState) -> None:
        """Continue after the epoch of `state`; its checkpoints are written again.

        Raises:
            ConfigError: the clips differ.
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
        restore_scaler(self.scaler, state.scaler)
        self.schedule.restore(state.schedule)
        self.epochs_done, self.best_top1 = state.epoch, state.best_top1
        self.curves = list(state.curves)
        self._write(state)
        click.echo(f"{output}: {state.epoch} of {self.config.epochs} epochs are done", err=True)
        if state.epoch >= self.config.epochs:
            click.echo("nothing is left to train; raise --epochs to train longer", err=True)

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
        row["waited_s"] = round(self.waited_s, 1)
        validated = (scores.loss, scores.top1, scores.top5) if scores else (None, None, None)
        names = ("validation_loss", "top1", "top5")
        self.curves.append({**row, **dict(zip(names, validated, strict=True))})

    def _end_epoch(self, epoch: int, scores: Scores | None) -> None:
        """Save the state, then what can be redone from it: checkpoints and curves."""
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
            scaler=state_of_scaler(self.scaler),
            curves=tuple(self.curves),
            network={name: everything[name] for name in everything if name in self.names},
            optimizer=state_of_optimizer(self.optimizer),
        )
        if self.group.is_first:
            save_state(self.config.output / STATE, state)
        self._write(state)

    def _write(self, state: TrainingState) -> None:
        if not self.group.is_first:
            return
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
            (self.group.rank, self.group.size),
        )
        waiting, epoch_begun_s = Waiting(), time.monotonic()
        for number, batch in enumerate(waiting.over(batches), start=1):
            done = (epoch - 1) * self.steps_per_epoch + number - 1
            set_learning_rate(self.optimizer, self.schedule.rate(done))
            for place, dropout in enumerate(self.dropouts):
                rng = np.random.default_rng((config.seed, epoch, number, place))
                dropout.draw(rng, self.group)
            begun_s = time.monotonic()
            loss = float(self.step(ms.Tensor(batch.inputs), ms.Tensor(batch.labels)))
            if warning := self.pace.step(time.monotonic() - begun_s):
                _log.warning(warning)
            self._tell(f"epoch: {epoch} step: {number}, loss is {loss:.7f}")
            self._check(loss, f"epoch {epoch}, step {number}")
            losses.append(loss)
            advance(1)
        if self.accumulating:
            self.accumulating.flush()
        average_statistics(self.network, self.group)
        took_s = time.monotonic() - epoch_begun_s
        click.echo(
            f"epoch {epoch}: waited for clips {waiting.seconds:.1f} s of {took_s:.1f} s, "
            f"{100 * waiting.seconds / took_s:.1f} %",
            err=True,
        )
        self.waited_s = waiting.seconds
        return sum(losses) / len(losses)

    def _tell(self, line: str) -> None:
        if self.group.is_first:
            click.echo(line)

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
            self.dataset.validation[self.group.rank :: self.group.size],
            self.dataset.labels,
            config.num_segments,
            config.preprocessing,
            config.batch_size,
            config.data.workers,
        )
        scores = combine(evaluate(self.network, batches, config.batch_size), self.group)
        self._check(scores.loss, f"epoch {epoch}, validation")
        self.schedule.end_epoch(scores.top1)
        self._tell(f"epoch: {epoch} validation: {scores}")
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
    """A progress bar on stderr, if that is a terminal and stdout is not."""
    hidden = not sys.stderr.isatty() or sys.stdout.isatty()
    bar = click.progressbar(length=steps, label="training", file=sys.stderr, hidden=hidden)
    with bar:
        yield bar.update
