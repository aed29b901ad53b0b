"""Alert rules in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.sinks.alert_book import AlertBook
from ecolite_stream.sinks.alert_rules import AlertRule, HoursConfig
from tests.sinks.test_alert_book import PHONE, page_rule
from tests.sinks.test_alerts import rule
from tests.web.api import Streams
from tests.web.browser import Browser, wait_for, window
from tests.web.conftest import Page, served

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    with window(chromium, "400 (Bad Request)"):
        yield chromium


@pytest.fixture
def book(tmp_path: Path) -> AlertBook:
    return AlertBook([rule(name="<i>fixed")], [PHONE], tmp_path / "alerts.yaml")


@pytest.fixture
def page(book: AlertBook) -> Iterator[Page]:
    with served(control=Streams(book)) as page:
        yield page


def opened(browser: Browser, page: Page) -> None:
    browser.driver.get(f"http://127.0.0.1:{page.port}/alerts")
    wait_for(lambda: browser.text("#count"))


def click(browser: Browser, selector: str) -> None:
    browser.run("document.querySelector(arguments[0]).click()", selector)


def fill(browser: Browser, **values: Any) -> None:
    for name, value in values.items():
        browser.run(
            "document.querySelector('#form').elements[arguments[0]].value = arguments[1]",
            *(name, value),
        )


def own(book: AlertBook) -> list[AlertRule]:
    return [state.rule for state in book.states() if state.own]


def test_a_rule_is_added_changed_and_removed(browser: Browser, page: Page, book: AlertBook) -> None:
    opened(browser, page)
    assert browser.text(".rule .name") == "<i>fixed"
    assert browser.count(".edit") == browser.count(".remove") == 0  # of the configuration
    click(browser, "#add")
    assert browser.run("return document.activeElement.name") == "name"
    fill(browser, name="at night", target="phone", score=80, min_s=3, cooldown_s=300)
    click(browser, "#labels [value=run]")
    click(browser, "#streams [value=yard]")
    click(browser, "#more-hours")
    click(browser, "#hours [value=fri]")
    browser.run("document.querySelector('#hours .zone').value = 'Europe/Berlin'")
    click(browser, ".save")
    wait_for(lambda: browser.count(".rule") == 2)
    made = AlertRule(
        *("at night", ("yard",), (), ("run",), 0.8, 3.0),
        hours=(HoursConfig(("fri",), "22:00", "06:00", "Europe/Berlin"),),
        cooldown_s=300.0,
        target="phone",
        command=("true",),
    )
    assert own(book) == [made]
    words = browser.text("[data-rule='at night'] .what")
    assert words == (
        "run in yard, from 80%, lasting 3 s, fri 22:00\N{EN DASH}06:00 Europe/Berlin, "
        "once in 5 min of a stream"
    )
    click(browser, "[data-rule='at night'] .edit")
    assert browser.run("return document.querySelector('#form').elements.name.disabled")
    fill(browser, score=90.5)
    click(browser, "#hours .drop")
    click(browser, ".save")
    wait_for(lambda: own(book)[0].min_score == 0.905 and own(book)[0].hours == ())
    wait_for(lambda: "fri" not in browser.text("[data-rule='at night'] .what"))
    browser.run("window.confirm = () => true")
    click(browser, "[data-rule='at night'] .remove")
    wait_for(lambda: browser.count(".rule") == 1)
    assert own(book) == []


def test_muting_and_the_time_it_last_fired(browser: Browser, page: Page, book: AlertBook) -> None:
    opened(browser, page)
    assert browser.text(".rule .state") == "on"
    assert browser.text(".rule .fired") == "Has sent nothing since the start of the run"
    browser.run(
        "const field = document.querySelector('.mute'); field.value = '60';"
        "field.dispatchEvent(new Event('change', { bubbles: true }))"
    )
    wait_for(lambda: browser.text(".rule .state").startswith("muted until "))
    assert book.active() == []
    assert browser.text("#count") == "1 rule, 1 muted"
    click(browser, ".unmute")
    wait_for(lambda: browser.text(".rule .state") == "on")
    assert len(book.active()) == 1
    book.fired("<i>fixed")
    wait_for(lambda: browser.text(".rule .fired").startswith("Last sent "))


def test_what_is_wrong_is_said_in_the_form(browser: Browser, page: Page, book: AlertBook) -> None:
    opened(browser, page)
    click(browser, "#add")
    fill(browser, name="<i>fixed", target="phone")
    click(browser, ".save")
    wait_for(lambda: "There is a rule <i>fixed already" in browser.text("#wrong"))
    fill(browser, name="x")
    click(browser, "#more-hours")
    browser.run("document.querySelector('#hours .zone').value = 'Mars'")
    click(browser, ".save")
    wait_for(lambda: "expected a name such as Europe/Berlin" in browser.text("#wrong"))
    assert browser.count("#editor") == 1 and own(book) == []


def test_a_run_without_targets(browser: Browser) -> None:
    with served(control=Streams()) as page:
        opened(browser, page)
        wait_for(lambda: "Name one under alerts.targets" in browser.text("#nothing"))
        assert browser.run("return document.querySelector('#add').disabled")


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone(browser: Browser, page: Page, book: AlertBook, width: int) -> None:
    book.put(page_rule("x" * 64, labels=("run",), hours=(HoursConfig(zone="Europe/Berlin"),)))
    browser.size(width, 700)
    opened(browser, page)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    click(browser, ".edit:not([hidden])")
    scrolls = "const d = document.querySelector('#editor'); return d.scrollWidth - d.clientWidth"
    assert browser.run(scrolls) <= 0
