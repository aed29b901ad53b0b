"""The command line of `trainer.synthetic`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import click
import numpy as np

from ecolite_stream.app.entry import run
from ecolite_stream.errors import ConfigError
from trainer.data.folders import naming
from trainer.synthetic.drawing import check_action, draw_clip, draw_sequence, write_video
from trainer.synthetic.poses import ACTIONS

_CLIP_FRAMES = (36, 90)


@click.group()
def cli() -> None:
    """Draw moving people as videos, with their actions as labels."""


@cli.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--clips-per-class", default=20, show_default=True, type=click.IntRange(1))
@click.option("--action", "actions", multiple=True, help="Only this action; may be repeated.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def clips(out: Path, clips_per_class: int, actions: tuple[str, ...], seed: int) -> None:
    """Write a folder of labelled clips: DIR/<action>/figure<NNN>_<action>.avi.

    Each figure's number is another person in another place, the same in all actions.
    """
    for action in actions:
        check_action(action)
    jobs = [(a, n) for a in actions or ACTIONS for n in range(clips_per_class)]
    with click.progressbar(jobs, label="drawing", file=sys.stderr) as bar:
        for action, number in bar:
            length = np.random.default_rng([seed, number, ACTIONS.index(action)])
            num_frames = int(length.integers(*_CLIP_FRAMES, endpoint=True))
            frames = draw_clip(action, num_frames, np.random.default_rng([seed, number]))
            path = out / action / f"figure{number:03d}_{action}.avi"
            _make_folder(path.parent)
            write_video(path, frames, 25.0)


def _parse_parts(
    ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[str, float]]:
    """Turn texts such as walk:4 into actions and seconds."""
    parts = []
    for text in texts:
        action, _, seconds = text.partition(":")
        try:
            parts.append((action, float(seconds)))
        except ValueError:
            raise ConfigError(f"--part {text}: expected ACTION:SECONDS, such as walk:4") from None
    return parts


@cli.command()
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--part", "parts", required=True, multiple=True, metavar="ACTION:SECONDS", callback=_parse_parts
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--fps", default=25.0, show_default=True, type=click.FloatRange(1, 120))
@click.option("--size", default=(180, 144), show_default=True, type=(int, int))
def sequence(
    out: Path, parts: list[tuple[str, float]], seed: int, fps: float, size: tuple[int, int]
) -> None:
    """Write one video of several actions, and FILE.csv with the start and end of each."""
    frames, track = draw_sequence(parts, np.random.default_rng(seed), fps=fps, size=size)
    _make_folder(out.parent)
    write_video(out, frames, fps)
    track_file = out.with_suffix(".csv")
    with naming(track_file), track_file.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("start_s", "end_s", "label"))
        writer.writerows((f"{start:.3f}", f"{end:.3f}", label) for start, end, label in track)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error.strerror}") from error


if __name__ == "__main__":
    run(cli)
