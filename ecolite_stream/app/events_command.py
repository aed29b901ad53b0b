"""`ecolite-stream events`: search the store, review, keep and delete."""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecolite_stream.app.default_store import FILE, state_folder
from ecolite_stream.app.events_output import print_csv, print_json, print_text
from ecolite_stream.errors import ConfigError, EcoliteError
from ecolite_stream.media.clip_names import clip_name

if TYPE_CHECKING:
    from ecolite_stream.store.database import Database
    from ecolite_stream.store.queries import Filters, StoredEvent

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_POLL_S = 1.0
_OVERLAP_MS = 60_000  # clocks of several machines that write one database
_PAGE = 500


class _EventsGroup(click.Group):
    """Knows what an ID in the place of a subcommand means."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that is named.

        Raises:
            click.UsageError: there is none of that name.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            advice = f"to print an event, run ecolite-stream events show {name[:80]}"
            if not _is_id(name):
                advice = f"expected one of {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(f"there is no command {name[:80]!r}; {advice}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_EventsGroup, invoke_without_command=True, subcommand_metavar="[COMMAND ...]")
@click.option("--store", metavar="URL", help="Read this store.")
@click.option(
    "--config", type=click.Path(path_type=Path), help="Read the store that this YAML file names."
)
@click.option("--since", metavar="WHEN", help="Start at 2d, 90m ago or 2026-11-28T12:00.")
@click.option("--until", metavar="WHEN", help="End before WHEN.")
@click.option(
    "--stream", "streams", multiple=True, help="List events of this stream; repeat for more."
)
@click.option(
    "--label", "labels", multiple=True, help="List events with this label; repeat for more."
)
@click.option("--min-score", type=float, help="List events with at least this best score, 0 to 1.")
@click.option("--review", help="List events with this review: none, right, wrong or label.")
@click.option(
    "--limit", type=click.IntRange(min=1), help="List at most N events. [100; --follow: 0]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--follow", is_flag=True, help="Print events as they are stored, until interrupted.")
@click.pass_context
def events(
    context: click.Context,
    store: str | None,
    config: Path | None,
    since: str | None,
    until: str | None,
    streams: tuple[str, ...],
    labels: tuple[str, ...],
    min_score: float | None,
    review: str | None,
    limit: int | None,
    as_json: bool,
    as_csv: bool,
    follow: bool,
) -> None:
    """List stored events, the newest first.

    A time without a zone is local. Put --store or --config before a subcommand.
    """
    if as_json and as_csv:
        raise click.UsageError("give --json or --csv, not both")
    database = context.with_resource(opened_store(store, config))
    context.obj = database
    if context.invoked_subcommand is not None:
        return
    from ecolite_stream.store.queries import Filters

    now_ms = round(1000 * time.time())
    filters = Filters(
        None if since is None else parse_when(since, now_ms),
        None if until is None else parse_when(until, now_ms),
        streams,
        labels,
        min_score,
        review,
    )
    if follow:
        found = _followed(database, filters, now_ms)
    else:
        found = _pages(database, filters, limit or 100)
        found = _or_none_match(found)
    show = print_json if as_json else print_csv if as_csv else print_text
    show(found)


@events.command()
@click.argument("event_id", metavar="ID")
@click.option("--picture", type=click.Path(path_type=Path), help="Write its JPEG to FILE.")
@click.pass_obj
def show(database: Database, event_id: str, picture: Path | None) -> None:
    """Print one event with all its fields, as JSON."""
    from ecolite_stream.store import queries

    with database.read() as connection:
        found = queries.one(connection, event_id)
        jpeg = queries.picture(connection, event_id)
    if found is None:
        raise _missing(event_id)
    click.echo(json.dumps({**found.as_dict(), "picture_bytes": len(jpeg or b"")}, indent=2))
    if picture is None:
        return
    if jpeg is None:
        raise EcoliteError(f"event {event_id} has no picture")
    try:
        with picture.open("xb") as file:
            file.write(jpeg)
    except OSError as error:
        raise ConfigError(f"{picture}: {error.strerror}; choose another file") from error


@events.command()
@click.argument("event_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--off", is_flag=True, help="Let retention delete them again.")
@click.pass_obj
def keep(database: Database, event_ids: tuple[str, ...], off: bool) -> None:
    """Protect events and their clips from retention."""
    from ecolite_stream.store import queries

    with database.begin() as connection:
        for event_id in event_ids:
            if not queries.keep(connection, event_id, not off):
                raise _missing(event_id)


@events.command()
@click.argument("event_id", metavar="ID")
@click.argument("verdict", metavar="right|wrong|none|LABEL")
@click.option(
    "--label", "is_label", is_flag=True, help="Treat the verdict as a label, even right or none."
)
@click.option("--note", help="Add a note.")
@click.pass_obj
def review(
    database: Database, event_id: str, verdict: str, is_label: bool, note: str | None
) -> None:
    """Review an event: its label is right or wrong, or another LABEL is the right one."""
    from ecolite_stream.store import queries

    is_verdict = verdict in ("right", "wrong", "none") and not is_label
    with database.begin() as connection:
        given = (verdict, None) if is_verdict else ("label", verdict)
        if not queries.review(connection, event_id, *given):
            raise _missing(event_id)
        if note is not None:
            queries.note(connection, event_id, note)


@events.command(name="delete")
@click.argument("event_ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--clips",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Delete their clips in FOLDER. [clips.folder of --config]",
)
@click.pass_context
def delete_events(context: click.Context, event_ids: tuple[str, ...], clips: Path | None) -> None:
    """Delete events with their pictures and clips.

    Without a folder of clips the service that made them deletes them, within a minute or when it
    runs again.
    """
    from ecolite_stream.store import queries

    database: Database = context.obj
    path: Path | None = context.parent.params["config"] if context.parent else None
    folder = _configured_clips(path) if clips is None and path is not None else clips
    have_clips = 0
    with database.begin() as connection:
        for event_id in event_ids:
            found = queries.one(connection, event_id)
            if found is None or not queries.remove(connection, event_id):
                raise _missing(event_id)
            have_clips += found.clip is not None
    if folder is not None:
        _delete_clips(folder, event_ids)
    elif have_clips:
        click.echo(
            f"the service that made the clips will delete them: {have_clips}; "
            "to delete them now, give --clips FOLDER",
            err=True,
        )


def parse_when(text: str, now_ms: int) -> int:
    """Parse a time (2d, 90m or 30s ago, a date, or ISO 8601) to ms since 1970.

    Raises:
        ConfigError: the text is none of these.
    """
    if ago := re.fullmatch(r"(\d{1,9})([smhdw])", text):
        return now_ms - 1000 * int(ago[1]) * _UNITS_S[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        return round((moment.astimezone() - epoch).total_seconds() * 1000)
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigError(
            f"{text[:40]!r} is not a time; expected 2d, 90m, 2026-11-28 or 2026-11-28T12:00"
        ) from error


@contextlib.contextmanager
def opened_store(url: str | None, path: Path | None) -> Iterator[Database]:
    """Open the store at a URL, or that of a configuration file, or the default one.

    Raises:
        ConfigError: there is none, or it cannot be opened.
    """
    if url is not None and path is not None:
        raise ConfigError("give --store URL or --config FILE, not both")
    if url is None and path is None:
        default = state_folder() / FILE
        if not default.is_file():
            raise ConfigError(f"no store at {default}; give --store URL or --config FILE")
        url = f"sqlite:///{default}"
    if path is not None:
        url = _configured(path)
    try:
        from ecolite_stream.store.database import Database
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the store needs {error.name}, which is not installed; "
            "run pip install 'ecolite-stream[store]'"
        ) from error
    assert url is not None
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def _configured(path: Path) -> str:
    """The store's URL in a configuration file."""
    from ecolite_stream.app.sinks import RunConfig
    from ecolite_stream.config.includes import load_stream_config
    from ecolite_stream.store.config import StoreConfig

    url = load_stream_config(path, RunConfig).section(StoreConfig).url
    if url is None:
        raise ConfigError(f"{path} names no store; add store: {{url: ...}}")
    return url


