"""Events through the API, asked over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from tests.videos import write_numbered_video
from tests.web.api import NO_EVENT, got, refused
from tests.web.asking import ask
from tests.web.conftest import Page, served
from tests.web.history import history

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Page]:
    """A page with 25 stored events, and no token."""
    url, ids = history(tmp_path, 25)
    with served(clips=tmp_path, store=url) as page:
        page.ids = ids  # type: ignore[attr-defined]
        yield page


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
    assert refused(api, path, "PUT", data=b" " * 70_000, headers=json_type)[0] == 413


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
        assert "events.db does not exist" in error
        history(tmp_path, 1)
        assert len(got(page, "/events")["events"]) == 1
