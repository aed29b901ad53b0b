"""The fleet in the API and on its page, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.fleet.config import (
    CameraConfig,
    Fleet,
    FleetConfig,
    MachineConfig,
    make_fleet,
)
from ecolite_stream.fleet.leases import CAMERA, MACHINE, SUPERVISOR
from ecolite_stream.fleet.ledger import Assignment, Holder, Ledger
from ecolite_stream.fleet.reports import MachineReport, Newest, StreamReport, write_report
from ecolite_stream.store.database import Database
from ecolite_stream.web.api.fleet import Place
from tests.web.asking import ask
from tests.web.browser import Browser, wait_for, window
from tests.web.conftest import Page, served

pytestmark = pytest.mark.timeout(120)

TOKEN, READER = "t" * 20, "r" * 20
AT = "2026-11-28T12:00:03.000Z"
BOXES = {
    "box-1": MachineConfig(2, site="north"),
    "box-2": MachineConfig(12),
    "box-3": MachineConfig(4),
}
ON_BOX_1, ON_BOX_2 = ("gate", "yard", "till"), ("door", "hall")
HOUR_MS = 3_600_000


def fleet() -> Fleet:
    config = FleetConfig("shop", Path("stream.yaml"), BOXES, {"till": CameraConfig(load=0.5)})
    return make_fleet(config, dict.fromkeys((*ON_BOX_1, *ON_BOX_2, "vault"), ""))


def report(streams: dict[str, StreamReport]) -> str:
    return MachineReport("c0ffee" * 8, streams).as_json()


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Two machines are up, one was never seen; nobody watches the vault."""
    url = f"sqlite:///{tmp_path}/events.db"
    database = Database(url, create=True)
    with Ledger(database, "shop").begin() as table:
        boxes = {name: Holder(name, f"{name}/process") for name in BOXES}
        table.acquire(SUPERVISOR, "", boxes["box-1"], HOUR_MS)
        for box, streams in (("box-1", ON_BOX_1), ("box-2", ON_BOX_2)):
            table.acquire(MACHINE, box, boxes[box], HOUR_MS)
            for stream in streams:
                table.acquire(CAMERA, stream, boxes[box], HOUR_MS)
        table.assign(
            {name: Assignment("box-1", 0.8) for name in ON_BOX_1}
            | {name: Assignment("box-2", 1.0) for name in ON_BOX_2}
        )
        walk = (Newest("", "walk", 0.8765, AT),)
        views = (Newest("<i>left", "run", 0.9, AT), Newest("right", "wave2", 0.5, AT))
        first = {
            "gate": StreamReport("live", 25.0, walk),
            "yard": StreamReport("live", 25.0, views),
        }
        write_report(table, "box-1", report({**first, "till": StreamReport("waiting")}))
        write_report(table, "box-2", report({"door": StreamReport("live", 12.5, walk)}))
    database.close()
    return url


def got(page: Page, path: str = "/api/fleet", token: str = READER) -> tuple[int, Any]:
    status, _, body = ask(page, path, headers={"Authorization": f"Bearer {token}"})
    return status, json.loads(body)


def test_the_whole_fleet_with_a_token_that_reads(url: str) -> None:
    place = Place(fleet(), "box-2")
    with served(store=url, place=place, token=TOKEN, read_tokens=READER) as page:
        assert ask(page, "/api/fleet")[0] == 401
        status, found = got(page)
        described = got(page, "/api/openapi.json")[1]
    assert status == 200
    assert (found["fleet"], found["answered_by"]) == ("shop", "box-2")
    assert [(one["machine"], one["state"], one["load"]) for one in found["machines"]] == [
        ("box-1", "up", 2.5),
        ("box-2", "up", 2.0),
        ("box-3", "never seen", 0),
    ]
    assert [one["supervisor"] for one in found["machines"]] == [True, False, False]
    assert found["machines"][0]["bundle"] == "c0ffee" * 8
    assert found["not_watched"] == ["vault"]
    cameras = {one["stream"]: one for one in found["cameras"]}
    assert {name: one["machine"] for name, one in cameras.items()} == {
        **dict.fromkeys(ON_BOX_1, "box-1"),
        **dict.fromkeys(ON_BOX_2, "box-2"),
        "vault": None,
    }
    assert cameras["gate"]["newest"] == [{"view": "", "label": "walk", "score": 0.8765, "at": AT}]
    assert (cameras["gate"]["share"], cameras["hall"]["state"]) == (0.8, "")
    schema = described["components"]["schemas"]["FleetAnswer"]
    assert set(schema["properties"]) == set(found)