def _configured_clips(path: Path) -> Path | None:
    """The folder of clips in a configuration file."""
    from ecolite_stream.app.sinks import RunConfig
    from ecolite_stream.config.includes import load_stream_config
    from ecolite_stream.sinks.clips import ClipsConfig

    return load_stream_config(path, RunConfig).section(ClipsConfig).folder


def _delete_clips(folder: Path, event_ids: Iterable[str]) -> None:
    """Delete the clips of deleted events; those that are gone are no error.

    Raises:
        EcoliteError: a clip cannot be deleted; the others are.
    """
    failed = []
    for event_id in event_ids:
        path = folder / clip_name(event_id)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            failed.append(f"{path}: {error.strerror}")
    if failed:
        raise EcoliteError(
            f"the events are deleted; clips that could not be deleted: {len(failed)} "
            f"({failed[0]}); the service that made them will try again"
        )


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _missing(event_id: str) -> EcoliteError:
    return EcoliteError(f"there is no event {event_id[:80]}; ecolite-stream events lists them")


def _pages(database: Database, filters: Filters, limit: int) -> Iterator[StoredEvent]:
    from ecolite_stream.store.queries import page

    cursor: str | None = None
    while limit > 0:
        with database.read() as connection:
            found, cursor = page(connection, filters, min(limit, _PAGE), cursor)
        yield from found
        limit -= len(found)
        if cursor is None:
            return


def _or_none_match(found: Iterator[StoredEvent]) -> Iterator[StoredEvent]:
    """The same events; without any, a line on stderr."""
    first = next(found, None)
    if first is None:
        click.echo("No events match.", err=True)
        return
    yield first
    yield from found


def _followed(database: Database, filters: Filters, now_ms: int) -> Iterator[StoredEvent]:
    """Each event when it is stored, and again when it ends."""
    from ecolite_stream.store.database import StoreError
    from ecolite_stream.store.queries import changed_since

    seen: dict[tuple[str, str], int] = {}
    since_ms, complained, is_first = now_ms, False, True
    while True:
        try:
            with database.read() as connection:
                found = changed_since(connection, since_ms - _OVERLAP_MS, filters)
            complained = False
            if is_first:  # events stored before the start are not listed
                seen = {(event.id, event.state): now_ms for event in found}
                is_first = False
        except StoreError as error:
            if error.permanent:
                raise
            if not complained:
                click.echo(f"warning: {error}; trying again", err=True)
            complained, found = True, []
        for event in found:
            if (event.id, event.state) not in seen:
                yield event
            seen[event.id, event.state] = since_ms
        since_ms = round(1000 * time.time())
        seen = {key: at_ms for key, at_ms in seen.items() if at_ms > since_ms - 3 * _OVERLAP_MS}
        time.sleep(_POLL_S)
