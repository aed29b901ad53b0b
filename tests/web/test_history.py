"""History in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.types import Box, Prediction
from tests.videos import write_numbered_video
from tests.web.api import READER, TOKEN, bearer
from tests.web.asking import ask
from tests.web.browser import Browser, wait_for, window
from tests.web.conftest import Page, served
from tests.web.history import history

pytestmark = pytest.mark.timeout(120)

ENTER, ESCAPE, LEFT, RIGHT, DOWN = "\ue007", "\ue00c", "\ue012", "\ue014", "\ue015"


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    # An event may be gone, or have no clip and no picture: the browser notes each 404.
    with window(chromium, "404 (Not Found)"):
        yield chromium


@pytest.fixture
def past(tmp_path: Path) -> Iterator[tuple[Page, list[str]]]:
    """A page with 200 events, a minute apart."""
    url, ids = history(tmp_path, 200)
    with served(store=url, clips=tmp_path) as page:
        yield page, ids


def opened(browser: Browser, page: Page, rest: str = "") -> None:
    browser.driver.get(f"http://127.0.0.1:{page.port}/history{rest}")
    wait_for(lambda: browser.count(".card"))


def choose(browser: Browser, name: str, value: str) -> None:
    browser.run(
        "const field = document.querySelector('#filters').elements[arguments[0]];"
        "field.value = arguments[1];"
        "field.dispatchEvent(new Event('change', { bubbles: true }));",
        *(name, value),
    )


def shown(browser: Browser) -> list[str]:
    script = "return [...document.querySelectorAll('.card')].map((card) => card.dataset.id)"
    return list(browser.run(script))


def event(page: Page, event_id: str) -> dict[str, Any]:
    import json

    return dict(json.loads(ask(page, f"/api/events/{event_id}")[2]))


def test_events_with_pictures_the_newest_first(
    browser: Browser, past: tuple[Page, list[str]]
) -> None:
    page, ids = past
    opened(browser, page)
    wait_for(lambda: shown(browser)[:60] == ids[:60])
    wait_for(lambda: browser.run("return document.querySelector('.card img').naturalWidth") == 320)
    assert browser.text(".card .what") == "jump"
    assert browser.text(".card .who") == "yard"
    assert browser.count("#days canvas") >= 1


def test_filters_are_in_the_address(browser: Browser, past: tuple[Page, list[str]]) -> None:
    page, ids = past
    opened(browser, page)
    choose(browser, "label", "run")
    wait_for(lambda: set(browser.run(WORDS)) == {"run"})
    choose(browser, "score", "0.9")
    wait_for(lambda: browser.text("#count") == "10 events")
    assert browser.driver.current_url.endswith("/history?label=run&score=0.9")
    found = shown(browser)
    browser.driver.back()
    wait_for(lambda: browser.text("#count") == "50 events")
    opened(browser, page, "?label=run&score=0.9")
    wait_for(lambda: shown(browser) == found)
    choose(browser, "label", "walk")
    choose(browser, "score", "")
    choose(browser, "stream", "yard")  # which never walks
    wait_for(lambda: browser.text("#end") == "No such events.")
    browser.run("document.querySelector('#clear').click()")
    wait_for(lambda: shown(browser)[:60] == ids[:60])
    assert browser.driver.current_url.endswith("/history")


WORDS = "return [...document.querySelectorAll('.card .what')].map((e) => e.innerText)"


def test_a_day(browser: Browser, past: tuple[Page, list[str]]) -> None:
    page, ids = past
    opened(browser, page)
    day = browser.run(
        "const at = new Date('2026-11-28T10:00:00Z');"
        "return [at.getFullYear(), at.getMonth() + 1, at.getDate()]"
        ".map((n) => String(n).padStart(2, '0')).join('-')"
    )
    choose(browser, "day", "2026-12-24")
    wait_for(lambda: browser.text("#end") == "No such events.")
    browser.run("document.querySelector('#earlier').click()")
    wait_for(lambda: shown(browser)[:60] == ids[:60])
    assert browser.driver.current_url.endswith(f"?day={day}")
    browser.run("document.querySelector('#earlier').click()")
    wait_for(lambda: browser.text("#end") == "No earlier events.")


def test_a_review_by_the_keyboard_alone(browser: Browser, past: tuple[Page, list[str]]) -> None:
    page, ids = past
    opened(browser, page)
    wait_for(lambda: len(shown(browser)) >= 60)
    for key in (DOWN, RIGHT, DOWN, LEFT, ENTER):
        browser.press(key)
    columns = browser.run(
        "return getComputedStyle(document.querySelector('.chunk'))"
        ".gridTemplateColumns.split(' ').length"
    )
    wait_for(lambda: browser.count("dialog") == 1)
    assert browser.driver.current_url.endswith(f"?event={ids[columns]}")
    browser.press("r")
    wait_for(lambda: event(page, ids[columns])["review"] == "right")
    browser.press("k")
    wait_for(lambda: event(page, ids[columns])["keep"])
    wait_for(lambda: browser.count("#event-keep[aria-pressed=true]") == 1)
    browser.press("r")  # once more takes it back
    wait_for(lambda: event(page, ids[columns])["review"] is None)
    browser.press(RIGHT)
    wait_for(lambda: browser.driver.current_url.endswith(f"?event={ids[columns + 1]}"))
    browser.press("w")
    wait_for(lambda: event(page, ids[columns + 1])["review"] == "wrong")
    browser.press(ESCAPE)
    wait_for(lambda: browser.count("dialog") == 0)
    assert browser.run("return document.activeElement.dataset.id") == ids[columns + 1]
    assert browser.text(f".card[data-id='{ids[columns + 1]}'] .marks") == "✗"
    assert browser.text(f".card[data-id='{ids[columns]}'] .marks") == "★"


def test_another_label_and_a_link_to_one_event(
    browser: Browser, past: tuple[Page, list[str]]
) -> None:
    page, ids = past
    far = ids[190]  # on no page that is loaded yet
    opened(browser, page, f"?event={far}")
    wait_for(lambda: browser.count("dialog") == 1)
    browser.run(
        "const field = document.querySelector('#event-label');"
        "field.value = 'run'; field.dispatchEvent(new Event('change'));"
    )
    wait_for(lambda: event(page, far)["review_label"] == "run")
    assert event(page, far)["review"] == "label"
    wait_for(lambda: browser.run("return document.querySelector('#event-label').value") == "run")


def test_a_link_to_an_event_that_is_gone(browser: Browser, past: tuple[Page, list[str]]) -> None:
    page, ids = past
    assert ask(page, f"/api/events/{ids[5]}", "DELETE")[0] == 204
    opened(browser, page, f"?event={ids[5]}")
    wait_for(lambda: "gone" in browser.text("#problem"))
    browser.complaints()  # the 404 itself


def test_the_clip_plays_and_the_box_is_drawn(
    browser: Browser, past: tuple[Page, list[str]], tmp_path: Path
) -> None:
    page, ids = past
    with_box = ids[next(n for n in range(10) if event(page, ids[n])["box"])]
    opened(browser, page, f"?event={with_box}")
    wait_for(lambda: browser.count("#event-box") == 1)
    left, top, wide, high = browser.run(
        "const [a, b] = ['event-box', 'event-picture']"
        ".map((id) => document.getElementById(id).getBoundingClientRect());"
        "return [(a.x - b.x) / b.width, (a.y - b.y) / b.height, a.width / b.width, "
        "a.height / b.height]"
    )
    assert (left, top, wide, high) == pytest.approx((0.25, 0.2, 0.4, 0.6), abs=0.02)
    write_numbered_video(tmp_path / f"{ids[0]}.mp4", 25, codec="libx264")
    opened(browser, page, f"?event={ids[0]}")
    wait_for(lambda: browser.run("return document.querySelector('#event-video').duration") == 1)
    wait_for(lambda: browser.count("#event-video") == 1)
    assert browser.count("#event-picture") == 0


def test_thousands_of_events_are_few_elements(browser: Browser, tmp_path: Path) -> None:
    url, ids = history(tmp_path, 1200, pictures=False)
    with served(store=url) as page:
        opened(browser, page)

        def at_the_end() -> bool:
            browser.run("scrollTo(0, document.body.scrollHeight)")
            return browser.text("#count") == "1200 events"

        wait_for(at_the_end)
        wait_for(lambda: at_the_end() and shown(browser)[-1:] == ids[-1:])
        assert len(shown(browser)) < 600
        height = browser.run("return document.body.scrollHeight")
        browser.run("scrollTo(0, document.body.scrollHeight / 2)")
        wait_for(lambda: ids[600] in shown(browser))
        assert browser.run("return document.body.scrollHeight") == pytest.approx(height, rel=0.02)
        browser.run("scrollTo(0, 0)")
        wait_for(lambda: shown(browser)[:1] == ids[:1])
        browser.complaints()  # there are no pictures


def test_who_may_only_read_is_told(browser: Browser, tmp_path: Path) -> None:
    url, ids = history(tmp_path, 3)
    with served(store=url, token=TOKEN, read_tokens=READER) as page:
        address = f"http://127.0.0.1:{page.port}/history?event={ids[1]}"
        browser.driver.get(f"{address}#token={READER}")
        wait_for(lambda: browser.count("dialog") == 1)
        assert READER not in browser.driver.current_url
        browser.press("w")
        wait_for(lambda: "may only read" in browser.text("#event-problem"))
        status, _, body = ask(page, f"/api/events/{ids[1]}", headers=bearer(TOKEN))
        assert (status, b'"review":null' in body) == (200, True)
        browser.complaints()  # the 403 itself


def test_a_run_without_a_store(browser: Browser, page: Page) -> None:
    browser.driver.get(f"http://127.0.0.1:{page.port}/history")
    wait_for(lambda: "start it with --store" in browser.text("#problem"))
    browser.complaints()  # the 503 itself


@pytest.mark.parametrize("width", [320, 390, 768])
def test_it_fits_a_phone(browser: Browser, past: tuple[Page, list[str]], width: int) -> None:
    page, ids = past
    browser.size(width, 700)
    opened(browser, page)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    opened(browser, page, f"?event={ids[0]}")
    wait_for(lambda: browser.count("dialog") == 1)
    assert browser.run("return document.querySelector('dialog').scrollWidth") <= width


def test_text_of_an_event_is_no_markup(browser: Browser, tmp_path: Path) -> None:
    evil = "<img src=x onerror=document.title='bad'>"
    url, _ = history(tmp_path, 1, [evil], labels=[evil])
    with served(store=url) as page:
        opened(browser, page)
        assert browser.text(".card .what") == evil
        browser.press(DOWN)
        browser.press(ENTER)
        wait_for(lambda: browser.text("#event-title") == f"{evil}, {evil}")
        assert browser.count("img[src=x]") == 0


# Live: boxes of views


def test_boxes_of_views_are_drawn_over_the_picture(browser: Browser, page: Page) -> None:
    def predict(view: str, label: str, score: float, box: Box, time_s: float = 2.0) -> None:
        top = ((label, score),)
        page.board.send(Prediction("door", 1, time_s, label, score, top, 1.0, view=view, box=box))

    def drawn(x: float, y: float) -> bool:
        """Whether there is colour where the picture has only black and white."""
        picture = browser.canvas(".tile canvas")
        height, width = picture.shape[:2]
        part = picture[int(y * height) - 3 : int(y * height) + 4, int(x * width)].astype(int)
        return bool((part.max(axis=1) - part.min(axis=1)).max() > 60)

    predict("subject 1", "walk", 0.7, Box(0.1, 0.3, 0.3, 0.5))
    predict("subject 2", "run", 0.9, Box(0.6, 0.3, 0.3, 0.5))
    page.show("door", 3)
    browser.driver.get(f"http://127.0.0.1:{page.port}/")
    wait_for(lambda: browser.text(".tile .word") == "run")
    page.show("door", 4)
    wait_for(lambda: drawn(0.25, 0.795) and drawn(0.75, 0.795))
    predict("subject 1", "walk", 0.7, Box(0.1, 0.3, 0.3, 0.5), 20.0)  # the other one has gone
    wait_for(lambda: browser.text(".tile .word") == "walk")
    page.show("door", 5)
    wait_for(lambda: drawn(0.25, 0.795) and not drawn(0.75, 0.795))
