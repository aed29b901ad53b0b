"""Cross-validate a configuration: hold out each fold in turn and stream it.

python -m trainer.cross_validate --config configs/train/fights.yaml [--key value ...]

Each fold is a training of its own in `OUTPUT/fold-1` and so on. Its last checkpoint becomes
a bundle, which labels the held-out clips through the pipeline of `ecolite-stream`. Finished folds
are kept, and an interrupted training is resumed.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import click

from ecolite_stream.app.entry import run
from ecolite_stream.app.extras import command_needs
from ecolite_stream.datasets.marked import SegmentFile
from ecolite_stream.errors import ConfigError, EcoliteError, one_line
from trainer.config.load import load_train_config
from trainer.config.schema import TrainConfig
from trainer.data.dataset import used_files
from trainer.data.splits import split_clips

with command_needs("mindspore", "train", __name__):
    from trainer.loop.run import LAST
    from trainer.loop.state import STATE, first_difference, plain_config

RESULT = "online.json"


@dataclass(frozen=True)
class FoldResult:
    """Result of one fold: (right, total).

    Attributes:
        fold: its number.
        clips: whole clips.
        half: clips, by the newest prediction half-way through.
        full: predictions with a full memory.
    """

    fold: int
    clips: tuple[int, int]
    half: tuple[int, int]
    full: tuple[int, int]

    def __str__(self) -> str:
        return (
            f"fold {self.fold}: clips {share(self.clips)}, half-way {share(self.half)}, "
            f"full memory {share(self.full)}"
        )


def share(counts: tuple[int, int]) -> str:
    """`36/50 72.0 %`"""
    right, total = counts
    return f"{right}/{total}" + (f" {100 * right / total:.1f} %" if total else "")


def summary(results: Sequence[FoldResult]) -> str:
    """Mean and spread over the folds, and the sum."""
    shares = [100 * right / total for right, total in (result.clips for result in results)]
    total = summed(result.clips for result in results)
    half = summed(result.half for result in results)
    spread = f" +- {stdev(shares):.1f}" if len(shares) > 1 else ""
    return (
        f"mean of {len(results)} folds {mean(shares):.1f} %{spread} (standard deviation), "
        f"lowest {min(shares):.1f} %, highest {max(shares):.1f} %; all clips {share(total)}, "
        f"half-way {share(half)}"
    )


def summed(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """(right, total) of all folds."""
    right, total = zip(*counts, strict=True)
    return sum(right), sum(total)


def run_fold(config: TrainConfig, fold: int) -> FoldResult:
    """Train without a fold, export, and stream the fold; log to `OUTPUT/fold-N.log`.

    Raises:
        ConfigError: the fold exists with another configuration.
        EcoliteError: a command failed; names its log.
    """
    folder = config.output / f"fold-{fold}"
    result = folder / RESULT
    settings = folder / "config.yaml"  # JSON is YAML
    apart = dataclasses.replace(config.data, split="fold", fold=fold)
    whole = dataclasses.replace(config, data=apart, output=folder)
    if result.is_file():
        require_same_config_of_fold(settings, whole)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(plain_config(whole), indent=2, ensure_ascii=False)
        settings.write_text(text, encoding="utf-8", errors="backslashreplace")  # YAML's escapes
        resume = ["--resume", str(folder)] if (folder / STATE).is_file() else []
        held_out = link_held_out(whole, folder / "held_out")
        bundle = str(folder / "bundle")
        stream = ["--data", str(held_out), "--bundle", bundle, "--json", str(result)]
        stream += ["--memory", "window"]  # the default of ecolite-stream
        for command in (
            ["trainer.train", "--config", str(settings), *resume],
            ["trainer.export", str(folder / LAST), "--bundle", bundle],
            ["ecolite_stream.bench.cli", "online", *stream],
        ):
            _run_module(command, folder.with_suffix(".log"))
    return read_result(fold, result)


def require_same_config_of_fold(settings: Path, config: TrainConfig) -> None:
    """Raise a ConfigError unless a finished fold has this configuration."""
    try:
        before = json.loads(settings.read_text(encoding="utf-8"))
        difference = first_difference(before, config)
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{settings} cannot be read: {error}; remove its folder") from error
    if difference:
        key, old, now = difference
        raise ConfigError(
            f"{key} is {now!r}, {settings.parent} has {old!r}; name another --output or remove it"
        )


def link_held_out(config: TrainConfig, folder: Path) -> Path:
    """A tree `<class>/<file>` of links to the held-out clips.

    Raises:
        ConfigError: one is a segment of a video; only files are streamed.
    """
    _, held_out = split_clips(used_files(config.data), config.data, config.seed)
    if segments := [clip for clip in held_out if isinstance(clip, SegmentFile)]:
        raise ConfigError(
            f"{segments[0].name} is a segment of a video, and cross validation streams files; cut "
            "it first: ecolite-stream collect --source VIDEO --track MARKS --into DIR"
        )
    for clip in held_out:
        link = folder / clip.name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(clip.path.resolve())
    return folder


def read_result(fold: int, path: Path) -> FoldResult:
    """The counts in a report of `ecolite-bench online`.

    Raises:
        EcoliteError: it is damaged, or is no such report.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["memories"][0]
        clips = (found["clips_right"], found["clips"])
        half = (found["right_after_percent"]["50"], found["clips"])
        return FoldResult(fold, clips, half, (found["live_full_right"], found["live_full"]))
    except (ValueError, LookupError, TypeError) as error:
        raise EcoliteError(
            f"{path} has no counts of clips, or is damaged ({one_line(error)}); remove it to "
            "stream the fold again"
        ) from error


def _run_module(words: Sequence[str], log: Path) -> None:
    with log.open("ab") as file:
        ended = subprocess.run(
            [sys.executable, "-m", *words], stdout=file, stderr=file, check=False
        )
    if ended.returncode:
        raise EcoliteError(f"{words[0]} ended with exit code {ended.returncode}; see {log}")


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--config", type=click.Path(path_type=Path), help="YAML file; see configs/train.")
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, metavar="[--KEY VALUE]...")
def main(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Train data.folds times, each time with another part of the clips held out, and stream it."""
    chosen = load_train_config(config, overrides)
    if not chosen.data.clips:
        raise ConfigError("cross validation needs data.clips: a folder of <class>/<clip>")
    results = []
    for fold in range(1, chosen.data.folds + 1):
        log = chosen.output / f"fold-{fold}.log"
        click.echo(f"fold {fold} of {chosen.data.folds}; log in {log}", err=True)
        results.append(run_fold(chosen, fold))
        click.echo(str(results[-1]))
    click.echo(summary(results))


if __name__ == "__main__":
    run(main)
