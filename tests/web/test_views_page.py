"""Regions and masks, drawn in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.config.drawn_views import DrawnViews
from ecolite_stream.config.views import ViewConfig
from ecolite_stream.types import Box, Prediction
from tests.videos import read_number
from tests.web.api import READER, TOKEN, Streams
from tests.web.browser import Browser, wait_for, window
from tests.web.conftest import Page, served

pytestmark = pytest.mark.timeout(120)

DELETE, ENTER, ESCAPE, LEFT, RIGHT, DOWN, SHIFT = (
    *("\ue017", "\ue007", "\ue00c", "\ue012", "\ue014", "\ue015", "\ue008"),
)
DOOR = ViewConfig(region="door", box=(0.1, 0.2, 0.3, 0.5))


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    with window(chromium, "400 (Bad Request)", "403 (Forbidden)", "503 (Service"):
        yield chromium


@pytest.fixture
def run() -> Streams:
    return Streams()


@pytest.fixture
def page(run: Streams) -> Iterator[Page]:
    with served(control=run) as page:
        page.show("door", 7)
        yield page


def opened(browser: Browser, page: Page, stream: str = "door") -> None:
    browser.driver.get(f"http://127.0.0.1:{page.port}/views?stream={stream}")
    wait_for(lambda: browser.text("#status"))


def point(browser: Browser, x: float, y: float) -> tuple[int, int]:
    """A place in the window, of shares of the picture."""
    frame = browser.run("return document.querySelector('#shapes').getBoundingClientRect().toJSON()")
    return round(frame["x"] + x * frame["width"]), round(frame["y"] + y * frame["height"])


def pointer(browser: Browser, places: list[tuple[float, float]], kind: str = "mouse") -> None:
    """Press at the first place, and release at the last; one place is a click."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    chain = ActionChains(browser.driver)
    chain.w3c_actions = ActionBuilder(browser.driver, mouse=PointerInput(kind, f"a {kind}"))
    actions = chain.w3c_actions.pointer_action
    actions.move_to_location(*point(browser, *places[0])).pointer_down()
    for place in places[1:]:
        actions.move_to_location(*point(browser, *place))
    actions.pointer_up()
    chain.w3c_actions.perform()


def press_with_shift(browser: Browser, key: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser.driver).key_down(SHIFT).send_keys(key).key_up(SHIFT).perform()


def number_in_picture(browser: Browser) -> int | None:
    try:
        return read_number(browser.canvas("#picture"))
    except ValueError:  # no picture yet
        return None


def choose_tool(browser: Browser, tool: str) -> None:
    browser.run(f"document.querySelector('input[value={tool}]').click()")


def near(found: tuple[float, ...], wanted: tuple[float, ...]) -> bool:
    pairs = zip(found, wanted, strict=True)
    return all(abs(one - other) < 0.01 for one, other in pairs)


def region(run: Streams, name: str, stream: str = "door") -> tuple[float, ...]:
    views: tuple[Any, ...] = run.drawn[stream].views if stream in run.drawn else ()
    return next((v.box for v in views if getattr(v, "region", None) == name), (9.0,) * 4)


@pytest.mark.parametrize("kind", ["mouse", "touch"])
def test_a_region_is_drawn_moved_resized_and_renamed(
    browser: Browser, page: Page, run: Streams, kind: str
) -> None:
    opened(browser, page)
    assert browser.text("#status") == "As in the configuration"
    wait_for(lambda: number_in_picture(browser) == 7)
    pointer(browser, [(0.2, 0.2), (0.3, 0.3), (0.5, 0.6)], kind)
    wait_for(lambda: near(region(run, "region 1"), (0.2, 0.2, 0.3, 0.4)))
    wait_for(lambda: browser.text("#status") == "Saved and applied")
    assert run.drawn["door"].views[0] == "center"  # what the configuration has stays
    pointer(browser, [(0.35, 0.4), (0.5, 0.45), (0.55, 0.5)], kind)
    wait_for(lambda: near(region(run, "region 1"), (0.4, 0.3, 0.3, 0.4)))
    pointer(browser, [(0.7, 0.7), (0.85, 0.8), (1.0, 0.9)], kind)  # its lower right corner
    wait_for(lambda: near(region(run, "region 1"), (0.4, 0.3, 0.6, 0.6)))
    pointer(browser, [(0.6, 0.5), (0.1, 0.1)], kind)  # it stays in the picture
    wait_for(lambda: near(region(run, "region 1"), (0.0, 0.0, 0.6, 0.6)))
    browser.run("const f = document.querySelector('#regions input'); f.focus(); f.select()")
    browser.press("hall way")
    browser.press(ENTER)
    wait_for(lambda: near(region(run, "hall way"), (0.0, 0.0, 0.6, 0.6)))
    browser.run("document.querySelector('#regions button').click()")
    wait_for(lambda: run.drawn["door"].views == ("center",))
    browser.run("document.querySelector('#reset').click()")
    wait_for(lambda: run.drawn == {})
    wait_for(lambda: browser.text("#status") == "As in the configuration")


