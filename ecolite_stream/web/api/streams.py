"""Operations on streams, and their live updates."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from ecolite_stream.errors import ConfigError
from ecolite_stream.observability.stream_health import Health
from ecolite_stream.web.api.control import RunControl, change_run
from ecolite_stream.web.api.operations import (
    JPEG,
    SERVER_SENT_EVENTS,
    ApiError,
    Call,
    Operation,
)
from ecolite_stream.web.api.types import (
    Added,
    LiveQuery,
    Newest,
    Source,
    Stream,
    StreamList,
    StreamSettings,
)
from ecolite_stream.web.latest_frames import SMALL_PX
from ecolite_stream.web.viewer import SLOW_S, Show

REMOVED = "removed"
"""State of a stream that is being removed: its source or its last event has not ended yet."""
_TICK_S = 0.25
_SILENT_S = 15.0
"""A comment is sent after so long: proxies close connections that say nothing."""


class StreamOperations:
    """Lists, adds, removes and pauses streams.

    Args:
        show: what is known of the streams.
        settings: how a stream of that name is watched.
        control: changes the run; None where it cannot be changed.
        may_control: whether visitors may add and remove streams: only where a token is needed.
        most_live: how many live updates may be open at once.
        let_live: takes a request out of the limits of others, for it lasts.
    """

    def __init__(
        self,
        show: Show,
        settings: Callable[[str], StreamSettings],
        control: RunControl | None,
        may_control: bool,
        most_live: int,
        let_live: Callable[[web.Request], None],
    ) -> None:
        self._show = show
        self._settings = settings
        self._control = control
        self._may_control = may_control
        self._most_live = most_live
        self._let_live = let_live
        self._live: set[asyncio.Task[Any]] = set()

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        one, changes = "/streams/{name}", (404, 409, 503)
        return (
            Operation("GET", "/streams", "List streams", self._list, StreamList),
            Operation("GET", one, "Get a stream", self._one, Stream, errors=(404,)),
            Operation(
                "GET",
                f"{one}/picture",
                "Get a stream's newest picture",
                self._picture,
                JPEG,
                errors=(404,),
            ),
            Operation(
                *("POST", "/streams", "Watch another source", self._add, Added, 201),
                body=Source,
                role="write",
                errors=(409, 503),
            ),
            Operation(
                *("DELETE", one, "End a stream", self._remove, None, 204),
                role="write",
                errors=changes,
            ),
            Operation(
                *("POST", f"{one}/pause", "Stop reading a stream", self._pause, None, 204),
                role="write",
                errors=changes,
            ),
            Operation(
                *("POST", f"{one}/resume", "Read a paused stream", self._resume, None, 204),
                role="write",
                errors=changes,
            ),
            Operation(
                "GET",
                "/live",
                "Get predictions, events and health as server-sent events",
                self._updates,
                SERVER_SENT_EVENTS,
                query=LiveQuery,
                errors=(503,),
            ),
        )

    async def close(self) -> None:
        """End all live updates."""
        for task in self._live:
            task.cancel()
        if self._live:
            await asyncio.wait(self._live, timeout=0.2)

    async def _list(self, call: Call) -> StreamList:
        newest = self._newest()
        found = (self._stream(name, newest) for name in self._show.board.streams)
        there = tuple(stream for stream in found if stream.state != REMOVED)
        return StreamList(there, tuple(self._show.about.get("labels", ())))

    async def _one(self, call: Call) -> Stream:
        return self._stream(self._name(call), self._newest())

    def _newest(self) -> dict[str, list[Newest]]:
        found: dict[str, list[Newest]] = {}
        changes = self._show.board.since(0)
        for facts in changes.predictions:
            one = Newest(
                view=facts.get("view", ""),
                label=facts["label"],
                score=facts["score"],
                time_s=facts["time_s"],
                at=facts.get("at"),
                box=facts.get("box"),
            )
            found.setdefault(changes.streams[facts["stream"]], []).append(one)
        return found

    def _stream(self, name: str, newest: dict[str, list[Newest]]) -> Stream:
        facts = self._show.health.get(name, Health()).as_dict()
        del facts["frames"], facts["dropping"]
        return Stream(
            name=name,
            newest=tuple(newest.get(name, ())),
            settings=self._settings(name),
            **facts,
        )

    def _name(self, call: Call) -> str:
        name = call.path("name")
        if name not in self._show.board.streams:
            raise _no_stream(name)
        return name

    async def _picture(self, call: Call) -> web.Response:
        jpeg = await self._show.encode(self._name(call), SMALL_PX)
        if jpeg is None:
            raise ApiError(404, "the stream has no picture yet")
        return web.Response(body=jpeg, content_type=JPEG)

    async def _add(self, call: Call) -> Added:
        source = {key: value for key, value in msgspec.structs.asdict(call.body).items() if value}
        return Added(await self._change(lambda control: control.add(source)))

    async def _remove(self, call: Call) -> None:
        await self._change_one(call, lambda control: control.remove)

    async def _pause(self, call: Call) -> None:
        await self._change_one(call, lambda control: control.pause)

    async def _resume(self, call: Call) -> None:
        await self._change_one(call, lambda control: control.resume)

    async def _change_one(
        self, call: Call, method: Callable[[RunControl], Callable[[str], None]]
    ) -> None:
        try:
            await self._change(lambda control: method(control)(call.path("name")))
        except ConfigError as error:  # the request makes sense, but not now
            raise ApiError(409, str(error)) from error

    async def _change(self, change: Callable[[RunControl], Any]) -> Any:
        """Change the run, in another thread.

        Raises:
            ApiError: it cannot be changed, or has no such stream.
            ConfigError: it cannot be changed so.
        """
        return await self._asked(change, self._may_control)

    async def ask(self, change: Callable[[RunControl], Any]) -> Any:
        """Ask the run, or change what is harmless; raises as `_change` does."""
        return await self._asked(change, True)

    async def _asked(self, change: Callable[[RunControl], Any], may_control: bool) -> Any:
        try:
            return await change_run(self._control, may_control, change)
        except KeyError as error:
            raise _no_stream(str(error.args[0] if error.args else "")) from error
        except OSError as error:
            raise ApiError(503, f"this cannot be kept: {error}") from error

    async def _updates(self, call: Call) -> web.StreamResponse:
        if len(self._live) >= self._most_live:
            raise ApiError(503, "too many live updates are open; close one, or raise web.viewers")
        task = asyncio.current_task()
        assert task is not None
        self._live.add(task)
        response = web.StreamResponse(headers={"Content-Type": SERVER_SENT_EVENTS})
        try:
            await response.prepare(call.request)
            self._let_live(call.request)
            await self._send_updates(response, set(call.query.stream))
        except (TimeoutError, ConnectionError):
            if call.request.transport is not None:
                call.request.transport.abort()
        finally:
            self._live.discard(task)
        with contextlib.suppress(ConnectionError):
            await response.write_eof()
        return response

    async def _send_updates(self, response: web.StreamResponse, wanted: set[str]) -> None:
        show, version, readings = self._show, 0, -1
        loop = asyncio.get_running_loop()
        said_s = loop.time()
        while True:
            changes = show.board.since(version)
            version = changes.version
            names = changes.streams
            news = [("prediction", names[one["stream"]], one) for one in changes.predictions]
            news += [("event", names[one["stream"]], one) for one in changes.events]
            if readings != show.readings:
                readings = show.readings
                news += [("health", name, one.as_dict()) for name, one in show.health.items()]
            lines = [
                f"event: {kind}\ndata: {json.dumps({**facts, 'stream': name})}\n\n"
                for kind, name, facts in news
                if name in wanted or not wanted
            ]
            if not lines and loop.time() - said_s > _SILENT_S:
                lines = [": still here\n\n"]
            if lines:
                said_s = loop.time()
                async with asyncio.timeout(SLOW_S):
                    await response.write("".join(lines).encode("ascii"))
            await asyncio.sleep(_TICK_S)


def _no_stream(name: str) -> ApiError:
    return ApiError(404, f"there is no stream {name[:100]!r}; GET /api/streams lists them")