def test_a_run_outside_of_fleets_has_no_fleet_page(page: Page) -> None:
    status, _, body = ask(page, "/api/fleet")
    assert status == 404 and "ecolite-stream fleet" in json.loads(body)["error"]
    assert ask(page, "/fleet")[0] == 404
    for path in ("/", "/history", "/alerts"):
        assert b'href="/fleet"' not in ask(page, path)[2]


def test_a_store_without_the_tables_of_a_fleet(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    database = Database(url, create=True)
    database.prepare()
    database.close()
    with served(store=url, place=Place(fleet(), "box-1")) as page:
        assert ask(page, "/api/fleet")[0] == 503


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    with window(chromium, "503"):
        yield chromium


@pytest.fixture
def page_of_fleet(url: str) -> Iterator[Page]:
    with served(store=url, place=Place(fleet(), "box-1")) as page:
        yield page


def opened(browser: Browser, page: Page) -> None:
    browser.driver.get(f"http://127.0.0.1:{page.port}/fleet")
    wait_for(lambda: browser.count(".machine"))


def row(name: str) -> str:
    return f'#cameras [data-name="{name}"]'


def choose(browser: Browser, selector: str, value: str) -> None:
    browser.run(
        "const box = document.querySelector(arguments[0]);"
        "if (arguments[1]) box.value = arguments[1]; else box.checked = true;"
        "box.dispatchEvent(new Event('change', { bubbles: true }))",
        *(selector, value),
    )


def test_the_page_shows_machines_and_who_watches_each_camera(
    browser: Browser, page_of_fleet: Page
) -> None:
    opened(browser, page_of_fleet)
    assert browser.count(".machine") == 3
    first = '.machine[data-name="box-1"]'
    assert browser.text(f"{first} .state") == "up, too little room"
    assert browser.text(f"{first} .about") == "site north · supervisor · serves this page"
    assert browser.text(f"{first} .much") == "load 2.5 of 2"
    assert browser.text('.machine[data-name="box-3"] .state') == "never seen"
    names = browser.run(
        "return [...document.querySelectorAll('#cameras > li')].map(r => r.dataset.name)"
    )
    assert names == ["vault", *ON_BOX_1, *ON_BOX_2]  # first what nobody watches
    assert browser.text(f"{row('vault')} .state") == "not watched"
    assert browser.text(f"{row('gate')} .where") == "box-1"
    assert browser.text(f"{row('gate')} .labels") == "walk 88%"
    assert browser.text(f"{row('yard')} .labels").split() == [
        *("<i>left", "run", "90%", "right", "wave2", "50%"),
    ]
    assert "1 not watched" in browser.text("#summary")
    choose(browser, "[name=filter][value=trouble]", "")
    assert browser.count("#cameras > li") == 3  # vault, till, and hall, which has not reported
    choose(browser, "#machine", "box-1")
    assert browser.count("#cameras > li") == 1
    link = browser.run("return document.querySelector('#cameras .name').getAttribute('href')")
    assert link == "/history?stream=till"


def test_the_page_follows_the_fleet(browser: Browser, page_of_fleet: Page, url: str) -> None:
    opened(browser, page_of_fleet)
    browser.run("document.querySelector(arguments[0]).focus()", f"{row('gate')} .name")
    database = Database(url, create=True)
    with Ledger(database, "shop").begin() as table:
        table.release([one for one in table.current(MACHINE) if one.name == "box-2"])
        held = {one.name: one for one in table.current(CAMERA)}
        table.release([held["door"]])
        newest = (Newest("", "run", 0.5, AT),)
        write_report(table, "box-1", report({"gate": StreamReport("live", 25.0, newest)}))
    database.close()
    wait_for(lambda: browser.text(f"{row('gate')} .labels") == "run 50%")
    assert browser.text('.machine[data-name="box-2"] .state') == "stopped"
    assert browser.text(f"{row('door')} .where") == "goes to box-2"
    assert browser.run("return document.activeElement.textContent") == "gate"


def test_the_page_says_that_the_store_does_not_answer(
    browser: Browser, page_of_fleet: Page, url: str
) -> None:
    opened(browser, page_of_fleet)
    database = Database(url, create=True)
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE ecolite_leases RENAME TO away")
    wait_for(lambda: browser.count("#problem"))
    assert browser.count(".machine") == 3  # as it was
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO ecolite_leases")
    database.close()
    wait_for(lambda: not browser.count("#problem"))


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_the_window(
    browser: Browser, page_of_fleet: Page, width: int
) -> None:
    browser.size(width, 800)
    opened(browser, page_of_fleet)
    wide = browser.run("return document.documentElement.scrollWidth")
    assert wide <= width