def test_masks_are_boxes_and_polygons(browser: Browser, page: Page, run: Streams) -> None:
    opened(browser, page)
    wait_for(lambda: number_in_picture(browser) == 7)
    choose_tool(browser, "mask")
    pointer(browser, [(0.0, 0.0), (0.1, 0.1), (0.3, 0.1)])
    wait_for(lambda: run.drawn and near(run.drawn["door"].mask[0], (0.0, 0.0, 0.3, 0.1)))
    choose_tool(browser, "polygon")
    corners = [(0.5, 0.5), (0.9, 0.5), (0.9, 0.9)]
    for corner in corners:
        pointer(browser, [corner])
    browser.press(ESCAPE)  # not like that
    for corner in [*corners, corners[0]]:
        pointer(browser, [corner])
    wait_for(lambda: len(run.drawn["door"].mask) == 2)
    assert near(run.drawn["door"].mask[1], (0.5, 0.5, 0.9, 0.5, 0.9, 0.9))
    pointer(browser, [(0.85, 0.6), (0.8, 0.6), (0.75, 0.6)])
    # The click of a tool for polygons on a shape moves it; its corners can be dragged too.
    wait_for(lambda: near(run.drawn["door"].mask[1], (0.4, 0.5, 0.8, 0.5, 0.8, 0.9)))
    browser.run("document.querySelector('#masks button').click()")
    wait_for(lambda: len(run.drawn["door"].mask) == 1)
    assert browser.count("#masks li") == 1


def test_the_keyboard_alone(browser: Browser, page: Page, run: Streams) -> None:
    run.drawn["door"] = DrawnViews((DOOR,))
    opened(browser, page)
    browser.run("document.querySelector('#add').focus()")
    browser.press(ENTER)
    wait_for(lambda: near(region(run, "region 1"), (0.35, 0.3, 0.3, 0.4)))
    label = "return document.activeElement.getAttribute('aria-label')"
    assert browser.run(label).startswith("Region region 1, 35 % from the left, 30 % from the top")
    browser.press(RIGHT)
    browser.press(DOWN)
    wait_for(lambda: near(region(run, "region 1"), (0.36, 0.31, 0.3, 0.4)))
    press_with_shift(browser, LEFT)
    wait_for(lambda: near(region(run, "region 1"), (0.36, 0.31, 0.29, 0.4)))
    browser.press(ENTER)
    assert browser.run("return document.activeElement.value") == "region 1"
    browser.run("document.querySelector('[data-shape=\"1\"]').focus()")
    browser.press(DELETE)
    wait_for(lambda: run.drawn["door"].views == (DOOR,))
    assert browser.count(".shape") == 1


def test_what_is_refused_is_said_and_taken_back(browser: Browser, page: Page, run: Streams) -> None:
    run.drawn["door"] = DrawnViews((DOOR,))
    opened(browser, page)
    browser.run("const f = document.querySelector('#regions input'); f.focus(); f.select()")
    browser.press("a/b")
    browser.press(ENTER)
    wait_for(lambda: "the name of a region has / in it" in browser.text("#problem"))
    name = "return document.querySelector('#regions input').value"
    wait_for(lambda: browser.run(name) == "door")
    run.is_full = True
    pointer(browser, [(0.5, 0.5), (0.8, 0.8)])
    wait_for(lambda: "no space left on device" in browser.text("#problem"))
    wait_for(lambda: browser.count(".shape") == 1)
    assert run.drawn["door"] == DrawnViews((DOOR,))


def test_other_views_labels_and_other_streams(browser: Browser, page: Page, run: Streams) -> None:
    run.drawn["door"] = DrawnViews((DOOR,))
    opened(browser, page)
    top = (("walk", 0.8),)
    box = Box(0.1, 0.2, 0.3, 0.5)
    page.board.send(Prediction("door", 1, 1.0, "walk", 0.8, top, 1.0, view="door", box=box))
    wait_for(lambda: browser.text("#regions .now") == "walk 80%")
    browser.run("document.querySelector('[value=follow]').click()")
    browser.run(
        "const f = document.querySelector('[name=subjects]'); f.value = 3;"
        "f.dispatchEvent(new Event('change', { bubbles: true }))"
    )
    wait_for(lambda: set(run.drawn["door"].views) == {"follow", DOOR, ViewConfig(subjects=3)})
    browser.run(
        "const f = document.querySelector('[name=stream]'); f.value = '<i>gate';"
        "f.dispatchEvent(new Event('change', { bubbles: true }))"
    )
    wait_for(lambda: browser.count(".shape") == 0)
    wait_for(lambda: browser.text("#status") == "As in the configuration")
    assert browser.driver.current_url.endswith("stream=%3Ci%3Egate")
    pointer(browser, [(0.1, 0.1), (0.4, 0.4)])
    wait_for(lambda: near(region(run, "region 1", "<i>gate"), (0.1, 0.1, 0.3, 0.3)))
    assert set(run.drawn["door"].views) == {"follow", DOOR, ViewConfig(subjects=3)}


def test_who_may_only_read_is_told(browser: Browser, run: Streams) -> None:
    with served(control=run, token=TOKEN, read_tokens=READER) as page:
        browser.driver.get(f"http://127.0.0.1:{page.port}/views#token={READER}")
        wait_for(lambda: browser.text("#status"))
        pointer(browser, [(0.1, 0.1), (0.4, 0.4)])
        wait_for(lambda: "this token may only read" in browser.text("#problem"))
        assert run.drawn == {}


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone(browser: Browser, page: Page, run: Streams, width: int) -> None:
    run.drawn["door"] = DrawnViews((DOOR,), ((0, 0, 0.2, 0.1),))
    browser.size(width, 700)
    opened(browser, page)
    wait_for(lambda: browser.count(".shape") == 2)
    assert browser.run("return document.documentElement.scrollWidth") <= width
