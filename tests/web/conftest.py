"""A page that is served, and what feeds it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from ecolite_stream.config.schema import WebConfig
from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.model.bundle import Bundle
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.types import Event, Frame, Prediction
from ecolite_stream.web.api.control import RunControl
from ecolite_stream.web.latest_frames import LatestFrames
from ecolite_stream.web.page_state import PageState
from ecolite_stream.web.teaching import TeachingProcess
from tests.app.runs import Started
from tests.conftest import ROOT
from tests.videos import numbered_image
from tests.web.browser import Browser, started

if TYPE_CHECKING:
    from ecolite_stream.web.api.fleet import Place

STREAMS = ("door", "yard", "<i>gate")


@dataclass
class Page:
    """A page at `url`, whose streams do as they are told."""

    url: str = ""
    streams: tuple[str, ...] = STREAMS
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.board = PageState(self.streams)
        self.gallery = LatestFrames()

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    @property
    def token(self) -> str:
        return self.url.partition("#token=")[2]

    def predict(self, stream: str, label: str = "walk", score: float = 0.8) -> None:
        top = ((label, score), ("run", 0.1), ("skip", 0.04), ("jump", 0.03), ("bend", 0.02))
        self.board.send(Prediction(stream, 1, 1.0, label, score, top, 1.0))

    def begin(self, stream: str, label: str = "wave2", end_s: float | None = None) -> Event:
        kind = "start" if end_s is None else "end"
        event = Event(f"{stream}@1.000", stream, label, 1.0, end_s, 0.9, 0.8, kind)  # type: ignore[arg-type]
        self.board.send(event)
        return event

    def show(self, stream: str, number: int, size: tuple[int, int] = (320, 240)) -> None:
        self.gallery.show(Frame(stream, number, number / 25, numbered_image(number, size)))


@contextlib.contextmanager
def served(
    address: str = "0",
    streams: tuple[str, ...] = STREAMS,
    clips: Path | None = None,
    store: str | None = None,
    control: RunControl | None = None,
    collecting: CollectSink | None = None,
    views: tuple[str, ...] = (),
    teaching: TeachingProcess | None = None,
    place: Place | None = None,
    **web: object,
) -> Iterator[Page]:
    """Serve a page."""
    pytest.importorskip("aiohttp", reason="the extra `web` is not installed")
    from ecolite_stream.web.api.types import StreamSettings
    from ecolite_stream.web.server import serve_page
    from ecolite_stream.web.site import Run

    def settings(name: str) -> StreamSettings:
        return StreamSettings(
            every_s=0.5, memory="window", views=views, ignore=("idle",), min_s=1.0
        )

    page = Page(streams=streams)
    config = WebConfig(address, clips=clips, **web)  # type: ignore[arg-type]
    about: dict[str, object] = {
        "version": "1",
        "every_s": 0.5,
        "labels": ["idle", "walk", "run"],
        "idle": ["idle"],
    }
    about["collects"] = collecting is not None
    run = Run(
        store,
        settings,
        control,
        lambda: collecting,
        lambda name: f"rtsp://{name}",
        teaching or TeachingProcess(),
        lambda: control.alerts if control else None,
        place,
    )
    with serve_page(page.board, page.gallery, page.metrics, config, about, run) as page.url:
        yield page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    yield from started()


@pytest.fixture
def page() -> Iterator[Page]:
    with served() as page:
        yield page


def start(bundle: Bundle, *args: str, **variables: str) -> Started:
    """`ecolite-stream` as a process of its own."""
    command = [sys.executable, "-m", "ecolite_stream", "--bundle", str(bundle.path), *args]
    return Started(
        command,
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def page_of(process: subprocess.Popen[str]) -> Page:
    """The page that such a process says it serves."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("page: http://"), line
    return Page(line.removeprefix("page: ").strip())
