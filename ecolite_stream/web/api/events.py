"""Operations on stored events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from aiohttp import web
from sqlalchemy import Connection

from ecolite_stream.store import queries
from ecolite_stream.web.api.operations import JPEG, MP4, ApiError, Call, Operation
from ecolite_stream.web.api.store_access import StoreAccess
from ecolite_stream.web.api.types import EventPage, EventQuery, Keep, Review, StoredEvent
from ecolite_stream.web.clips import ClipFolder

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EventOperations:
    """Lists, shows, reviews, keeps and deletes events.

    Args:
        store: where they are.
        clips: the folder of their clips; None where there is none.
    """

    def __init__(self, store: StoreAccess, clips: ClipFolder | None) -> None:
        self._store = store
        self._clips = clips

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        gone = (404, 503)
        one = "/events/{id}"
        return (
            Operation(
                *("GET", "/events", "List events, the newest first", self._list, EventPage),
                query=EventQuery,
                errors=(503,),
            ),
            Operation("GET", one, "Get an event", self._one, StoredEvent, errors=gone),
            Operation(
                "GET", f"{one}/picture", "Get an event's picture", self._picture, JPEG, errors=gone
            ),
            Operation("GET", f"{one}/clip", "Get an event's clip", self._clip, MP4, errors=gone),
            Operation(
                *("PUT", f"{one}/review", "Review an event", self._review, StoredEvent),
                body=Review,
                role="write",
                errors=gone,
            ),
            Operation(
                *("PUT", f"{one}/keep", "Spare an event from retention", self._keep, StoredEvent),
                body=Keep,
                role="write",
                errors=gone,
            ),
            Operation(
                *("DELETE", one, "Delete an event", self._delete, None, 204),
                role="write",
                errors=gone,
            ),
        )

    async def _list(self, call: Call) -> EventPage:
        query: EventQuery = call.query
        filters = queries.Filters(
            _unix_ms(query.since),
            _unix_ms(query.until),
            query.stream,
            query.label,
            query.min_score,
            query.review,
        )
        found, following = await self._store.read(
            lambda connection: queries.page(connection, filters, query.limit, query.cursor)
        )
        return EventPage(tuple(map(_as_answer, found)), following)

    async def _one(self, call: Call) -> StoredEvent:
        event_id = _id_of(call)
        return await self._store.read(lambda connection: _found(connection, event_id))

    async def _picture(self, call: Call) -> web.Response:
        event_id = _id_of(call)
        jpeg = await self._store.read(lambda connection: queries.picture(connection, event_id))
        if jpeg is None:
            raise ApiError(404, f"event {event_id} has no picture, or is gone")
        # A picture never changes; the event may be deleted, so it is not kept for ever.
        headers = {"Cache-Control": "private, max-age=3600"}
        return web.Response(body=jpeg, content_type=JPEG, headers=headers)

    async def _clip(self, call: Call) -> web.StreamResponse:
        event_id = _id_of(call)
        event = await self._store.read(lambda connection: _found(connection, event_id))
        path = None
        if event.clip is not None and self._clips is not None:
            path = await asyncio.to_thread(self._clips.path, event.clip)
        if path is None:
            raise ApiError(404, f"event {event_id} has no clip, or it is gone")
        return web.FileResponse(path, headers={"Content-Type": MP4})

    async def _review(self, call: Call) -> StoredEvent:
        event_id, body = _id_of(call), call.body

        def review(connection: Connection) -> StoredEvent:
            queries.review(connection, event_id, body.review, body.label)
            if body.note is not None:
                queries.note(connection, event_id, body.note)
            return _found(connection, event_id)

        return await self._store.write(review)

    async def _keep(self, call: Call) -> StoredEvent:
        event_id = _id_of(call)

        def keep(connection: Connection) -> StoredEvent:
            queries.keep(connection, event_id, call.body.keep)
            return _found(connection, event_id)

        return await self._store.write(keep)

    async def _delete(self, call: Call) -> None:
        event_id = _id_of(call)
        if not await self._store.write(lambda connection: queries.remove(connection, event_id)):
            raise _gone(event_id)


def _id_of(call: Call) -> str:
    """The id in the path.

    Raises:
        ApiError: no event has such an id.
    """
    event_id = call.path("id")
    if not _ID.fullmatch(event_id):
        raise ApiError(404, "there is no such event; an id is a UUID in small letters")
    return event_id


def _gone(event_id: str) -> ApiError:
    return ApiError(404, f"there is no event {event_id}, or it is gone")


def _found(connection: Connection, event_id: str) -> StoredEvent:
    event = queries.one(connection, event_id)
    if event is None:
        raise _gone(event_id)
    return _as_answer(event)


def _as_answer(event: queries.StoredEvent) -> StoredEvent:
    return msgspec.convert(event.as_dict(), StoredEvent)


def _unix_ms(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(milliseconds=1)
