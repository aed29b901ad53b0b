"""Asking a page over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from tests.videos import read_number
from tests.web.conftest import Page


def ask(
    page: Page, path: str, method: str = "GET", **options: Any
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer."""

    async def run() -> tuple[int, dict[str, str], bytes]:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{page.port}{path}"
            async with session.request(method, url, **options) as answer:
                return answer.status, dict(answer.headers), await answer.read()

    return asyncio.run(run())


def connected(
    page: Page,
    use: Callable[[aiohttp.ClientWebSocketResponse], Awaitable[Any]],
    headers: dict[str, str] | None = None,
) -> Any:
    async def run() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"ws://127.0.0.1:{page.port}/live", headers=headers, max_msg_size=0
            ) as live,
        ):
            return await use(live)

    return asyncio.run(run())


def refused_with(page: Page, headers: dict[str, str] | None = None) -> int:
    async def nothing(live: aiohttp.ClientWebSocketResponse) -> None:
        pass

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        connected(page, nothing, headers)
    return refused.value.status


async def next_json(
    live: aiohttp.ClientWebSocketResponse, wanted: Callable[[dict[str, Any]], Any]
) -> Any:
    """The first message that has what is wanted."""
    while True:
        message = await live.receive(timeout=20)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        if message.type is aiohttp.WSMsgType.TEXT and (found := wanted(json.loads(message.data))):
            return found


async def next_number(live: aiohttp.ClientWebSocketResponse) -> tuple[int, int, int]:
    """Of the next picture: number of its stream, number drawn into it, width."""
    while True:
        message = await live.receive(timeout=20)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        if message.type is aiohttp.WSMsgType.BINARY:
            stream = int.from_bytes(message.data[:4], "big")
            jpeg = np.frombuffer(message.data[4:], np.uint8)
            image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
            return stream, read_number(image), image.shape[1]


async def status(page: Page, path: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{page.port}{path}") as answer,
    ):
        return answer.status


def upgrade(host: str, origin: str = "") -> bytes:
    """A request for the connection, as a browser makes it."""
    lines = ["GET /live HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==", "Sec-WebSocket-Version: 13"]
    return "\r\n".join([*lines, *([f"Origin: {origin}"] if origin else []), "", ""]).encode()
