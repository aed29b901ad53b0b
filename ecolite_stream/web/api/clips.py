"""Operations on clips to teach with: mark, list, move, drop, take from events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from ecolite_stream.config.views import PLAIN_VIEWS
from ecolite_stream.datasets.collect_sink import CollectSink, Mark
from ecolite_stream.datasets.collected import ClipRow, read_collected
from ecolite_stream.datasets.collection import drop_clip, find_clip, move_clip, survey
from ecolite_stream.datasets.corrected import collect_corrected, corrected_events, not_collected
from ecolite_stream.datasets.labelled_clips import ClipFile, ClipKind, clips_in
from ecolite_stream.errors import one_line
from ecolite_stream.store.queries import StoredEvent
from ecolite_stream.web.api.clip_types import (
    ActionClips,
    ClipList,
    ClipQuery,
    CollectedClip,
    Double,
    FromEvents,
    ListedClip,
    NewClip,
    Relabel,
)
from ecolite_stream.web.api.operations import MP4, ApiError, Call, Operation
from ecolite_stream.web.api.store_access import StoreAccess

NO_FOLDER = "this run collects no clips; start it with --collect DIR"
_MOST_AT_ONCE = 4
_EVENTS_S = 8.0
"""After so long the rest of the events waits for the next request."""
_MOST_PROBLEMS = 20
_GONE = "there is no such clip any more"

Result = TypeVar("Result")


class ClipOperations:
    """Collects, lists and changes clips.

    Args:
        sink: what holds the streams' newest pictures; None where the run collects nothing.
        views: the names of a stream's views.
        source: what a stream watches, without credentials.
        store: events.
        event_clips: folder of the clips of events; None where there is none.
    """

    def __init__(
        self,
        sink: Callable[[], CollectSink | None],
        views: Callable[[str], Sequence[str]],
        source: Callable[[str], str],
        store: StoreAccess,
        event_clips: Path | None,
    ) -> None:
        self._sink = sink
        self._views = views
        self._source = source
        self._store = store
        self._event_clips = event_clips
        self._making = threading.Lock()
        self._working = 0
        self._reading = asyncio.Semaphore(_MOST_AT_ONCE)

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        one = "/clips/{action}/{file}"
        return (
            Operation(
                *("POST", "/streams/{name}/clips", "Keep a stream's newest seconds"),
                *(self._mark, CollectedClip, 201),
                body=NewClip,
                role="write",
                errors=(404, 503),
            ),
            Operation(
                *("GET", "/clips", "List clips to teach with, and what is missing"),
                *(self._list, ClipList),
                query=ClipQuery,
                errors=(503,),
            ),
            Operation("GET", one, "Get a clip to teach with", self._clip, MP4, errors=(404, 503)),
            Operation(
                *("PUT", one, "Move a clip to another action", self._move, CollectedClip),
                body=Relabel,
                role="write",
                errors=(404, 503),
            ),
            Operation(
                *("DELETE", one, "Delete a clip to teach with", self._drop, None, 204),
                role="write",
                errors=(404, 503),
            ),
            Operation(
                *("POST", "/clips/from-events", "Make clips of wrong and renamed events"),
                *(self._from_events, FromEvents),
                role="write",
                errors=(409, 503),
            ),
        )

    @property
    def _collecting(self) -> CollectSink:
        sink = self._sink()
        if sink is None:
            raise ApiError(503, NO_FOLDER)
        return sink

    async def _mark(self, call: Call) -> CollectedClip:
        sink, name, body = self._collecting, call.path("name"), call.body
        view = _view_of(body.view, self._views(name))
        mark = Mark(name, body.label, body.seconds, view, self._source(name))
        missing = f"no pictures of a stream {name[:100]!r} have come"
        path = await self._work(lambda: sink.mark(mark), missing)
        return CollectedClip(ClipFile(path, body.label).name)

    async def _list(self, call: Call) -> ClipList:
        folder, query = self._collecting.folder, call.query
        return await self._read(lambda: _listed(folder, query))

    async def _clip(self, call: Call) -> web.StreamResponse:
        folder = self._collecting.folder
        clip = await self._read(lambda: find_clip(folder, _name_of(call)))
        return web.FileResponse(clip.path, headers={"Content-Type": MP4})

    async def _move(self, call: Call) -> CollectedClip:
        folder, name = self._collecting.folder, _name_of(call)
        return CollectedClip(await self._work(lambda: move_clip(folder, name, call.body.label)))

    async def _drop(self, call: Call) -> None:
        folder, name = self._collecting.folder, _name_of(call)
        await self._work(lambda: drop_clip(folder, name))

    async def _from_events(self, call: Call) -> FromEvents:
        sink, clips = self._collecting, self._event_clips
        if clips is None:
            raise ApiError(409, "this run makes no clips of events; start it with --clips FOLDER")
        events = await self._store.read(corrected_events)

        def make() -> FromEvents:
            with self._making:  # two at a time would cut the same events
                return _made_of(events, clips, sink)

        return await self._work(make)

    async def _read(self, read: Callable[[], Result]) -> Result:
        """What something gives that reads files, done in another thread, a few at a time."""
        async with self._reading:
            try:
                return await asyncio.to_thread(read)
            except KeyError as error:
                raise ApiError(404, _GONE) from error

    async def _work(self, work: Callable[[], Result], missing: str = _GONE) -> Result:
        """What something gives that takes long, done in another thread.

        Raises:
            ApiError: too much is going on, the clip is gone, or the folder cannot be written.
            ConfigError: it cannot be done so.
        """
        if self._working >= _MOST_AT_ONCE:
            raise ApiError(503, "clips are being written; try again", {"Retry-After": "1"})
        self._working += 1
        working = asyncio.ensure_future(asyncio.to_thread(work))
        working.add_done_callback(self._done)
        try:
            return await asyncio.shield(working)
        except OSError as error:
            raise ApiError(503, f"{one_line(error)}; nothing that is there was lost") from error
        except KeyError as error:
            raise ApiError(404, missing) from error

    def _done(self, working: asyncio.Future[Result]) -> None:
        self._working -= 1
        if not working.cancelled():
            working.exception()  # the caller that waited has it, or has left


def _view_of(given: str | None, views: Sequence[str]) -> str | None:
    """The view to cut by; None for the whole picture, of which teaching takes its own square."""
    if given is not None:
        return None if given in PLAIN_VIEWS else given
    return views[0] if len(views) == 1 and views[0] not in (*PLAIN_VIEWS, "subjects") else None


def _name_of(call: Call) -> str:
    return f"{call.path('action')}/{call.path('file')}"


def _listed(folder: Path, query: ClipQuery) -> ClipList:
    found, rows = survey(folder), read_collected(folder)
    wanted = [
        rows.get(clip.name, ClipRow(clip.name, clip.label))
        for clip in clips_in(folder, ClipKind.VIDEO)
        if query.label in (None, clip.label)
    ]
    wanted.sort(key=lambda row: (row.day != "", row.start, row.file), reverse=True)
    return ClipList(
        folder=str(folder.resolve()),
        actions=tuple(
            ActionClips(one.label, one.clips, dict(one.groups), dict(one.days), one.segments)
            for one in found.actions
        ),
        missing=found.missing,
        problems=found.problems,
        doubles=tuple(Double(*pair) for pair in found.doubles),
        total=len(wanted),
        clips=tuple(
            ListedClip(row.file, row.label, row.stream, row.view, row.start, row.source)
            for row in wanted[query.offset : query.offset + query.limit]
        ),
    )


def _made_of(events: Sequence[StoredEvent], clips: Path, sink: CollectSink) -> FromEvents:
    """Clips of as many events as there is time for."""
    until_s = time.monotonic() + _EVENTS_S
    new = not_collected(events, sink.folder)
    made, problems = 0, list[str]()
    for event in new:
        if time.monotonic() > until_s:
            break
        sink.check_room()
        (one,) = collect_corrected([event], clips, sink.folder)
        if one.clip is None:
            problems.append(f"event {one.event}: {one.problem}")
        else:
            made += 1
    return FromEvents(made, len(new) - made - len(problems), tuple(problems[:_MOST_PROBLEMS]))
