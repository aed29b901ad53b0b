"""Train a network on a folder of clips.

python -m trainer.train --config configs/train/actions.yaml [--key value ...]
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import mindspore as ms
import mindspore.ops as ops

from ecolite_stream.bundle import ModelSpec
from ecolite_stream.commands import run
from ecolite_stream.errors import ConfigError, EcoliteError
from trainer.checkpoint import save_checkpoint
from trainer.config import TrainConfig, load_train_config
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.loader import test_batches, training_batches
from trainer.device import use_device
from trainer.evaluate import Scores, evaluate
from trainer.network import Network
from trainer.optimizer import build_optimizer, set_learning_rate
from trainer.pace import Pace
from trainer.schedule import Schedule
from trainer.start import make_network

BEST, LAST = "best.ckpt", "last.ckpt"

_log = logging.getLogger(__name__)

Step = Callable[[ms.Tensor, ms.Tensor], ms.Tensor]


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
    _require_unused(config.output)
    use_device(config.device_target)
    ms.set_seed(config.seed)
    dataset = load_dataset(config)
    click.echo(
        f"{len(dataset.training(epoch=1))} training windows an epoch, "
        f"{len(dataset.validation)} to validate on, {len(dataset.labels)} classes",
        err=True,
    )
    network = make_network(config, dataset.labels)
    return Run(config, dataset, network).fit()


def _require_unused(output: Path) -> None:
    if any((output / name).exists() for name in (BEST, LAST)):
        raise ConfigError(f"{output} holds a training already; name another --output, or remove it")


def make_step(network: Network, optimizer: ms.nn.Optimizer, config: TrainConfig) -> Step:
    """The compiled training step: inputs (B, N, 3, S, S) and labels (B,) -> mean loss."""
    clip_norm = config.clip_gradient
    smoothing = config.label_smoothing

    def loss_of(inputs: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        return ops.cross_entropy(network(inputs), labels, label_smoothing=smoothing)

    loss_and_gradients = ms.value_and_grad(loss_of, None, optimizer.parameters)

    @ms.jit  # type: ignore[untyped-decorator, unused-ignore]
    def step(inputs: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        loss, gradients = loss_and_gradients(inputs, labels)
        if clip_norm is not None:
            gradients = ops.clip_by_global_norm(gradients, clip_norm)
        optimizer(gradients)
        return loss

    return step  # type: ignore[no-any-return, unused-ignore]


class Run:
    """One training run: epochs of steps, validation and checkpoints in `config.output`."""

    def __init__(self, config: TrainConfig, dataset: Dataset, network: Network) -> None:
        self.config = config
        self.dataset = dataset
        self.network = network
        self.optimizer = build_optimizer(
            network, config.lr, config.momentum, config.nesterov, config.weight_decay
        )
        self.step = make_step(network, self.optimizer, config)
        self.steps_per_epoch = max(1, len(dataset.training(epoch=1)) // config.batch_size)
        self.schedule = Schedule(config, config.epochs * self.steps_per_epoch)
        self.pace = Pace()
        self.started_s = time.monotonic()

    def fit(self) -> Path:
        """Train all epochs; returns the path of the best checkpoint."""
        output = self.config.output
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"output folder {output} cannot be made: {error}") from error
        best_top1 = -1.0
        with _progress(self.config.epochs * self.steps_per_epoch) as advance:
            for epoch in range(1, self.config.epochs + 1):
                self._train_epoch(epoch, advance)
                scores = self._validate(epoch)
                spec = self._spec(epoch, scores)
                save_checkpoint(output / LAST, self.network, spec)
                if scores is None or scores.top1 >= best_top1:
                    best_top1 = scores.top1 if scores else best_top1
                    save_checkpoint(output / BEST, self.network, spec)
        return output / BEST

    def _train_epoch(self, epoch: int, advance: Callable[[int], None]) -> None:
        config = self.config
        self.network.set_train(True)
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
            begun_s = time.monotonic()
            loss = float(self.step(ms.Tensor(batch.inputs), ms.Tensor(batch.labels)))
            if warning := self.pace.step(time.monotonic() - begun_s):
                _log.warning(warning)
            click.echo(f"epoch: {epoch} step: {number}, loss is {loss:.7f}")
            self._check(loss, f"epoch {epoch}, step {number}")
            advance(1)

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
        if not self.dataset.validation:
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
                "config": json.loads(json.dumps(dataclasses.asdict(config), default=str)),
                "windows_per_epoch": len(self.dataset.training(epoch)),
                "epoch": epoch,
                "minutes": round((time.monotonic() - self.started_s) / 60, 1),
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
