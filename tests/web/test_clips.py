"""Clips to teach with, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.datasets.collected import ClipRow, add_row, read_collected
from ecolite_stream.types import Box, Frame, Prediction
from tests.videos import write_numbered_video
from tests.web.api import READER, TOKEN, bearer, got, refused
from tests.web.asking import ask
from tests.web.conftest import Page, served
from tests.web.history import history

pytestmark = pytest.mark.timeout(60)

FPS = 10


@pytest.fixture
def sink(tmp_path: Path) -> CollectSink:
    sink = CollectSink(CollectConfig(tmp_path / "mine"))
    for number in range(8 * FPS):
        image = np.full((60, 80, 3), number, np.uint8)
        for stream in ("door", "<i>gate"):
            sink.show(Frame(stream, number, number / FPS, image), True)
    return sink


@pytest.fixture
def page(sink: CollectSink) -> Iterator[Page]:
    with served(collecting=sink) as page:
        yield page


def done(page: Page, path: str, method: str, body: Any, expected: int = 200) -> Any:
    status, _, answer = ask(page, f"/api{path}", method, json=body)
    assert status == expected, answer
    return json.loads(answer) if answer else None


def test_the_newest_seconds_are_kept_listed_moved_and_dropped(
    page: Page, sink: CollectSink
) -> None:
    gate = quote("<i>gate", safe="")
    made = done(page, f"/streams/{gate}/clips", "POST", {"label": "Arm heben", "seconds": 2}, 201)
    assert made["clip"].startswith("Arm heben/i-gate-20")
    listed = got(page, "/clips")
    assert listed["folder"] == str(sink.folder)
    assert (listed["total"], listed["doubles"]) == (1, [])
    (clip,) = listed["clips"]
    assert (clip["clip"], clip["stream"], clip["source"]) == (
        made["clip"],
        "<i>gate",
        "rtsp://<i>gate",
    )
    (action,) = listed["actions"]
    assert (action["label"], action["clips"], list(action["days"])) == (
        "Arm heben",
        1,
        [clip["start"][:10]],
    )
    assert listed["missing"][0].startswith("Arm heben has 1 clip: ten more of other days")

    path = f"/clips/{quote(clip['clip'])}"
    status, headers, body = ask(page, f"/api{path}", headers={"Range": "bytes=0-9"})
    assert (status, headers["Content-Type"], len(body)) == (206, "video/mp4", 10)
    moved = done(page, path, "PUT", {"label": "wave"})
    assert moved["clip"].startswith("wave/")
    assert refused(page, path)[0] == 404
    assert ask(page, f"/api/clips/{moved['clip']}", "DELETE")[0] == 204
    assert got(page, "/clips")["total"] == 0
    assert read_collected(sink.folder) == {}


def test_a_part_of_the_list_the_newest_first(page: Page, sink: CollectSink) -> None:
    for number in range(5):
        name = f"fall/{number}.mp4"
        (sink.folder / "fall").mkdir(parents=True, exist_ok=True)
        (sink.folder / name).write_bytes(b"same")
        add_row(sink.folder, ClipRow(name, "fall", start=f"2026-11-2{number}T20:00:00.000Z"))
    (sink.folder / "sit").mkdir()
    (sink.folder / "sit" / "own.mp4").write_bytes(b"own")
    found = got(page, "/clips?label=fall&offset=1&limit=2")
    assert found["total"] == 5
    assert [clip["clip"] for clip in found["clips"]] == ["fall/3.mp4", "fall/2.mp4"]
    assert len(found["doubles"]) == 4
    assert [clip["clip"] for clip in got(page, "/clips")["clips"]][-1] == "sit/own.mp4"


def test_a_clip_is_cut_by_the_region_that_is_watched(sink: CollectSink) -> None:
    top = (("walk", 0.9),)
    box = Box(0.5, 0, 0.5, 1)
    for time_s in range(8):
        sink.send(Prediction("door", 1, time_s, "walk", 0.9, top, 1.0, view="gate", box=box))
    with served(collecting=sink, views=("gate",)) as page:
        done(page, "/streams/door/clips", "POST", {"label": "a", "seconds": 2}, 201)
    with served(collecting=sink, views=("gate", "subjects")) as page:
        done(page, "/streams/door/clips", "POST", {"label": "b", "seconds": 2}, 201)
        body = {"label": "c", "seconds": 2, "view": "gate"}
        done(page, "/streams/door/clips", "POST", body, 201)
        status, error = refused(
            page, "/streams/door/clips", "POST", json={**body, "view": "subject 9"}
        )
        assert (status, "no view 'subject 9' now; views: gate" in error) == (400, True)
    views = {row.label: row.view for row in read_collected(sink.folder).values()}
    assert views == {"a": "gate", "b": "", "c": "gate"}


@pytest.mark.parametrize(
    ("stream", "body", "status", "words"),
    [
        ("door", {"label": "../up", "seconds": 2}, 400, "expected a name of one line"),
        ("door", {"label": "a\nb", "seconds": 2}, 400, "expected a name of one line"),
        ("door", {"label": "x" * 101, "seconds": 2}, 400, "length <= 100"),
        ("door", {"label": "fall", "seconds": 0.1}, 400, ">= 0.5"),
        ("door", {"label": "fall", "seconds": 1e9}, 400, "<= 20"),
        ("door", {"label": "fall"}, 400, "missing required field `seconds`"),
        ("yard", {"label": "fall", "seconds": 2}, 404, "no pictures of a stream 'yard'"),
    ],
)
def test_what_cannot_be_a_clip(
    page: Page, sink: CollectSink, stream: str, body: object, status: int, words: str
) -> None:
    found, error = refused(page, f"/streams/{stream}/clips", "POST", json=body)
    assert (found, words in error) == (status, True), error
    assert not sink.folder.exists()


@pytest.mark.parametrize("name", ["fall/none.mp4", "..%2Fup/x.mp4", "fall/..%2F..%2Fsecret.mp4"])
def test_nothing_but_clips_can_be_named(page: Page, sink: CollectSink, name: str) -> None:
    secret = sink.folder.parent / "secret.mp4"
    secret.write_bytes(b"1")
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"label": "fall"})):
        assert refused(page, f"/clips/{name}", method, json=body)[0] == 404
    assert secret.exists()


def test_a_full_disk_is_one_line_and_the_page_goes_on(
    page: Page, sink: CollectSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, image: object, time_s: float) -> None:
        raise OSError("a.part: cannot be written: No space left on device")

    body = {"label": "fall", "seconds": 2}
    with monkeypatch.context() as patch:
        patch.setattr("ecolite_stream.datasets.collecting.Mp4Writer.add", full)
        status, error = refused(page, "/streams/door/clips", "POST", json=body)
    assert (status, "No space left on device; nothing that is there was lost" in error) == (
        503,
        True,
    )
    done(page, "/streams/door/clips", "POST", body, 201)


def test_only_the_token_that_writes_collects(sink: CollectSink) -> None:
    body = {"label": "fall", "seconds": 2}
    with served(collecting=sink, token=TOKEN, read_tokens=READER) as page:
        assert ask(page, "/api/streams/door/clips", "POST", json=body)[0] == 401
        for token, expected in ((READER, 403), (TOKEN, 201)):
            headers = bearer(token)
            status, _, _ = ask(page, "/api/streams/door/clips", "POST", json=body, headers=headers)
            assert status == expected
        assert b"login.js" in ask(page, "/teach")[2]
        assert ask(page, "/api/clips", headers=bearer(READER))[0] == 200


def test_a_run_that_collects_nothing_says_so() -> None:
    with served() as page:
        for method, path, body in (
            ("GET", "/clips", None),
            ("POST", "/streams/door/clips", {"label": "fall", "seconds": 2}),
            ("POST", "/clips/from-events", None),
            ("DELETE", "/clips/a/b.mp4", None),
        ):
            status, error = refused(page, path, method, json=body)
            assert (status, "start it with --collect DIR" in error) == (503, True)


def test_corrected_events_become_clips(tmp_path: Path, sink: CollectSink) -> None:
    url, ids = history(tmp_path, 3)
    for event_id in ids[:2]:
        write_numbered_video(tmp_path / f"{event_id}.mp4", 50, codec="libx264")
    with served(collecting=sink, store=url) as page:
        status, error = refused(page, "/clips/from-events", "POST")
        assert (status, "start it with --clips FOLDER" in error) == (409, True)
    with served(collecting=sink, store=url, clips=tmp_path) as page:
        reviews = ({"review": "wrong"}, {"review": "label", "label": "fall"}, {"review": "wrong"})
        for event_id, review in zip(ids, reviews, strict=True):
            done(page, f"/events/{event_id}/review", "PUT", review)
        made = done(page, "/clips/from-events", "POST", None)
        assert (made["made"], made["left"]) == (2, 0)
        assert f"event {ids[2]}: its clip" in made["problems"][0]
        assert done(page, "/clips/from-events", "POST", None)["made"] == 0
        listed = got(page, "/clips")
    assert {clip["clip"] for clip in listed["clips"]} == {
        f"nothing/event-{ids[0]}.mp4",
        f"fall/event-{ids[1]}.mp4",
    }


def test_two_pages_make_no_event_a_clip_twice(tmp_path: Path, sink: CollectSink) -> None:
    url, (event_id,) = history(tmp_path, 1)
    write_numbered_video(tmp_path / f"{event_id}.mp4", 50, codec="libx264")
    with served(collecting=sink, store=url, clips=tmp_path) as page:
        done(page, f"/events/{event_id}/review", "PUT", {"review": "wrong"})
        with ThreadPoolExecutor(3) as pages:
            asked = [pages.submit(done, page, "/clips/from-events", "POST", None) for _ in "123"]
        assert sorted(one.result()["made"] for one in asked) == [0, 0, 1]


def test_a_name_that_is_no_utf8_is_shown_escaped(tmp_path: Path) -> None:
    sink = CollectSink(CollectConfig(tmp_path / "mine\udcff"))
    with served(collecting=sink) as page:
        assert got(page, "/clips")["folder"].endswith("mine\udcff")
