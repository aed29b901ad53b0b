"""Fine-tune the 3D net in its continual form, and compare it with the window on people left out.

python -m trainer.reference.continual --data DIR/weizmann \
    --checkpoint-pattern 'runs/weizmann/fold-{fold}/last.ckpt'

The 2D net stays as trained. It encodes all clips once. The heads are fine-tuned on these features
in the same way, from the weights of the window. There is a sample every clip_seconds / N and a
label every second sample. Each held-out clip is scored once for each frame that its samples can
begin with, first in a stream that begins with it, then in one where another clip comes before.
Everything runs in one thread.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from ecolite_stream.app.extras import command_needs

with command_needs("mindspore", "train", __name__):
    from trainer.weights.checkpoint import load_checkpoint
with command_needs("torch", "torch", __name__):
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

from ecolite_stream.app.entry import run
from ecolite_stream.bench.measuring.machine import machine_facts, versions
from ecolite_stream.bench.report.report import Table
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.preprocess import normalize, preprocess
from ecolite_stream.types import FloatArray
from trainer.config.load import load_train_config
from trainer.config.schema import TrainConfig
from trainer.data.augment import augment
from trainer.data.budget import Budget
from trainer.data.clips import Clip
from trainer.data.dataset import following, used_files
from trainer.data.following import follow_clips
from trainer.data.reading import read_clips, reading_side
from trainer.data.splits import split_clips
from trainer.reference.continual_heads import (
    FORMS,
    PER_LABEL,
    ContinualHead,
    Head,
    WindowHead,
    multiply_adds,
)
from trainer.reference.torch_eco import TorchEco
from trainer.weights.published import pytorch_name

SEQUENCE = 20
"""Samples of a training sequence: the end of a past, and a part of a clip."""
MOST_OF_CLIP = 14
VARIANTS = 12
"""Augmented versions of each training clip."""
LABELS_PER_SEQUENCE = 4
BATCH = 12
LR = 0.01
FULL = (8, 16)
"""Samples seen, of the labels that are counted apart."""
AS_TRAINED = "as trained"
HEADS: Mapping[str, Callable[..., Head]] = {
    "window 8": partial(WindowHead, num_segments=8),
    "window 16": partial(WindowHead, num_segments=16),
    **{name: partial(ContinualHead, form=form) for name, form in FORMS.items()},
}
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Features:
    """A clip's maps (T, C, h, w) float32, one a sample, and the number of its class."""

    maps: Tensor
    label: int


def load_eco(path: Path) -> tuple[TorchEco, tuple[str, ...]]:
    """ECO-Lite with the weights of a checkpoint of ours, and its labels."""
    checkpoint = load_checkpoint(path)
    spec = checkpoint.spec
    eco = TorchEco(len(spec.labels), width=spec.width)
    side = spec.preprocessing.image_size
    with torch.no_grad():  # makes the shapes
        eco(torch.zeros(1, spec.num_segments, 3, side, side))
    state = eco.state_dict()
    for name, value in checkpoint.parameters.items():
        own = pytorch_name(name)
        state[own] = torch.from_numpy(np.array(value)).reshape(state[own].shape)
    eco.load_state_dict(state)
    return eco.eval(), spec.labels


def encode(eco: TorchEco, images: Sequence[FloatArray]) -> Tensor:
    """Images (3, S, S) float32 -> maps."""
    with torch.no_grad():
        parts = torch.from_numpy(np.stack(images)).split(32)
        return torch.cat([eco.maps(eco.trunk(part)) for part in parts])


def training_features(
    eco: TorchEco, clip: Clip, label: int, config: TrainConfig, rng: np.random.Generator
) -> Features:
    """A clip at another pace, phase, crop and light, as the training of the network draws them."""
    how = config.augmentation
    shortest_s, longest_s = how.window_s or (config.clip_seconds, config.clip_seconds)
    sample_s = rng.uniform(shortest_s, longest_s) / config.num_segments
    count = max(2, int(clip.seconds / sample_s))
    stray = how.segment_jitter * rng.uniform(-0.5, 0.5, count)
    times_s = (np.arange(count) + rng.uniform(0, 1) + stray) * sample_s
    frames = clip.read(np.clip((times_s * clip.fps).astype(int), 0, clip.num_frames - 1))
    squares = augment(frames, config.preprocessing, how, rng)
    return Features(encode(eco, [normalize(s, config.preprocessing) for s in squares]), label)


