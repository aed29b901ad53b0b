"""One page that is open somewhere, and the one connection it has."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from ecolite_stream.observability.sink_health import SinkHealth
from ecolite_stream.observability.stream_health import Health
from ecolite_stream.types import Frame
from ecolite_stream.web.latest_frames import LARGE_PX, SMALL_PX, LatestFrames
from ecolite_stream.web.page_state import PageState

TICK_S = 0.1
SLOW_S = 5.0
"""A viewer that does not take what it is sent for so long is let go."""


@dataclass
class Show:
    """What all viewers get to see.

    Attributes:
        board: predictions and events.
        gallery: pictures.
        encode: makes the JPEG of a stream at a width, in another thread; None without a picture.
        about: what a page gets first.
        health: of every stream by name, read once a second.
        sinks: the health of every sink, read then too.
        readings: how often it was read.
        period_s: seconds between two pictures of a stream, at least.
    """

    board: PageState
    gallery: LatestFrames
    encode: Callable[[str, int], Awaitable[bytes | None]]
    about: dict[str, Any]
    period_s: float
    health: Mapping[str, Health]
    sinks: list[SinkHealth]
    readings: int = 0


class Viewer:
    """Sends what has changed since it last did: nothing is queued, and a slow page sees less.

    It says which streams it wants pictures of, and which of them large:
    `{"watch": [0, 2], "large": 2}`. It is sent JSON, and pictures: four bytes with the number of
    the stream, most significant first, and a JPEG.
    """

    def __init__(self, socket: web.WebSocketResponse, show: Show) -> None:
        self._socket = socket
        self._show = show
        self._watched: tuple[int, ...] = ()
        self._large: int | None = None
        self._sent: dict[int, tuple[Frame, int, float]] = {}
        self._streams: tuple[str, ...] | None = None
        self._most_streams = 0
        self._labels: Sequence[str] | None = None
        self._version = 0
        self._readings = -1

    async def serve(self, let_go: Callable[[], object]) -> None:
        """Until it leaves, or is let go because it is too slow."""
        sending = asyncio.create_task(self._send_all(let_go))
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT or not self._wants(message.data):
                    break
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    def _wants(self, text: str) -> bool:
        """Take what a page says, and tell whether it made sense."""
        # A message may cross the news that a stream was removed.
        count = max(self._most_streams, len(self._show.board.streams))
        try:
            said = json.loads(text)
            watched, large = said["watch"], said.get("large")
            self._watched = tuple(sorted(set(_numbers(watched, count))))
            self._large = None if large is None else _numbers([large], count)[0]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False
        return True

    async def _send_all(self, let_go: Callable[[], object]) -> None:
        try:
            while True:
                await self._send_about()
                await self._send_changes()
                for number in self._watched:
                    await self._send_picture(number)
                await asyncio.sleep(TICK_S)
        except (TimeoutError, ConnectionError):  # it is gone, or as good as gone
            let_go()
        except Exception:
            let_go()  # it comes back, and whatever this was may be over
            raise

    async def _send_about(self) -> None:
        """What a page must know first, and everything again with another stream or bundle."""
        streams, labels = self._show.board.streams, self._show.about.get("labels")
        if streams != self._streams or labels != self._labels:
            self._streams, self._labels = streams, labels
            self._most_streams = max(self._most_streams, len(streams))
            self._version, self._readings, self._sent = 0, -1, {}
            await self._send({"kind": "about", **self._show.about, "streams": streams})

    async def _send_changes(self) -> None:
        show = self._show
        changes, streams = show.board.since(self._version), self._streams or ()
        if changes.streams != streams:
            return  # the page must know them first
        self._version = changes.version
        news: dict[str, Any] = {}
        if changes:
            news |= {"predictions": changes.predictions, "events": changes.events}
        if self._readings != show.readings:
            self._readings = show.readings
            news["health"] = [show.health.get(name, Health()).as_dict() for name in streams]
            news["sinks"] = [sink.as_dict() for sink in show.sinks]
        if news:
            await self._send({"kind": "news", "now_unix_s": time.time(), **news})

    async def _send_picture(self, number: int) -> None:
        show, now_s = self._show, asyncio.get_running_loop().time()
        if self._streams is None or number >= len(self._streams):
            return
        name = self._streams[number]
        frame = show.gallery.newest(name)
        width_px = LARGE_PX if number == self._large else SMALL_PX
        if frame is None:
            return
        if number in self._sent:
            sent, sent_px, sent_s = self._sent[number]
            if sent_px == width_px and (sent is frame or now_s - sent_s < show.period_s):
                return
        self._sent[number] = frame, width_px, now_s
        jpeg = await show.encode(name, width_px)
        if jpeg is None:
            return
        async with asyncio.timeout(SLOW_S):
            await self._socket.send_bytes(number.to_bytes(4, "big") + jpeg)

    async def _send(self, message: dict[str, Any]) -> None:
        async with asyncio.timeout(SLOW_S):
            await self._socket.send_str(json.dumps(message))


def _numbers(values: Iterable[Any], count: int) -> list[int]:
    """Numbers of streams, checked."""
    numbers = [value for value in values if type(value) is int and 0 <= value < count]
    if len(numbers) != len(list(values)):
        raise ValueError("no such stream")
    return numbers
