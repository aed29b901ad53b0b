"""`ecolite-stream collect`: labelled clips from a camera or a recording, to teach with."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click

from ecolite_stream.app.events_command import opened_store
from ecolite_stream.app.sinks import RunConfig
from ecolite_stream.config.includes import load_stream_config
from ecolite_stream.config.printable import printable
from ecolite_stream.config.source_names import named_source
from ecolite_stream.config.views import check_box
from ecolite_stream.datasets.collected import check_label
from ecolite_stream.datasets.collecting import (
    LONGEST_S,
    SHORTEST_S,
    Cut,
    LastSeconds,
    collect_marked,
    cut_segments,
)
from ecolite_stream.datasets.collection import describe, remove_collected
from ecolite_stream.datasets.segments import Marked, read_segments
from ecolite_stream.errors import ConfigError, SourceError, one_line
from ecolite_stream.media.h264 import check_encoder
from ecolite_stream.sinks.clips import ClipsConfig
from ecolite_stream.sources import open_source, redact_url
from ecolite_stream.sources.base import Source
from ecolite_stream.types import Box

PATH = click.Path(path_type=Path)
LENGTH = click.FloatRange(SHORTEST_S, LONGEST_S)
LAST_S = 4.0
FRAME_S = 0.1
"""The last frame of a clip lasts, too."""
LONGEST_LINE = 1000


@click.command()
@click.option(
    "--list", "listed", type=PATH, metavar="DIR", help="List the clips in DIR and what is missing."
)
@click.option("--source", metavar="[NAME=]SOURCE", help="Watch a camera, a URL or a video file.")
@click.option("--label", help="Name the action.")
@click.option("--into", type=PATH, metavar="DIR", help="Write clips to DIR/<action>/.")
@click.option("--last", type=LENGTH, help="Cut the last seconds at each Enter. [4.0]")
@click.option("--seconds", type=LENGTH, help="Cut one clip of this many seconds, from now on.")
@click.option("--track", type=PATH, help="Cut at the segments of a .csv, .eaf or .json file.")
@click.option("--tier", help="Use only this tier of an ELAN file.")
@click.option("--box", metavar="X,Y,W,H", help="Crop to this box, in shares of the picture.")
@click.option(
    "--from-events", is_flag=True, help="Cut stored events that are marked wrong or renamed."
)
@click.option("--store", metavar="URL", help="Read events of this store. [the default one]")
@click.option("--config", type=PATH, help="Use the store and clips of this YAML file.")
@click.option("--clips", type=PATH, metavar="FOLDER", help="Read clips of events from FOLDER.")
@click.option("--remove", type=PATH, metavar="DIR", help="Delete all clips collected into DIR.")
def collect(
    listed: Path | None,
    source: str | None,
    label: str | None,
    into: Path | None,
    last: float | None,
    seconds: float | None,
    track: Path | None,
    tier: str | None,
    box: str | None,
    from_events: bool,
    store: str | None,
    config: Path | None,
    clips: Path | None,
    remove: Path | None,
) -> None:
    """Collect labelled clips from a source or from events, or list those of a folder.

    Without --seconds and --track, press Enter after each action. To give another label, type it
    before Enter. Press Ctrl-D to end.
    """
    if listed is not None:
        click.echo("\n".join(map(printable, describe(listed))))
        return
    if remove is not None:
        _remove(remove)
        return
    if from_events:
        if into is None:
            raise click.UsageError("--from-events needs --into DIR")
        _collect_events(into, store, config, clips)
        return
    if source is None or into is None or (label is None and track is None):
        raise click.UsageError(
            "give --source, --into and --label, or --from-events, --list or --remove"
        )
    if sum(option is not None for option in (last, seconds, track)) > 1:
        raise click.UsageError("--last, --seconds and --track exclude each other; give one")
    if label is not None:
        check_label(label)
    _collect_source(source, label, _Asked(into, last, seconds, track, tier, _box(box)))


@dataclass(frozen=True)
class _Asked:
    """How to cut a source; the options of the command."""

    into: Path
    last: float | None
    seconds: float | None
    track: Path | None
    tier: str | None
    box: Box | None


def _collect_source(source: str, label: str | None, asked: _Asked) -> None:
    check_encoder("collect")
    named = named_source(source)
    shown = redact_url(named.url)
    how = Cut(asked.into, named.name or Path(shown).stem, shown, asked.box)
    seconds, track = asked.seconds, asked.track
    segments = None if track is None else read_segments(track, asked.tier)
    with closing(open_source(named.url, name=named.name)) as opened:
        if segments is None and not opened.live:
            if seconds is None:
                raise ConfigError(
                    f"{shown} is a recording; keys mark actions in live sources only; give "
                    "--track or --seconds"
                )
            segments = [Marked(0.0, seconds, label or "")]
        if segments is not None:
            _cut(opened, _chosen(segments, label, track), how)
        elif seconds is not None:
            _say(_next_seconds(opened, LastSeconds(seconds, how), seconds, label or ""))
        else:
            _mark(opened, LastSeconds(asked.last or LAST_S, how), label or "")


def _remove(folder: Path) -> None:
    try:
        deleted, left = remove_collected(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be deleted: {error.strerror}") from error
    others = f"; kept {left} clips that are not in clips.csv" if left else ""
    click.echo(f"deleted {deleted} clips of {printable(str(folder))}{others}")


def _collect_events(into: Path, store: str | None, config: Path | None, clips: Path | None) -> None:
    """Cut all corrected events; log those that give no clip; then end with code 2."""
    from ecolite_stream.datasets.corrected import (
        collect_corrected,
        corrected_events,
        not_collected,
    )

    folder = clips or _clips_of(config)
    check_encoder("collect")
    with opened_store(store, config) as database, database.read() as connection:
        found = corrected_events(connection)
    new = not_collected(found, into)
    failed = 0
    for one in collect_corrected(new, folder, into):
        if one.clip is None:
            failed += 1
            click.echo(f"warning: event {one.event}: {printable(one.problem)}", err=True)
        else:
            click.echo(printable(str(into / one.clip)))
    there = len(found) - len(new)
    click.echo(f"{len(new) - failed} events collected; {there} were collected before", err=True)
    if failed:
        raise ConfigError(f"{failed} of {len(new)} events gave no clip; see the warnings above")


def _clips_of(config: Path | None) -> Path:
    if config is not None:
        folder = load_stream_config(config, RunConfig).section(ClipsConfig).folder
        if folder is not None:
            return folder
    raise ConfigError(
        "the clips of events are needed; give --clips FOLDER, or --config with clips.folder"
    )


def _chosen(segments: Sequence[Marked], label: str | None, track: Path | None) -> list[Marked]:
    chosen = [one for one in segments if label is None or one.label == label]
    if not chosen:
        labels = ", ".join(sorted({one.label for one in segments}))
        raise ConfigError(f"{track} has no segment labelled {label}; its labels: {labels}")
    return chosen


def _cut(source: Source, segments: Sequence[Marked], how: Cut) -> None:
    """Cut all segments; log those that give no clip; then end with code 2."""
    made = [_say(one) for one in cut_segments(source, segments, how)]
    if not all(made):
        raise ConfigError(
            f"{made.count(False)} of {len(made)} segments gave no clip; see the warnings above"
        )


def _next_seconds(source: Source, last: LastSeconds, seconds: float, label: str) -> Path:
    for frame in source:
        last.add(frame)
        if last.length_s >= seconds - FRAME_S:
            return last.mark(label)
    raise SourceError(f"the source ended after {last.length_s:.1f} of {seconds:g} s; no clip made")


def _mark(source: Source, last: LastSeconds, label: str) -> None:
    """Watch until stdin ends; each of its lines makes a clip."""
    marks: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            marks.put(line[:LONGEST_LINE])
        marks.put(None)

    threading.Thread(target=read, name="marks", daemon=True).start()
    click.echo(f"press Enter after each {label}; press Ctrl-D to end", err=True)
    collect_marked(source, last, marks, label, _say)


def _say(made: Path | Exception) -> bool:
    """Print the clip, or on stderr why there is none; whether there is one."""
    if isinstance(made, Path):
        click.echo(printable(str(made)))
        return True
    click.echo(f"warning: no clip: {printable(one_line(made))}", err=True)
    return False


def _box(text: str | None) -> Box | None:
    if text is None:
        return None
    try:
        values = [float(value) for value in text.split(",")]
    except ValueError:
        values = []
    check_box("--box", values)
    return Box(*values)
