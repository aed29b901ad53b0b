"""Views and alert rules through the API, asked over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.config.drawn_views import DrawnViews
from ecolite_stream.config.views import ViewConfig
from tests.sinks.test_alert_book import book_at
from tests.web.api import READER, TOKEN, Streams, bearer, got, refused
from tests.web.asking import ask
from tests.web.conftest import Page, served

pytestmark = pytest.mark.timeout(60)

DOOR = {"region": "door", "box": [0.1, 0.2, 0.3, 0.5]}
NIGHT = {"target": "phone", "labels": ["run"], "min_score": 0.8, "min_s": 3}


@pytest.fixture
def run(tmp_path: Path) -> Streams:
    return Streams(book_at(tmp_path / "alerts.yaml"))


@pytest.fixture
def page(run: Streams) -> Iterator[Page]:
    with served(control=run) as page:
        yield page


def test_views_are_changed_and_reset(page: Page, run: Streams) -> None:
    path = f"/streams/{quote('<i>gate', safe='')}/views"
    assert got(page, path) == {"views": ["center"], "mask": [], "drawn": False}
    body = {"views": ["follow", DOOR, {"subjects": 3}], "mask": [[0, 0, 0.2, 0.1]]}
    assert got(page, path, method="PUT", json=body) == {**body, "drawn": True}
    assert run.drawn["<i>gate"] == DrawnViews(
        ("follow", ViewConfig("door", (0.1, 0.2, 0.3, 0.5)), ViewConfig(subjects=3)),
        ((0.0, 0.0, 0.2, 0.1),),
    )
    assert got(page, path) == {**body, "drawn": True}
    assert got(page, path, method="DELETE")["drawn"] is False
    assert run.drawn == {}


def test_a_mask_of_as_many_points_as_there_may_be(page: Page, run: Streams) -> None:
    """As the page writes them: shares of the picture with all their digits."""
    mask = [[0.1 + 0.2 * (n % 97 + shape) / 131 for n in range(64)] for shape in range(32)]
    assert got(page, "/streams/door/views", method="PUT", json={"mask": mask})["drawn"]
    assert run.drawn["door"].mask == tuple(map(tuple, mask))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"views": ["nowhere"]}, "Invalid enum value 'nowhere'"),
        ({"views": [{"region": "door"}]}, "box has 0 numbers"),
        ({"views": [{**DOOR, "box": [0.5, 0, 0.6, 1]}]}, "inside it and at least 0.01 wide"),
        ({"views": [{**DOOR, "box": [0.5, 0, 0, 1]}]}, "inside it and at least 0.01 wide"),
        ({"views": [{**DOOR, "box": [0, 0, 2, 1]}]}, "<= 1.0"),
        ({"views": [DOOR, DOOR]}, "views has 'door' twice"),
        ({"views": [{**DOOR, "region": "follow"}]}, "the name of another view"),
        ({"views": [{**DOOR, "region": "a/b"}]}, "the name of a region has / in it"),
        ({"views": [{**DOOR, "subjects": 2}]}, "a view is a region with its box, or subjects"),
        ({"views": [{"subjects": 100}]}, "<= 16"),
        ({"mask": [[0, 0, 1, 1]]}, "mask covers the whole picture"),
        ({"mask": [[0, 0, 1, 1, 1]]}, "mask 1 is"),
        ({"views": [DOOR], "mask": [DOOR["box"]]}, "mask covers the whole region 'door'"),
        ({"view": []}, "unknown field"),
    ],
)
def test_views_that_make_no_sense(
    page: Page, run: Streams, body: dict[str, Any], words: str
) -> None:
    status, error = refused(page, "/streams/door/views", "PUT", json=body)
    assert (status, run.drawn) == (400, {})
    assert words in error and "\n" not in error


def test_views_that_cannot_be_kept_and_streams_that_are_gone(page: Page, run: Streams) -> None:
    run.is_full = True
    status, error = refused(page, "/streams/door/views", "PUT", json={"views": [DOOR]})
    assert (status, error) == (503, "this cannot be kept: no space left on device")
    run.is_full = False
    for method, options in (("GET", {}), ("DELETE", {}), ("PUT", {"json": {"views": []}})):
        assert refused(page, "/streams/hall/views", method, **options)[0] == 404


def test_a_rule_is_made_changed_muted_and_removed(page: Page) -> None:
    found = got(page, "/alerts")
    assert [rule["name"] for rule in found["rules"]] == ["fixed"]
    assert [one["name"] for one in found["targets"]] == ["fixed", "phone"]
    assert found["targets"][1]["sends_to"] == ["command true"]
    path = f"/alerts/{quote('at night', safe='')}"
    hours = [{"days": ["fri"], "start": "22:00", "end": "06:00", "zone": "Europe/Berlin"}]
    made = got(page, path, method="PUT", json={**NIGHT, "hours": hours})
    assert made.items() >= {**NIGHT, "hours": hours, "name": "at night", "own": True}.items()
    assert made["sends_to"] == ["command true"] and made["fired_at"] is None
    assert got(page, path, method="PUT", json={**NIGHT, "min_s": 5})["min_s"] == 5
    muted = got(page, f"{path}/mute", method="PUT", json={"minutes": 30})
    assert muted["muted_until"] == "2026-11-28T10:30:00.000Z"
    assert got(page, f"{path}/mute", method="DELETE")["muted_until"] is None
    assert got(page, "/alerts/fixed/mute", method="PUT", json={"minutes": 1})["muted_until"]
    assert ask(page, f"/api{path}", "DELETE")[0] == 204
    assert len(got(page, "/alerts")["rules"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("PUT", "/alerts/x", {**NIGHT, "target": "siren"}, 400, "expected one of: fixed, phone"),
        ("PUT", "/alerts/x", {**NIGHT, "command": ["rm"]}, 400, "unknown field `command`"),
        ("PUT", "/alerts/x", {**NIGHT, "webhook": "http://x"}, 400, "unknown field `webhook`"),
        ("PUT", "/alerts/x", {"labels": ["run"]}, 400, "required field `target`"),
        ("PUT", "/alerts/x", {**NIGHT, "min_score": 2}, 400, "min_score"),
        ("PUT", "/alerts/x", {**NIGHT, "hours": [{"start": "25:00"}]}, 400, "expected HH:MM"),
        ("PUT", "/alerts/x", {**NIGHT, "hours": [{"zone": "Mars"}]}, 400, "Europe/Berlin"),
        ("PUT", "/alerts/fixed", NIGHT, 409, "change it there"),
        ("DELETE", "/alerts/fixed", None, 409, "remove it there"),
        ("DELETE", "/alerts/x", None, 404, "there is no rule 'x'"),
        ("PUT", "/alerts/x/mute", {"minutes": 5}, 404, "there is no rule 'x'"),
        ("PUT", "/alerts/fixed/mute", {"minutes": 0}, 400, "> 0"),
        ("DELETE", "/alerts/x/mute", None, 404, "there is no rule 'x'"),
    ],
)
def test_rules_that_make_no_sense(
    page: Page, method: str, path: str, body: dict[str, Any] | None, status: int, words: str
) -> None:
    options = {} if body is None else {"json": body}
    found, error = refused(page, path, method, **options)
    assert (found, "\n" in error) == (status, False)
    assert words in error
    assert len(got(page, "/alerts")["rules"]) == 1


def test_who_may_only_read_changes_nothing(run: Streams) -> None:
    with served(control=run, token=TOKEN, read_tokens=READER) as page:
        reader = {"headers": bearer(READER)}
        assert ask(page, "/api/alerts", **reader)[0] == 200
        assert ask(page, "/api/streams/door/views", **reader)[0] == 200
        for method, path, body in (
            ("PUT", "/streams/door/views", {"views": []}),
            ("DELETE", "/streams/door/views", None),
            ("PUT", "/alerts/x", NIGHT),
            ("DELETE", "/alerts/x", None),
            ("PUT", "/alerts/fixed/mute", {"minutes": 5}),
            ("DELETE", "/alerts/fixed/mute", None),
        ):
            assert refused(page, path, method, json=body, **reader)[0] == 403
        assert refused(page, "/alerts")[0] == 401


def test_a_run_without_alerts_says_so() -> None:
    with served(control=Streams()) as page:
        assert got(page, "/alerts") == {"rules": [], "targets": []}
        status, error = refused(page, "/alerts/x", "PUT", json=NIGHT)
        assert (status, error.endswith("name a target under alerts.targets")) == (409, True)
        assert json.loads(ask(page, "/api/openapi.json")[2])["paths"]["/api/alerts/{rule}"]
