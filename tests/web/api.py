"""What tests of the API share: a run that notes its changes, requests and tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ecolite_stream.app.versions import Version, find_version, list_versions
from ecolite_stream.config.drawn_views import DrawnViews
from ecolite_stream.errors import ConfigError
from ecolite_stream.model.bundle import Bundle, demo_bundle_path, read_bundle
from ecolite_stream.sinks.alert_book import AlertBook
from tests.web.asking import ask
from tests.web.conftest import Page

TOKEN, READER = "t" * 20, "r" * 20
NO_EVENT = "01a223ea-2b97-7dd0-98cb-eebeef58b95d"


NOWHERE = Path("no/such/folder")


class Streams:
    """A run that notes what it is asked to do."""

    def __init__(self, alerts: AlertBook | None = None) -> None:
        self.there = ["door", "yard", "<i>gate"]
        self.done: list[tuple[str, object]] = []
        self.drawn: dict[str, DrawnViews] = {}
        self.is_full = False
        self.alerts = alerts

    def names(self) -> list[str]:
        return self.there

    def add(self, source: dict[str, Any]) -> str:
        if source["url"] == "nowhere":
            raise ConfigError("nowhere does not exist")
        self.done.append(("add", source))
        return str(source.get("name", source["url"]))

    def remove(self, name: str) -> None:
        self._do("remove", name)
        self.there.remove(name)

    def pause(self, name: str) -> None:
        if ("pause", name) in self.done:
            raise ConfigError(f"stream {name!r} is paused already")
        self._do("pause", name)

    def resume(self, name: str) -> None:
        self._do("resume", name)

    def views(self, name: str) -> tuple[DrawnViews, bool]:
        if name not in self.there:
            raise KeyError(name)
        return self.drawn.get(name, DrawnViews(("center",))), name in self.drawn

    def set_views(self, name: str, drawn: DrawnViews | None) -> None:
        if self.is_full:
            raise OSError("no space left on device")
        self.views(name)
        self.drawn.pop(name, None)
        if drawn is not None:
            self.drawn[name] = drawn

    @property
    def bundle(self) -> Bundle:
        return read_bundle(demo_bundle_path())

    def versions(self) -> list[Version]:
        return list_versions(NOWHERE)

    def add_version(self, path: Path) -> str:
        raise AssertionError("nothing is taught here")

    def set_bundle(self, digest_or_path: str) -> None:
        self.done.append(("set_bundle", find_version(digest_or_path, NOWHERE).digest))

    def on_bundle(self, call: object) -> None:
        pass

    def _do(self, what: str, name: str) -> None:
        if name not in self.there:
            raise KeyError(name)
        self.done.append((what, name))


def got(page: Page, path: str, **options: Any) -> Any:
    status, headers, body = ask(page, f"/api{path}", **options)
    assert status == 200, body
    assert headers["Content-Type"] == "application/json"
    return json.loads(body)


def refused(page: Page, path: str, method: str = "GET", **options: Any) -> tuple[int, str]:
    status, headers, body = ask(page, f"/api{path}", method, **options)
    assert headers["Content-Type"] == "application/json"
    return status, json.loads(body)["error"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
