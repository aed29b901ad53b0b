"""The choice between the quick and the thorough way in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.web.teaching import TeachingProcess
from tests.web.api import got
from tests.web.browser import Browser, wait_for, window
from tests.web.conftest import Page, served
from tests.web.test_teaching import Runs, teacher
from tests.web.test_teaching_thorough import trainer

pytestmark = pytest.mark.timeout(120)

ARROW_RIGHT = "\ue014"
CHOSEN = "return document.querySelector('[name=way]:checked').value"
CAN_CHOOSE = "return [...document.querySelectorAll('[name=way]')].map((one) => !one.disabled)"
WIDER = "return document.documentElement.scrollWidth > innerWidth"


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    # The run of these tests knows no versions of its bundle.
    with window(chromium, "Failed to load resource", width=390, height=844):
        yield chromium


def teach_page(browser: Browser, tmp_path: Path, process: TeachingProcess) -> Iterator[Page]:
    run: Any = Runs()
    run.versions = tuple
    run.bundle.digest, run.bundle.spec = "0", Spec()
    sink = CollectSink(CollectConfig(tmp_path / "mine"))
    with served(collecting=sink, control=run, teaching=process) as page:
        browser.driver.get(f"http://127.0.0.1:{page.port}/teach")
        wait_for(lambda: browser.text("#way-hint"))
        yield page


class Spec:
    """What `GET /bundle` reads of a model."""

    labels = ("fall",)
    scores: dict[str, Any] = {}  # noqa: RUF012


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    yield from teach_page(browser, tmp_path, trainer(tmp_path / "trainings"))


def click(browser: Browser, selector: str) -> None:
    browser.run("document.querySelector(arguments[0]).click()", selector)


def test_the_thorough_way_is_chosen_by_keyboard_followed_stopped_and_reported(
    browser: Browser, page: Page, tmp_path: Path
) -> None:
    assert browser.run(CHOSEN) == "quick"
    browser.run("document.querySelector('[name=way]').focus()")
    browser.press(ARROW_RIGHT)
    assert browser.run(CHOSEN) == "thorough"
    assert browser.text("#way-hint").startswith("Trains all layers")
    assert not browser.run(WIDER)
    click(browser, "#start")
    doing = "Training: 3 of 80 epochs are done, about 16 min left …"
    wait_for(lambda: browser.text("#teach-said") == doing)
    assert browser.run("const bar = document.querySelector('#progress'); return bar.position") == (
        pytest.approx(3 / 80)
    )
    browser.driver.refresh()
    wait_for(lambda: browser.text("#teach-said") == doing)
    assert (browser.run(CHOSEN), browser.run(CAN_CHOOSE)) == ("thorough", [False, False])
    click(browser, "#stop")
    wait_for(lambda: browser.text("#teach-said").startswith("Stopped. Teach again"))
    assert "resumes after its last whole epoch" in browser.text("#teach-said")
    assert (browser.run(CHOSEN), browser.run(CAN_CHOOSE)) == ("thorough", [True, True])
    click(browser, "#start")
    wait_for(lambda: browser.text("#teach-said") == doing)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "go").touch()
    wait_for(lambda: browser.text("#score") == "9 of 10 clips right, 90%")
    assert browser.text("#compared").startswith("Better than demo: that one has 4 of 10 clips")
    assert browser.text("#quick") == (
        "Better than the quick way: that one has 7 of 10 clips of fall right, this one 9."
    )
    assert not browser.run(WIDER)


def test_where_it_cannot_run_the_page_says_why_and_teaches_the_quick_way(
    browser: Browser, tmp_path: Path
) -> None:
    process = teacher(why_not_thorough=lambda bundle: "install it")
    for page in teach_page(browser, tmp_path, process):
        assert browser.run(CAN_CHOOSE) == [True, False]
        assert browser.text("#why-not-thorough") == "Install it."
        click(browser, "#start")
        wait_for(lambda: browser.text("#teach-said") == "Looking at clip 1 of 2 …")
        assert got(page, "/teaching")["thorough"] is False
