"""`ecolite-stream replay`: run a recording again and compare its output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ecolite_stream.config.choices import PRECISIONS
from ecolite_stream.config.schema import ENGINES
from ecolite_stream.engines.check import open_checked
from ecolite_stream.errors import BundleError, EcoliteError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.recording.recording import Recording, _whole_lines, read_recording, replayed
from ecolite_stream.recording.sink import SAID


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--bundle", type=click.Path(path_type=Path), help="Model folder. [the embedded one]")
@click.option("--engine", type=click.Choice(ENGINES), help="Inference engine. [as recorded]")
@click.option("--device", help="Device. [as recorded]")
@click.option(
    "--precision", type=click.Choice(PRECISIONS), help="Inference precision. [as recorded]"
)
def replay(
    folder: Path,
    bundle: Path | None,
    engine: str | None,
    device: str | None,
    precision: str | None,
) -> None:
    """Repeat the run recorded in FOLDER and print its JSON Lines.

    The command compares them with the recorded lines; exit code 1 if they differ.
    """
    recording = read_recording(folder)
    model = _model(recording, bundle)
    runs = open_checked(
        engine or recording.engine,
        model,
        device or recording.device,
        precision or recording.precision,
        recording.reuse,
    )
    try:
        lines = _emitted(replayed(recording, runs, model.spec))
        _compare(folder, lines)
    finally:
        runs.close()


def _model(recording: Recording, path: Path | None) -> Bundle:
    bundle = read_bundle(path or demo_bundle_path())
    if bundle.digest != recording.bundle:
        raise BundleError(
            f"{recording.folder} was recorded with another bundle, {recording.bundle[:12]}..., "
            f"{bundle.path} is {bundle.digest[:12]}...; name the recorded one with --bundle"
        )
    return bundle


def _emitted(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        print(line, file=sys.stdout, flush=True)
        yield line


def _compare(folder: Path, lines: Iterator[str]) -> None:
    """Compare all lines with the recorded ones.

    Raises:
        EcoliteError: they differ; the message names the first difference.
    """
    recorded = list(_whole_lines(folder / SAID))
    count, differs = 0, None
    for count, line in enumerate(lines, start=1):
        if differs is None and count <= len(recorded) and recorded[count - 1] != line + "\n":
            differs = count
    if differs is not None:
        raise EcoliteError(f"line {differs} differs from {folder / SAID}")
    if count < len(recorded):
        raise EcoliteError(f"replay gave {count} lines; {folder / SAID} has {len(recorded)}")
    click.echo(f"{min(count, len(recorded))} lines, all as recorded", err=True)
