"""Add int8 graphs to a bundle: smaller, and faster on processors without bfloat16.

python -m trainer.quantize BUNDLE --calibrate DIR --out BUNDLE2

DIR holds `<action>/<clip>`. A part of the clips is held out: the bundle is only written if int8
gives the labels of float32 on them. MindSpore is not needed: pip install 'ecolite-stream[int8]'.
"""

from __future__ import annotations

from pathlib import Path

import click

from ecolite_stream.app.entry import run
from ecolite_stream.config.printable import printable
from ecolite_stream.datasets.labelled_clips import find_clips
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from trainer.quantizing.bundle import AGREE, able_engines, quantize_bundle
from trainer.teaching.groups import group_by

PATH = click.Path(path_type=Path)
FOLDS = 3
"""One clip group in so many is held out."""


@click.command()
@click.argument("bundle_folder", metavar="[BUNDLE]", required=False, type=PATH)
@click.option("--calibrate", type=PATH, required=True, help="Clips: DIR/<action>/<clip>.")
@click.option("--out", type=PATH, required=True, help="Write the bundle with int8 here.")
@click.option("--groups", type=PATH, help="Read groups from a CSV table: <action>/<clip>,group.")
@click.option("--group-pattern", default="", help="Group by the first group of this pattern.")
@click.option(
    "--agree",
    type=click.FloatRange(0, 1),
    default=AGREE,
    show_default=True,
    help="Refuse int8 if a smaller share of labels agrees with float32.",
)
def main(
    bundle_folder: Path | None,
    calibrate: Path,
    out: Path,
    groups: Path | None,
    group_pattern: str,
    agree: float,
) -> None:
    """Add int8 graphs to BUNDLE, or to the embedded one, and write it to --out."""
    if groups and group_pattern:
        raise click.UsageError("--groups and --group-pattern both group the clips; give one")
    bundle = read_bundle(bundle_folder or demo_bundle_path())
    clips = list(find_clips([calibrate]))
    names = set(group_by(clips, groups, group_pattern, FOLDS).folds[0])
    held_out = [clip for clip in clips if clip.name in names]
    others = [clip for clip in clips if clip.name not in names]
    for agreement in quantize_bundle(bundle, others, held_out, out, agree):
        click.echo(str(agreement))
    written = read_bundle(out)
    engines = ", ".join(able_engines())
    click.echo(
        printable(f"wrote {out}, digest {written.digest[:12]}, agrees on {engines}"), err=True
    )


if __name__ == "__main__":
    run(main)