def live_features(eco: TorchEco, clip: Clip, label: int, config: TrainConfig) -> list[Features]:
    """A clip as a live stream shows it, once for each frame that its samples can begin with."""
    frames = clip.read(range(clip.num_frames))
    maps = encode(eco, [preprocess(frame, config.preprocessing) for frame in frames])
    step = round(clip.fps * config.clip_seconds / config.num_segments)
    return [Features(even(maps[phase::step]), label) for phase in range(step)]


def even(maps: Tensor) -> Tensor:
    """Without the last samples that give no label."""
    return maps[: len(maps) // PER_LABEL * PER_LABEL]


def training_batch(clips: Sequence[Features], rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Sequences (B, SEQUENCE, C, h, w), wanted labels (B, J) and classes (B, J).

    Each is the end of another clip, or the first sample repeated, and then a part of a clip.
    """
    sequences, wanted = [], []
    for clip in clips:
        length = int(rng.integers(4, MOST_OF_CLIP + 1))
        first = int(rng.integers(max(1, len(clip.maps) - length + 1)))
        part = clip.maps[first : first + length]
        past = clips[int(rng.integers(len(clips)))].maps if rng.random() < 0.5 else part[:1]
        past = past[len(part) - SEQUENCE :]
        still = past[:1].expand(SEQUENCE - len(past) - len(part), -1, -1, -1)
        sequences.append(torch.cat([still, past, part]))
        begins = SEQUENCE - len(part)  # the first label that has PER_LABEL samples of the clip:
        earliest = -(-begins // PER_LABEL)
        wanted.append(rng.integers(earliest, SEQUENCE // PER_LABEL, LABELS_PER_SEQUENCE))
    classes = torch.tensor([[clip.label] * LABELS_PER_SEQUENCE for clip in clips])
    return torch.stack(sequences), torch.from_numpy(np.stack(wanted)), classes


def fine_tune(
    head: Head, clips: Sequence[Sequence[Features]], epochs: int, config: TrainConfig, seed: int
) -> None:
    """Train a head on the variants of each clip; the learning rate falls along a cosine."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.SGD(
        head.parameters(), LR, momentum=0.9, nesterov=True, weight_decay=config.weight_decay
    )
    per_epoch = 2 * len(clips) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * per_epoch)
    head.train()
    for _ in range(epochs):
        order = rng.permutation(2 * len(clips))[: per_epoch * BATCH].reshape(per_epoch, BATCH)
        for numbers in order:
            chosen = [clips[n // 2][int(rng.integers(len(clips[n // 2])))] for n in numbers]
            maps, wanted, classes = training_batch(chosen, rng)
            loss = functional.cross_entropy(
                head(maps, wanted).flatten(0, 1),
                classes.flatten(),
                label_smoothing=config.label_smoothing,
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(head.parameters(), config.clip_gradient)
            optimizer.step()
            schedule.step()
    head.eval()


def score(head: Head, clips: Sequence[Sequence[Features]], after: bool) -> Counts:
    """(right, total) of clips, all labels, and labels with 8 and 16 samples seen: (4, 2).

    A clip's label is that of the highest mean score over labels with 8 samples seen, as in
    `ecolite-bench online`.

    after: each clip follows another one; else its first sample begins the stream.
    """
    counts = np.zeros((4, 2), int)
    for number, phases in enumerate(clips):
        for phase, clip in enumerate(phases):
            other = clips[number - 1][phase % len(clips[number - 1])].maps[-SEQUENCE:]
            maps = torch.cat([other, clip.maps]) if after else clip.maps
            with torch.no_grad():
                logits = head(maps[None])[0, -(len(clip.maps) // PER_LABEL) :]
            samples = PER_LABEL * (torch.arange(len(logits)) + 1)
            seen = logits[samples >= FULL[0]] if samples[-1] >= FULL[0] else logits
            right = logits.argmax(1) == clip.label
            counts[0] += [int(seen.softmax(1).mean(0).argmax() == clip.label), 1]
            for row, full in enumerate((0, *FULL), start=1):
                counts[row] += [int(right[samples >= full].sum()), int((samples >= full).sum())]
    return counts


def fold_features(
    eco: TorchEco, labels: Sequence[str], config: TrainConfig, seed: int
) -> tuple[list[list[Features]], list[list[Features]]]:
    """Training clips and held-out clips."""
    how, budget = following(config), Budget(config.data.cache_mb)
    if how is None:
        raise ConfigError(f"framing is {config.preprocessing.framing}; this trial needs follow")
    side, rng = reading_side(config.preprocessing), np.random.default_rng(seed)
    sides = []
    for files in split_clips(used_files(config.data), config.data, config.seed):
        clips = read_clips(files, side, 1, budget)
        sides.append(follow_clips(clips, how, budget, 1))
    training = [
        [
            training_features(eco, v[n % len(v)], labels.index(v[0].label), config, rng)
            for n in range(VARIANTS)
        ]
        for v in sides[0]
    ]
    held_out = [live_features(eco, v[0], labels.index(v[0].label), config) for v in sides[1]]
    return training, held_out


def score_fold(
    eco: TorchEco,
    labels: Sequence[str],
    names: Sequence[str],
    epochs: int,
    config: TrainConfig,
    seed: int,
) -> dict[str, Counts]:
    """Counts of each head, (8, 2): clips in a stream of their own, then after another one."""
    training, held_out = fold_features(eco, labels, config, seed)
    heads = {AS_TRAINED: WindowHead(eco, config.num_segments).eval()}
    for name in names:
        heads[name] = HEADS[name](eco, dropout=config.dropout)
        fine_tune(heads[name], training, epochs, config, seed)
    return {
        name: np.concatenate([score(head, held_out, after) for after in (False, True)])
        for name, head in heads.items()
    }


def count_table(title: str, counts: Mapping[str, Counts]) -> Table:
    """Percent right of each head."""
    seen = ("clips", "labels", *(f"{full} seen" for full in FULL))
    columns = ("head", *seen, *(f"{name}, after" for name in seen))
    rows = [
        (name, *(f"{100 * right / total:.1f}" if total else None for right, total in own))
        for name, own in counts.items()
    ]
    own = next(iter(counts.values()))
    return Table(title, columns, rows, notes=("of " + ", ".join(str(n) for _, n in own),))


def cost_table(eco: TorchEco, map_shape: Sequence[int]) -> Table:
    """Multiply-adds of each head for a label of a stream, and their share of a window's."""
    new = torch.zeros(1, PER_LABEL, *map_shape)
    costs = {name: multiply_adds(make(eco).eval(), new) for name, make in HEADS.items()}
    rows = []
    for name, cost in costs.items():
        span = FORMS[name].span if name in FORMS else name.split()[-1]
        shares = [f"{100 * cost / costs[f'window {full}']:.0f} %" for full in FULL]
        rows.append((name, span, f"{cost / 1e6:.1f}", *shares))
    columns = ("head", "samples", "10^6", *(f"of window {full}" for full in FULL))
    return Table("Multiply-adds of the 3D net a label", columns, rows)


@click.command()
@click.option("--config", default="configs/train/weizmann.yaml", show_default=True)
@click.option("--data", required=True, help="Folder with <class>/<clip> files.")
@click.option("--checkpoint-pattern", required=True, help="Checkpoints, with {fold} in the name.")
@click.option("--fold", "folds", multiple=True, type=int, help="Fold; repeat for more. [all]")
@click.option(
    "--head", "names", multiple=True, type=click.Choice(tuple(HEADS)), help="Repeat for more. [all]"
)
@click.option("--epochs", default=20, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True)
def main(
    config: str,
    data: str,
    checkpoint_pattern: str,
    folds: tuple[int, ...],
    names: tuple[str, ...],
    epochs: int,
    seed: int,
) -> None:
    """Fine-tune the heads of each fold and score them on its held-out clips."""
    torch.set_num_threads(1)
    for facts in (machine_facts(), versions()):
        click.echo(", ".join(f"{key} {value}" for key, value in facts.items()))
    sums: dict[str, Counts] = {}
    chosen = load_train_config(Path(config), ["--data.clips", f"[{data}]"])
    for fold in folds or range(1, chosen.data.folds + 1):
        own = dataclasses.replace(
            chosen, data=dataclasses.replace(chosen.data, split="fold", fold=fold)
        )
        eco, labels = load_eco(Path(checkpoint_pattern.format(fold=fold)))
        counts = score_fold(eco, labels, names or tuple(HEADS), epochs, own, seed)
        sums = {name: sums.get(name, 0) + found for name, found in counts.items()}
        click.echo(f"\n{count_table(f'Fold {fold}, percent right', counts)}")
    click.echo(f"\n{count_table('All, percent right', sums)}")
    click.echo(f"\n{cost_table(eco, eco.features.shape[1:])}")


if __name__ == "__main__":
    run(main)
