"""Collecting and teaching in a real browser."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.datasets.collected import read_collected
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from ecolite_stream.types import Frame
from tests.videos import write_numbered_video
from tests.web.api import got
from tests.web.browser import Browser, wait_for, window
from tests.web.conftest import Page, page_of, served, start
from tests.web.history import history

pytestmark = pytest.mark.timeout(120)

DOOR, YARD = (f".tile:nth-of-type({place})" for place in (1, 2))
SAID = "#collect-said"


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    # What cannot be done is answered with 4xx and 5xx: the browser notes those.
    with window(chromium, "Failed to load resource"):
        yield chromium


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[CollectSink]:
    """A camera whose pictures come until the end of the test."""
    sink = CollectSink(CollectConfig(tmp_path / "mine"))
    ending = threading.Event()

    def film() -> None:
        for number in itertools.count():
            image = np.full((60, 80, 3), number % 250, np.uint8)
            for stream in ("door", "yard"):
                sink.show(Frame(stream, number, number / 10, image), True)
            if number > 100 and ending.wait(0.1):
                return

    thread = threading.Thread(target=film)
    thread.start()
    yield sink
    ending.set()
    thread.join()


@pytest.fixture
def page(sink: CollectSink) -> Iterator[Page]:
    with served(collecting=sink) as page:
        yield page


def live(browser: Browser, page: Page, label: str) -> None:
    browser.driver.get(f"http://127.0.0.1:{page.port}/")
    wait_for(lambda: browser.count(".tile") == len(page.streams))
    if not browser.count("#collect-bar"):
        click(browser, "#collect")
    name(browser, label)


def name(browser: Browser, label: str) -> None:
    browser.run("document.querySelector('#collect-bar').elements.label.value = arguments[0]", label)


def click(browser: Browser, selector: str) -> None:
    browser.run("document.querySelector(arguments[0]).click()", selector)


def point(browser: Browser, selector: str, kind: str) -> None:
    browser.run(
        "const button = document.querySelector(arguments[0]); button.setPointerCapture = () => {};"
        "button.dispatchEvent(new PointerEvent(arguments[1], { bubbles: true, pointerId: 1 }))",
        *(selector, kind),
    )


def key(browser: Browser, kind: str) -> None:
    script = "new KeyboardEvent(arguments[0], { key: 'c', bubbles: true })"
    browser.run(f"document.body.dispatchEvent({script})", kind)


def teach_page(browser: Browser, page: Page) -> None:
    browser.driver.get(f"http://127.0.0.1:{page.port}/teach")
    wait_for(lambda: browser.text("#count") or browser.text("#problem"))


def test_the_last_seconds_and_a_held_button_become_clips(
    browser: Browser, page: Page, sink: CollectSink
) -> None:
    live(browser, page, "wave")
    click(browser, f"{DOOR} .last")
    wait_for(lambda: browser.text(SAID) == "Kept 4.0 s of wave. There is: wave 1.")
    point(browser, f"{YARD} .hold", "pointerdown")
    wait_for(lambda: browser.text(f"{YARD} .hold") > "■ 1.5 s")
    point(browser, f"{YARD} .hold", "pointerup")
    wait_for(lambda: browser.text(SAID).endswith("There is: wave 2."))
    assert browser.text(f"{YARD} .hold") == "● Hold"
    rows = read_collected(sink.folder).values()
    assert sorted(row.stream for row in rows) == ["door", "yard"]


def test_a_held_key_is_for_the_large_picture(
    browser: Browser, page: Page, sink: CollectSink
) -> None:
    live(browser, page, "wave")
    wait_for(lambda: browser.text(SAID) == "No clips yet.")  # else that comes after what follows
    key(browser, "keydown")
    assert browser.text(SAID).startswith("Enlarge a stream first")
    click(browser, f"{YARD} .picture")
    key(browser, "keydown")
    wait_for(lambda: browser.count(".tile.held") == 1)
    key(browser, "keyup")
    wait_for(lambda: browser.text(SAID).endswith("There is: wave 1."))
    assert [row.stream for row in read_collected(sink.folder).values()] == ["yard"]


def test_what_cannot_be_kept_is_said(browser: Browser, page: Page, sink: CollectSink) -> None:
    live(browser, page, "../up")
    click(browser, f"{DOOR} .last")
    wait_for(lambda: "expected a name of one line" in browser.text(f"{SAID}.wrong"))
    name(browser, " ")
    click(browser, f"{DOOR} .last")
    assert browser.text(SAID) == "Name the action first."
    name(browser, "<b>wave")
    click(browser, ".tile:nth-of-type(3) .last")  # which has no pictures
    wait_for(lambda: "label is" in browser.text(SAID))
    assert not sink.folder.exists()


def test_clips_are_counted_moved_and_dropped(
    browser: Browser, page: Page, sink: CollectSink
) -> None:
    live(browser, page, "wave")
    for count in (1, 2):
        click(browser, f"{DOOR} .last")
        wait_for(lambda count=count: browser.text(SAID).endswith(f"There is: wave {count}."))
    teach_page(browser, page)
    assert browser.text("#count") == "2 clips of 1 actions"
    assert browser.text("#folder") == str(sink.folder)
    assert "there is no action 'nothing'" in browser.text("#missing")
    wait_for(lambda: browser.run(LOADED) == 2)
    browser.run(
        "const to = document.querySelector('.clip .to'); to.value = 'nothing';"
        "to.dispatchEvent(new Event('change'))"
    )
    wait_for(lambda: browser.text("#count") == "2 clips of 2 actions")
    browser.run(
        "document.querySelector('#filter').value = 'wave';"
        "document.querySelector('#filter').dispatchEvent(new Event('change'))"
    )
    wait_for(lambda: browser.count(".clip") == 1)
    click(browser, ".clip .drop")
    assert browser.text(".clip .drop") == "Delete?"
    assert browser.text("#count") == "2 clips of 2 actions"
    click(browser, ".clip .drop")
    wait_for(lambda: browser.text("#count") == "1 clip of 1 actions")
    assert [row.label for row in read_collected(sink.folder).values()] == ["nothing"]


def test_segments_of_a_long_video_are_counted(browser: Browser, sink: CollectSink) -> None:
    sink.folder.mkdir()
    for name in ("monday", "tuesday"):
        write_numbered_video(sink.folder / f"{name}.mp4", 50, codec="libx264")
    rows = "0,1,wave\n1,2,wave\n0,2,nothing\n"
    (sink.folder / "monday.csv").write_text(f"start_s,end_s,label\n{rows}")
    with served(collecting=sink) as page:
        teach_page(browser, page)
        assert browser.text("#count") == "0 clips and 3 segments of 2 actions"
        assert browser.text("#actions tbody tr:last-child").split() == (
            ["wave", "0", "2", "1", "no", "date:", "2"]
        )
        assert "tuesday.mp4: it lies in no action" in browser.text("#missing")
        assert browser.count("#clips-part") == browser.count("#empty") == 0


LOADED = "return [...document.querySelectorAll('.clip video')].filter((v) => v.videoWidth).length"


def test_corrected_events_are_taken(browser: Browser, sink: CollectSink, tmp_path: Path) -> None:
    url, ids = history(tmp_path, 2)
    write_numbered_video(tmp_path / f"{ids[0]}.mp4", 50, codec="libx264")
    with served(collecting=sink, store=url, clips=tmp_path) as page:
        for event_id in ids:
            got(page, f"/events/{event_id}/review", method="PUT", json={"review": "wrong"})
        teach_page(browser, page)
        click(browser, "#from-events")
        wait_for(lambda: browser.text("#count") == "1 clip of 1 actions")
        assert "1 events became clips, 0 left. 1 became none" in browser.text("#events-said")


def test_a_run_that_collects_nothing_says_how(browser: Browser) -> None:
    with served() as page:
        browser.driver.get(f"http://127.0.0.1:{page.port}/")
        wait_for(lambda: browser.count(".tile") == len(page.streams))
        assert browser.count("#collect") == 0
        teach_page(browser, page)
        assert "start it with --collect DIR" in browser.text("#problem")


def kept(browser: Browser, page: Page, count: int) -> bool:
    """Whether there are so many clips; if not, try once more: a stream begins without pictures."""
    if browser.count(".tile.saving"):
        return False
    if got(page, "/clips")["total"] == count:
        return True
    click(browser, ".tile .last")
    return False


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_actions_are_collected_taught_and_run(browser: Browser, tmp_path: Path) -> None:
    """From the first click to live labels of two new actions, with the embedded bundle."""
    pytest.importorskip("onnx", reason="the extra `teach` is not installed")
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    state = {"XDG_STATE_HOME": str(tmp_path), "ECOLITE_CACHE": str(tmp_path / "cache")}
    words = ("--source", "pattern", "--collect", str(tmp_path / "mine"), "--web", "0")
    with start(read_bundle(demo_bundle_path()), *words, **state) as process:
        page = page_of(process)
        browser.driver.get(f"http://127.0.0.1:{page.port}/")
        wait_for(lambda: browser.count(".tile.seen") == 1)
        click(browser, "#collect")
        for count, label in enumerate(("squares", "nothing", "squares", "nothing"), start=1):
            name(browser, label)
            browser.run("document.querySelector('#collect-bar').elements.seconds.value = 2")
            wait_for(lambda n=count: kept(browser, page, n))
        teach_page(browser, page)
        assert browser.text("#count") == "4 clips of 2 actions"
        click(browser, "#start")
        wait_for(lambda: browser.text("#score"), 300)
        assert "of 4 clips right" in browser.text("#score")
        assert "all are of one source and day" in browser.text("#interval")
        click(browser, "#use")
        wait_for(lambda: browser.text("#use-said").startswith("taught-"), 120)
        newest = wait_for(lambda: got(page, "/streams")["streams"][0]["newest"])
        wait_for(lambda: got(page, "/streams")["streams"][0]["newest"] != newest)
        assert got(page, "/streams")["labels"] == ["nothing", "squares"]
        browser.driver.get(f"http://127.0.0.1:{page.port}/")
        wait_for(lambda: browser.text(".tile .word") in ("nothing", "squares"))
        teach_page(browser, page)
        wait_for(lambda: browser.count(".versions button") == 1)
        click(browser, ".versions button")
        wait_for(lambda: browser.text("#versions-said") == "embedded runs now.", 120)
        process.terminate()
