"""Streams, the bundle and live updates through the API, asked over real HTTP."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

import aiohttp

from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.types import Box, Prediction
from tests.waiting import eventually
from tests.web.api import READER, TOKEN, Streams, bearer, got, refused
from tests.web.asking import ask
from tests.web.conftest import Page, served

pytestmark = pytest.mark.timeout(60)


def test_streams_with_state_settings_and_labels(page: Page) -> None:
    page.metrics.state("door", "live")
    page.predict("door", "walk", 0.8)
    top = (("run", 0.7),)
    page.board.send(
        Prediction("yard", 1, 2.0, "run", 0.7, top, 1.0, view="gate", box=Box(0, 0, 0.5, 1))
    )
    eventually(lambda: got(page, "/streams/door")["state"] == "live")
    found = {stream["name"]: stream for stream in got(page, "/streams")["streams"]}
    assert list(found) == list(page.streams)
    assert found["door"]["newest"][0]["label"] == "walk"
    assert found["yard"]["newest"][0] | {"time_s": 0} == {
        "view": "gate",
        "label": "run",
        "score": 0.7,
        "time_s": 0,
        "at": None,
        "box": [0.0, 0.0, 0.5, 1.0],
    }
    assert found["door"]["settings"]["every_s"] == 0.5
    page.show("door", 5)
    status, headers, body = ask(page, "/api/streams/door/picture")
    assert (status, headers["Content-Type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")


def test_streams_are_changed_with_a_token_only() -> None:
    run = Streams()
    with served(control=run) as page:
        status, error = refused(page, "/streams", "POST", json={"url": "pattern"})
        assert (status, "web.token" in error) == (409, True)
        assert run.done == []
    with served(control=run, token=TOKEN) as page:
        who = {"headers": bearer(TOKEN)}
        body = {"url": "rtsp://me:secret@host/door", "name": "hall"}
        status, _, answer = ask(page, "/api/streams", "POST", json=body, **who)
        assert (status, json.loads(answer)) == (201, {"name": "hall"})
        gate = f"/api/streams/{quote('<i>gate', safe='')}"
        assert ask(page, f"{gate}/pause", "POST", **who)[0] == 204
        assert refused(page, f"{gate[4:]}/pause", "POST", **who)[0] == 409
        assert ask(page, f"{gate}/resume", "POST", **who)[0] == 204
        assert ask(page, gate, "DELETE", **who)[0] == 204
        assert refused(page, gate[4:], "DELETE", **who)[0] == 404
        status, error = refused(page, "/streams", "POST", json={"url": "nowhere"}, **who)
        assert (status, error) == (400, "nowhere does not exist")
        eventually(lambda: len(got(page, "/streams", **who)["streams"]) == 2)
    name = "<i>gate"
    assert run.done == [("add", body), ("pause", name), ("resume", name), ("remove", name)]


def test_the_bundle_is_shown_and_changed(page: Page) -> None:
    run, embedded = Streams(), read_bundle(demo_bundle_path())
    with served(control=run) as page_without_token:
        found = got(page_without_token, "/bundle")
        assert found["digest"] == embedded.digest
        assert found["labels"] == list(embedded.spec.labels)
        (version,) = found["versions"]
        assert (version["name"], version["created"], version["is_current"]) == (
            "embedded",
            None,
            True,
        )
        body = {"bundle": embedded.digest}
        assert ask(page_without_token, "/api/bundle", "PUT", json=body)[0] == 204
    with served(control=run, token=TOKEN, read_tokens=READER) as other:
        who, reader = {"headers": bearer(TOKEN)}, {"headers": bearer(READER)}
        assert ask(other, "/api/bundle", "PUT", json=body, **who)[0] == 204
        assert refused(other, "/bundle", "PUT", json=body, **reader)[0] == 403
        assert got(other, "/bundle", **reader)["digest"] == embedded.digest
        for path in (str(embedded.path), "/etc", "../..", "/\0", "\ud800", "0" * 64):
            status, error = refused(other, "/bundle", "PUT", json={"bundle": path}, **who)
            assert status in (400, 409), error
            assert "\n" not in error
        for wrong in ({"bundle": ""}, {"path": "x"}, {"bundle": "x" * 1001}):
            assert refused(other, "/bundle", "PUT", json=wrong, **who)[0] == 400
    assert run.done == [("set_bundle", embedded.digest)] * 2
    assert refused(page, "/bundle")[0] == 503


def test_live_updates(page: Page) -> None:
    page.predict("yard", "walk")

    async def run() -> list[str]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{page.port}/api/live?stream=yard") as answer,
        ):
            assert answer.content_type == "text/event-stream"
            page.predict("door", "run")
            page.begin("yard", "wave2")
            lines: list[str] = []
            while not any("wave2" in line for line in lines):
                lines.append((await answer.content.readline()).decode())
            return lines

    lines = asyncio.run(asyncio.wait_for(run(), 20))
    assert not any('"door"' in line for line in lines)
    kinds = [line.removeprefix("event: ").strip() for line in lines if line.startswith("event")]
    assert {"prediction", "event", "health"} >= set(kinds) >= {"prediction", "event"}
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data")]
    assert {facts["stream"] for facts in data} == {"yard"}


def test_live_updates_are_bounded() -> None:
    async def run(page: Page) -> int:
        url = f"http://127.0.0.1:{page.port}/api/live"
        async with aiohttp.ClientSession() as session, session.get(url) as one:
            assert one.status == 200
            async with session.get(url) as other:
                return other.status

    with served(viewers=1) as page:
        assert asyncio.run(run(page)) == 503
