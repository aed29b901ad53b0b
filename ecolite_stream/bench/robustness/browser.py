"""A real Chromium without a window."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from ecolite_stream.types import Image

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync"
)


class Browser:
    """Actions on a page, and what it displays."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def run(self, script: str, *args: Any) -> Any:
        """Run a script; return its result."""
        return self.driver.execute_script(script, *args)

    def text(self, selector: str) -> str:
        """The visible text of an element; empty without one."""
        return str(
            self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        )

    def count(self, selector: str) -> int:
        """Number of visible elements."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter((e) => e.checkVisibility()).length"
        )
        return int(self.run(script, selector))

    def press(self, key: str) -> None:
        """Press a key on the focused element."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(key).perform()

    def media(self, **features: str) -> None:
        """Set media features, such as prefers_color_scheme="dark"."""
        values = [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": values})

    def size(self, width: int, height: int) -> None:
        """Set the size of the window, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def canvas(self, selector: str) -> Image:
        """The pixels of a canvas."""
        url = self.run("return document.querySelector(arguments[0]).toDataURL()", selector)
        png = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
        return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR), np.uint8)

    def complaints(self) -> list[str]:
        """Errors in the page's log, except those of a missing server."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        return [m for m in messages if "ERR_" not in m and "WebSocket" not in m and "401" not in m]


def why_not() -> str | None:
    """Why there is no browser, or None."""
    if CHROMIUM is None or DRIVER is None:
        return "no chromium and chromedriver (Debian: chromium, chromium-driver)"
    return None if find_spec("selenium") else "selenium is not installed"


@contextmanager
def started() -> Iterator[Browser]:
    """A browser, closed at the end; requires that `why_not` gives None."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in _FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER or ""))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
