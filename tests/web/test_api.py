"""The HTTP API, asked over real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

import aiohttp

from ecolite_stream.app.versions import Version, find_version, list_versions
from ecolite_stream.config.drawn_views import DrawnViews
from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.sinks.alert_book import AlertBook
from ecolite_stream.types import Box, Frame, Prediction
from ecolite_stream.web.api.limits import RateLimit
from ecolite_stream.web.teaching import TeachingProcess
from tests.sinks.test_alert_book import book_at
from tests.videos import numbered_image, write_numbered_video
from tests.waiting import eventually
from tests.web.asking import ask
from tests.web.conftest import Page, served
from tests.web.history import history

pytestmark = pytest.mark.timeout(60)

TOKEN, READER = "t" * 20, "r" * 20
NO_EVENT = "01a223ea-2b97-7dd0-98cb-eebeef58b95d"


NOWHERE = Path("no/such/folder")


class Streams:
    """A run that notes what it is asked to do."""

    def __init__(self, alerts: AlertBook | None = None) -> None:
        self.there = ["door", "yard", "<i>gate"]
        self.done: list[tuple[str, object]] = []
        self.drawn: dict[str, DrawnViews] = {}
        self.is_full = False
        self.alerts = alerts

    def names(self) -> list[str]:
        return self.there

    def add(self, source: dict[str, Any]) -> str:
        if source["url"] == "nowhere":
            raise ConfigError("nowhere does not exist")
        self.done.append(("add", source))
        return str(source.get("name", source["url"]))

    def remove(self, name: str) -> None:
        self._do("remove", name)
        self.there.remove(name)

    def pause(self, name: str) -> None:
        if ("pause", name) in self.done:
            raise ConfigError(f"stream {name!r} is paused already")
        self._do("pause", name)

    def resume(self, name: str) -> None:
        self._do("resume", name)

    def views(self, name: str) -> tuple[DrawnViews, bool]:
        if name not in self.there:
            raise KeyError(name)
        return self.drawn.get(name, DrawnViews(("center",))), name in self.drawn

    def set_views(self, name: str, drawn: DrawnViews | None) -> None:
        if self.is_full:
            raise OSError("no space left on device")
        self.views(name)
        self.drawn.pop(name, None)
        if drawn is not None:
            self.drawn[name] = drawn

    @property
    def bundle(self) -> Bundle:
        return read_bundle(demo_bundle_path())

    def versions(self) -> list[Version]:
        return list_versions(NOWHERE)

    def add_version(self, path: Path) -> str:
        raise AssertionError("nothing is taught here")

    def set_bundle(self, digest_or_path: str) -> None:
        self.done.append(("set_bundle", find_version(digest_or_path, NOWHERE).digest))

    def on_bundle(self, call: object) -> None:
        pass

    def _do(self, what: str, name: str) -> None:
        if name not in self.there:
            raise KeyError(name)
        self.done.append((what, name))


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Page]:
    """A page with 25 stored events, and no token."""
    url, ids = history(tmp_path, 25)
    with served(clips=tmp_path, store=url) as page:
        page.ids = ids  # type: ignore[attr-defined]
        yield page


def got(page: Page, path: str, **options: Any) -> Any:
    status, headers, body = ask(page, f"/api{path}", **options)
    assert status == 200, body
    assert headers["Content-Type"] == "application/json"
    return json.loads(body)


def refused(page: Page, path: str, method: str = "GET", **options: Any) -> tuple[int, str]:
    status, headers, body = ask(page, f"/api{path}", method, **options)
    assert headers["Content-Type"] == "application/json"
    return status, json.loads(body)["error"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# Events


def test_pages_of_events_follow_one_another(api: Page) -> None:
    ids: list[str] = []
    cursor = ""
    while cursor is not None:
        found = got(api, f"/events?limit=10{cursor and '&cursor='}{cursor}")
        ids += [event["id"] for event in found["events"]]
        cursor = found["next"]
    assert ids == api.ids  # type: ignore[attr-defined]


def test_an_event_has_everything_the_store_knows(api: Page) -> None:
    (first,) = got(api, "/events?limit=1")["events"]
    assert first == got(api, f"/events/{first['id']}")
    assert first["started_at"] == "2026-11-28T10:24:00.000Z"
    assert (first["duration_s"], first["box"]) == (8.0, [0.25, 0.2, 0.4, 0.6])
    assert (first["stream"], first["label"], first["review"]) == ("door", "walk", None)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("stream=door", 13),
        ("stream=door&stream=yard", 25),
        ("stream=nobody", 0),
        ("label=walk&label=run", 13),
        ("min_score=0.8", 5),
        ("since=2026-11-28T10:20:00Z", 5),
        ("until=2026-11-28T11:05:00%2B01:00", 5),
        ("review=none", 25),
        ("review=right", 0),
    ],
)
def test_filters(api: Page, query: str, count: int) -> None:
    assert len(got(api, f"/events?{query}")["events"]) == count


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "Expected `int` >= 1 - at `$.limit`"),
        ("limit=201", "Expected `int` <= 200"),
        ("limit=many", "Expected `int`, got `str` - at `$.limit`"),
        ("min_score=2", "Expected `float` <= 1.0"),
        ("since=yesterday", "Invalid RFC3339 encoded datetime - at `$.since`"),
        ("since=2026-11-28T10:20:00", "timezone"),
        ("cursor=2", "matching regex"),
        ("review=maybe", "Invalid enum value 'maybe'"),
        ("lable=walk", "unknown parameter 'lable'; expected since, until, stream, label"),
        ("limit=1&limit=2", "limit is there 2 times; expected one"),
        ("since=null", "since is 'null'"),
        ("&".join(f"stream=s{n}" for n in range(17)), "length <= 16"),
        ("&".join(f"stream=s{n}&label=l{n}" for n in range(9)), "at most 64 pairs"),
    ],
)
def test_filters_that_make_no_sense_say_what_was_expected(
    api: Page, query: str, words: str
) -> None:
    status, error = refused(api, f"/events?{query}")
    assert status == 400
    assert words in error


def test_pictures_and_clips(api: Page, tmp_path: Path) -> None:
    newest = api.ids[0]  # type: ignore[attr-defined]
    status, headers, body = ask(api, f"/api/events/{newest}/picture")
    assert (status, headers["Content-Type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert refused(api, f"/events/{newest}/clip")[0] == 404
    write_numbered_video(tmp_path / f"{newest}.mp4", 25, codec="libx264")
    status, headers, body = ask(api, f"/api/events/{newest}/clip", headers={"Range": "bytes=0-99"})
    assert (status, headers["Content-Type"], len(body)) == (206, "video/mp4", 100)


def test_review_keep_and_delete(api: Page) -> None:
    path = f"/events/{api.ids[3]}"  # type: ignore[attr-defined]
    words = {"review": "label", "label": "wave2", "note": "both hands"}
    event = got(api, f"{path}/review", method="PUT", json=words)
    assert (event["review"], event["review_label"], event["note"]) == (
        "label",
        "wave2",
        "both hands",
    )
    assert got(api, f"{path}/keep", method="PUT", json={"keep": True})["keep"] is True
    assert got(api, "/events?review=label")["events"] == [got(api, path)]
    assert got(api, f"{path}/review", method="PUT", json={"review": "none"})["review"] is None
    assert ask(api, f"/api{path}", "DELETE")[0] == 204
    for method, rest, body in (
        ("GET", "", None),
        ("GET", "/picture", None),
        ("GET", "/clip", None),
        ("DELETE", "", None),
        ("PUT", "/review", {"review": "right"}),
        ("PUT", "/keep", {"keep": False}),
    ):
        status, error = refused(api, path + rest, method, json=body)
        assert status == 404
        assert "gone" in error


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "missing required field `review`"),
        ({"review": "good"}, "Invalid enum value 'good'"),
        ({"review": "label"}, "needs the right label"),
        ({"review": "right", "label": "walk"}, "only that one takes one"),
        ({"review": "right", "nte": ""}, "unknown field `nte`"),
        ([], "Expected `object`, got `array`"),
        ({"review": "right", "note": "x" * 501}, "length <= 500"),
    ],
)
def test_reviews_that_make_no_sense(api: Page, body: object, words: str) -> None:
    path = f"/events/{api.ids[0]}/review"  # type: ignore[attr-defined]
    status, error = refused(api, path, "PUT", json=body)
    assert status == 400
    assert words in error
    assert got(api, "/events?limit=1")["events"][0]["review"] is None


def test_bodies_that_are_no_json_or_too_large(api: Page) -> None:
    path = f"/events/{api.ids[0]}/keep"  # type: ignore[attr-defined]
    json_type = {"Content-Type": "application/json"}
    assert refused(api, path, "PUT", data="keep")[0] == 415
    assert refused(api, path, "PUT", data=b"{", headers=json_type)[0] == 400
    assert refused(api, path, "PUT", data=b"\xff", headers=json_type)[0] == 400
    assert refused(api, path, "PUT", data=b"[" * 4000, headers=json_type)[0] == 400
    assert refused(api, path, "PUT", data=b" " * 5000, headers=json_type)[0] == 413


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/none", 404),
        ("GET", "/", 404),
        ("GET", "/events/1", 404),
        ("GET", f"/events/{NO_EVENT}", 404),
        ("GET", f"/events/{NO_EVENT.upper()}", 404),
        ("POST", "/events", 405),
        ("GET", "/streams/nobody", 404),
        ("GET", "/streams/door/picture", 404),
    ],
)
def test_what_is_not_there(api: Page, method: str, path: str, expected: int) -> None:
    assert refused(api, path, method)[0] == expected


def test_a_run_without_a_store_says_so(page: Page) -> None:
    status, error = refused(page, "/events")
    assert (status, error) == (503, "this run stores no events; start it with --store URL")


def test_a_store_that_comes_later_is_found(tmp_path: Path) -> None:
    with served(store=f"sqlite:///{tmp_path}/events.db") as page:
        status, error = refused(page, "/events")
        assert status == 503
        assert "there is no" in error
        history(tmp_path, 1)
        assert len(got(page, "/events")["events"]) == 1


# Streams


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


# Who may


def test_tokens() -> None:
    with served(token=TOKEN, read_tokens=f"{READER} {'s' * 20}", control=Streams()) as page:
        assert refused(page, "/streams")[0] == 401
        assert refused(page, "/openapi.json")[0] == 401
        assert refused(page, "/streams", headers=bearer("x" * 20))[0] == 401
        for token in (TOKEN, READER, "s" * 20):
            assert got(page, "/streams", headers=bearer(token))
        assert refused(page, "/streams/door/pause", "POST", headers=bearer(READER))[0] == 403
        assert ask(page, "/api/streams/door/pause", "POST", headers=bearer(TOKEN))[0] == 204
        _, headers, _ = ask(page, "/session", "POST", data=READER)
        cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
        assert got(page, "/streams", headers=cookie)  # who reads may open the page, too
        assert refused(page, "/streams/yard/pause", "POST", headers=cookie)[0] == 403


def test_tokens_cannot_be_guessed() -> None:
    with served(token=TOKEN) as page:
        statuses = [refused(page, "/streams", headers=bearer(f"{n:020}"))[0] for n in range(12)]
        assert statuses[:9] == [401] * 9
        assert statuses[-1] == 429
        assert refused(page, "/streams", headers=bearer(TOKEN))[0] == 429


def test_read_tokens_need_a_token() -> None:
    with (
        pytest.raises(ConfigError, match=r"read_tokens needs web\.token"),
        served(read_tokens=READER),
    ):
        pass
    with pytest.raises(ConfigError, match="16 letters"), served(token=TOKEN, read_tokens="short"):
        pass


def test_other_sites_are_refused_in_json(page: Page) -> None:
    assert refused(page, "/streams", headers={"Origin": "http://evil.example"})[0] == 403
    assert refused(page, "/streams", headers={"Host": "evil.example"})[0] == 421


def test_too_many_requests() -> None:
    with served(api_per_s=1) as page:
        statuses = [ask(page, "/api/streams")[0] for _ in range(6)]
        assert statuses[:3] == [200, 200, 200]
        status, headers, _ = ask(page, "/api/streams")
        assert (status, int(headers["Retry-After"]) >= 1) == (429, True)


def test_a_rate_limit_fills_again() -> None:
    now_s = [0.0]
    limit = RateLimit(2.0, lambda: now_s[0])
    assert [limit.wait_s("a") for _ in range(7)] == [0] * 6 + [1]
    assert limit.wait_s("b") == 0
    now_s[0] = 0.5
    assert (limit.wait_s("a"), limit.wait_s("a")) == (0, 1)
    for number in range(2000):
        limit.wait_s(str(number))
    assert limit.wait_s("a") == 0  # it was forgotten


# The document


def test_the_document_describes_every_operation(page: Page) -> None:
    document = got(page, "/openapi.json")
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named <= set(document["components"]["schemas"])
    assert document["openapi"] == "3.1.0"
    found = {
        f"{method.upper()} {path}" for path, one in document["paths"].items() for method in one
    }
    assert {"GET /api/events", "PUT /api/events/{id}/review", "GET /api/live"} <= found
    query = {p["name"]: p for p in document["paths"]["/api/events"]["get"]["parameters"]}
    assert query["limit"]["schema"]["maximum"] == 200
    assert query["since"]["schema"]["format"] == "date-time"
    review = document["components"]["schemas"]["Review"]
    assert review["required"] == ["review"]
    assert review["additionalProperties"] is False


FUZZED = int(os.environ.get("ECOLITE_FUZZED", "20"))


@pytest.mark.timeout(3600)
def test_a_fuzzer_finds_no_fault(tmp_path: Path) -> None:
    """Schemathesis reads the document and sends what fits it, and what does not."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    url, _ = history(tmp_path, 25)
    sink = CollectSink(CollectConfig(tmp_path / "mine"))
    for number in range(20):
        sink.show(Frame("door", number, number / 10, numbered_image(number)), True)
    teaching = TeachingProcess((sys.executable, "-c", ""))
    run = {
        "control": Streams(book_at(tmp_path / "alerts.yaml")),
        "collecting": sink,
        "clips": tmp_path,
        "teaching": teaching,
    }
    with served(store=url, token=TOKEN, api_per_s=100_000, **run) as page:  # type: ignore[arg-type]
        page.show("door", 1)
        base = f"http://127.0.0.1:{page.port}"
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{base}/api/openapi.json"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--no-color", "--seed", "8"),
            *("--max-examples", str(FUZZED), "--exclude-path", "/api/live"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_schema_conformance,unsupported_method"),
            *("--generation-database", "none", "--request-timeout", "60"),
            *("--suppress-health-check", "all"),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=3600, check=False, cwd=tmp_path
        )
        print(done.stdout[-1000:])  # how many requests there were
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
