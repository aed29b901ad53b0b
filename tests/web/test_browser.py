"""The page in a real browser."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecolite_stream.media.clip_names import clip_name
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.types import Event, Prediction, iso_utc
from tests.videos import read_number, write_numbered_video
from tests.web.browser import Browser, wait_for, window
from tests.web.conftest import Page, page_of, served, start

pytestmark = pytest.mark.timeout(120)

DOOR, YARD, GATE = (f".tile:nth-of-type({place})" for place in (1, 2, 3))


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    with window(chromium):
        yield chromium


def opened(browser: Browser, page: Page, rest: str = "") -> None:
    browser.driver.get(f"http://127.0.0.1:{page.port}/{rest}")
    wait_for(lambda: browser.count(".tile") == len(page.streams))


def number_in(browser: Browser, tile: str) -> int | None:
    try:
        return read_number(browser.canvas(f"{tile} canvas"))
    except ValueError:
        return None


def test_pictures_labels_and_bars(browser: Browser, page: Page) -> None:
    opened(browser, page)
    assert browser.text(f"{GATE} .name") == "<i>gate"  # a name is no markup
    assert browser.text(f"{DOOR} .word") == "no label yet"
    assert browser.text(f"{DOOR} .no-picture") == "No picture yet"
    for number in (5, 77):
        page.show("yard", number)
        wait_for(lambda number=number: number_in(browser, YARD) == number)
    page.predict("yard", "walk", 0.8)
    wait_for(lambda: browser.text(f"{YARD} .label").split() == ["walk", "80%"])
    bars = browser.run(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)",
        f"{YARD} .bars li",
    )
    assert [bar.split() for bar in bars] == [
        ["walk", "80%"],
        ["run", "10%"],
        ["skip", "4%"],
        ["jump", "3%"],
        ["bend", "2%"],
    ]
    assert number_in(browser, DOOR) is None


def test_a_label_is_no_markup_either(browser: Browser, page: Page) -> None:
    label = "<img src=x onerror=document.title='bad'>"
    page.board.send(Prediction("door", 1, 1.0, label, 0.9, ((label, 0.9),), 1.0))
    page.begin("door", label)
    opened(browser, page)
    wait_for(lambda: browser.text(f"{DOOR} .word") == label)
    wait_for(lambda: browser.count(".events li") == 1)
    assert browser.count("img[src=x]") == 0


def test_what_is_wrong_is_seen_at_a_glance(browser: Browser, page: Page) -> None:
    page.metrics.state("door", "live")
    page.metrics.state("yard", "waiting")
    page.metrics.reconnects.labels("yard").inc(4)
    page.metrics.state("<i>gate", "stalled")
    opened(browser, page)
    wait_for(lambda: browser.text("#summary").split("\n") == ["1 down", "1 in trouble", "1 live"])
    assert browser.text(f"{YARD} .state") == "lost"
    assert browser.text(f"{YARD} .reconnects dd") == "4"
    assert browser.driver.title == "(2!) ecolite-stream"
    browser.run("document.querySelector('input[value=trouble]').click()")
    assert (browser.count(".tile"), browser.count(DOOR)) == (2, 0)
    page.metrics.state("yard", "live")
    page.metrics.state("<i>gate", "ended")
    wait_for(lambda: browser.count(".tile") == 0)
    assert browser.text("#nothing") == "All is well."
    assert browser.text("#said") == "yard: live."  # for those who listen


def test_sinks_in_trouble_are_seen(browser: Browser, page: Page) -> None:
    page.metrics.state("door", "live")
    opened(browser, page)
    wait_for(lambda: "1 live" in browser.text("#summary"))
    assert browser.count(".sinks") == 0
    taken = Prediction("door", 1, 1.0, "walk", 0.9, (("walk", 0.9),), 1.0)
    page.metrics.delivered("JsonFileSink", taken, 0.1, None)
    page.metrics.sink_failed("WebhookSink")
    page.metrics.sink_failed("WebhookSink")
    page.metrics.not_delivered("WebhookSink", "sink failed")
    page.metrics.not_shown("VideoSink", "door")
    wait_for(lambda: "2 sinks in trouble" in browser.text("#summary"))
    rows = browser.run(
        "return [...document.querySelectorAll('#sinks li')].map((e) => e.innerText.split('\\n'))"
    )
    assert rows == [
        ["JsonFileSink", "works", "taken 1"],
        ["VideoSink", "too slow", "taken 0, frames lost 1"],
        ["WebhookSink", "fails", "taken 0, errors 2, lost 1"],
    ]
    assert browser.driver.title == "(2!) ecolite-stream"
    page.metrics.delivered("WebhookSink", taken, 0.1, None)
    page.metrics.delivered("VideoSink", taken, 0.1, None)
    wait_for(lambda: browser.driver.title == "ecolite-stream")
    assert "lost 1" in browser.text("#sinks [data-sink=WebhookSink]")  # that stays
    assert "WebhookSink: works." in browser.text("#said")


CLOCK = "return [arguments[0], arguments[1]].map((s) => new Date(1000 * s).toLocaleTimeString())"


def test_events_are_told_by_the_time_of_their_stream(browser: Browser) -> None:
    now_unix_s = time.time()
    with served() as page:
        page.board.note_live("door", True)
        newest = Prediction("door", 90, 90.0, "walk", 0.9, (("walk", 0.9),), 1.0)
        page.board.send(newest)  # stream time 90 s is now
        yard = Event("yard@1", "yard", "walk", 30.0, 64.5, 0.9, 0.8, "end")
        page.board.send(yard)
        when = {
            "started_at": iso_utc(round(1000 * (now_unix_s - 60))),
            "ended_at": iso_utc(round(1000 * (now_unix_s - 25.5))),
        }
        page.board.send(dataclasses.replace(yard, id="door@1", stream="door", **when))
        opened(browser, page)
        wait_for(lambda: browser.count(".events li") == 2)
        when_shown = browser.run(
            "return [...document.querySelectorAll('.events .when')].map((e) => e.innerText)"
        )
        assert "0:30.0 \u2013 1:04.5" in when_shown  # the yard is a recording
        possible = [
            " \u2013 ".join(browser.run(CLOCK, now_unix_s - 60 + late, now_unix_s - 25.5 + late))
            for late in (0, 1, 2, 3)
        ]
        assert set(when_shown) & set(possible)
        lanes = browser.run(
            "return [...document.querySelectorAll('.track i')].map((e) => e.style.width)"
        )
        assert len(lanes) == 2
        assert float(lanes[0].rstrip("%")) == pytest.approx(100 * 34.5 / 600, rel=0.05)


def test_the_timeline_goes_on_while_labels_come(browser: Browser, page: Page) -> None:
    """Every message has predictions in it, those with the health of streams too."""
    opened(browser, page)
    page.begin("door")
    wait_for(lambda: browser.count(".track i.lasts") == 1)

    def has_moved() -> bool:
        for _ in range(20):
            page.predict("yard")
            time.sleep(0.02)
        left = browser.run("return document.querySelector('.track i').style.left")
        return float(left.rstrip("%")) < 100 * (1 - 2.5 / 600)

    wait_for(has_moved)


def test_events_and_their_clips(browser: Browser, tmp_path: Path) -> None:
    with served(clips=tmp_path) as page:
        opened(browser, page)
        assert browser.text("#no-events") == "No events yet."
        event = page.begin("door", "wave2")
        wait_for(lambda: browser.text(f"{DOOR} .going") == "event: wave2")
        wait_for(lambda: "goes on" in browser.text(".events li"))
        assert browser.count(".track i.lasts") == 1
        page.begin("door", "wave2", end_s=3.5)
        wait_for(lambda: "2.5 s" in browser.text(".events li"))
        assert browser.count(f"{DOOR} .going") == 0
        assert browser.count(".events button") == 0
        write_numbered_video(tmp_path / clip_name(event.id), 25, codec="libx264")
        wait_for(lambda: browser.count(".events button") == 1)
        browser.run("document.querySelector('.events button').click()")
        wait_for(lambda: browser.run("return document.querySelector('video').duration") == 1)
        assert browser.count("dialog") == 1
        browser.press("\ue00c")  # Escape
        wait_for(lambda: browser.count("dialog") == 0)


def test_one_stream_enlarged_with_the_keyboard_alone(browser: Browser, page: Page) -> None:
    page.show("door", 3, (1600, 1200))
    opened(browser, page)
    wait_for(lambda: browser.canvas(f"{DOOR} canvas").shape[1] == 480)
    browser.run("document.querySelector('#streams').focus()")
    browser.press("\ue004")  # Tab
    browser.press("\ue007")  # Enter
    wait_for(lambda: browser.canvas(f"{DOOR} canvas").shape[1] == 1280)
    assert browser.text(".focused .name") == "door"
    browser.press("\ue014")  # right
    assert browser.text(".focused .name") == "yard"
    assert browser.driver.current_url.endswith("#stream=yard")
    browser.press("\ue00c")
    assert browser.count(".focused") == 0
    browser.driver.back()
    wait_for(lambda: browser.text(".focused .name") == "yard")


def test_a_server_that_is_gone_and_comes_back(browser: Browser) -> None:
    with served() as page:
        opened(browser, page, "#stream=yard")
        page.begin("door")
        wait_for(lambda: browser.count(".focused") == 1)
        assert browser.count("#connection") == 0
    wait_for(lambda: "The run has ended" in browser.text("#connection"))
    with served(str(page.port)) as again:
        again.predict("yard", "jack")
        wait_for(lambda: browser.text(f"{YARD} .word") == "jack")
        assert browser.count("#connection") == 0
        assert browser.text(".focused .name") == "yard"  # as it was left
        browser.run("document.querySelector('.focused button').click()")
        assert browser.count(".events li") == 0  # another run, other events


def test_a_real_run_that_is_killed_and_started_again(browser: Browser, bundle: Bundle) -> None:
    args = ["--source", "pattern", "--realtime", "--web"]
    with start(bundle, *args, "0") as process:
        page = page_of(process)
        page.streams = ("pattern",)
        opened(browser, page)
        wait_for(lambda: browser.count(".tile.seen .bars li") == 5)
        process.kill()
    wait_for(lambda: "does not answer" in browser.text("#connection"))
    browser.run("document.querySelector('.tile').classList.remove('seen')")
    with start(bundle, *args, str(page.port)) as process:
        wait_for(lambda: browser.count(".tile.seen"))  # a picture came
        assert browser.count("#connection") == 0
        process.terminate()
        process.communicate(timeout=10)


def test_pictures_are_made_for_what_is_in_view_only(browser: Browser) -> None:
    browser.size(390, 700)
    names = tuple(f"camera {number}" for number in range(12))
    with served(streams=names) as page:
        for number, name in enumerate(names):
            page.show(name, number)
        opened(browser, page)
        wait_for(lambda: browser.count(".tile:first-of-type.seen") == 1)
        assert browser.count(".tile:last-of-type.seen") == 0
        browser.run("document.querySelector('.tile:last-of-type').scrollIntoView()")
        wait_for(lambda: browser.count(".tile:last-of-type.seen") == 1)
        assert {name for name, _ in page.gallery._jpegs} < set(names)


def test_a_token_behind_the_hash_opens_the_page(browser: Browser) -> None:
    with served("0.0.0.0:0") as page:
        browser.driver.get(f"http://127.0.0.1:{page.port}/")
        wait_for(lambda: browser.count("#login"))
        browser.run(
            "document.querySelector('#token').value = 'wrong';"
            "document.querySelector('#login button').click()"
        )
        wait_for(lambda: browser.text("#wrong") == "That is not the token.")
        opened(browser, page, f"#token={page.token}")
        assert page.token not in browser.driver.current_url
        assert browser.run("return document.cookie") == ""
        (cookie,) = browser.driver.get_cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        browser.driver.refresh()
        wait_for(lambda: browser.count(".tile") == 3)


def background(browser: Browser) -> str:
    return str(browser.run("return getComputedStyle(document.body).backgroundColor"))


def test_dark_and_light(browser: Browser, page: Page) -> None:
    opened(browser, page)
    light = background(browser)
    browser.media(prefers_color_scheme="dark")
    dark = wait_for(lambda: background(browser) != light and background(browser))
    press = "document.querySelector('#theme').click()"
    browser.run(press)
    assert (background(browser), browser.text("#theme")) == (light, "☀ Light")
    browser.driver.refresh()
    wait_for(lambda: browser.text("#theme") == "☀ Light")  # it was chosen
    browser.run(press)
    assert background(browser) == dark
    browser.run(press)
    assert browser.text("#theme") == "◐ Auto"


@pytest.mark.parametrize("width", [320, 390, 768])
def test_it_fits_a_phone(browser: Browser, width: int) -> None:
    browser.size(width, 700)
    with served(streams=("rtsp://a.very.long.name.of.a.camera/with/a/long/path", "b")) as page:
        page.predict(page.streams[0], "a label that is rather long for a phone")
        page.begin(page.streams[0], "a label that is rather long for a phone")
        page.metrics.state(page.streams[0], "waiting")
        opened(browser, page)
        wait_for(lambda: browser.count(".events li") == 1)
        assert browser.run("return document.documentElement.scrollWidth") <= width


CONTRAST = """
const light = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const probe = document.body.appendChild(document.createElement("i"));
const value = (name) => {
  probe.style.color = `var(--${name})`;
  return light(getComputedStyle(probe).color);
};
const found = arguments[0].map(([ink, paper]) => {
  const [a, b] = [value(ink), value(paper)].sort((x, y) => y - x);
  return [ink, paper, (a + 0.05) / (b + 0.05)];
});
probe.remove();
return found;
"""
PAIRS = [
    *(
        (ink, paper)
        for ink in ("ink", "faint", "good", "warn", "bad")
        for paper in ("card", "paper")
    ),
    *((f"hue-{number}", "card") for number in range(10)),
    ("warn", "warn-back"),
    ("bad", "bad-back"),
    ("card", "active"),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(browser: Browser, page: Page, scheme: str) -> None:
    """WCAG 2.2 AA, 1.4.3: 4.5 to 1."""
    browser.media(prefers_color_scheme=scheme)
    opened(browser, page)
    found = browser.run(CONTRAST, PAIRS)
    assert len(found) == len(PAIRS)
    assert [pair for pair in found if pair[2] < 4.5] == []
