"""A real Chromium without a window, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ecolite_stream.bench.robustness import browser
from ecolite_stream.bench.robustness.browser import Browser as Browser
from tests.waiting import eventually


def wait_for(is_so: Callable[[], Any], timeout_s: float = 60) -> Any:
    """What it gives, once that is true."""
    return eventually(is_so, timeout_s)


def started() -> Iterator[Browser]:
    """A browser, closed in the end; the test is skipped where there is none."""
    if reason := browser.why_not():
        pytest.skip(reason)
    with browser.started() as one:
        yield one


@contextmanager
def window(
    browser: Browser, *expected: str, width: int = 1280, height: int = 900
) -> Iterator[None]:
    """A window of that size; its page may only complain of what has one of these words."""
    browser.size(width, height)
    browser.media(prefers_color_scheme="light")
    yield
    complaints = browser.complaints()
    assert [one for one in complaints if not any(words in one for words in expected)] == []
    browser.driver.get("about:blank")
