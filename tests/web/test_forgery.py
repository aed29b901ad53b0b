"""Operations that change something: who may ask for them, and from which pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from tests.web.api import READER, TOKEN, bearer, got
from tests.web.asking import ask
from tests.web.conftest import Page, served

pytestmark = pytest.mark.timeout(60)

LEAST = 20
"""So many operations change something; fewer would mean that they are not found."""


def writing(page: Page, **options: object) -> Iterator[tuple[str, str]]:
    """(method, path) of every operation that changes something."""
    paths = got(page, "/openapi.json", **options)["paths"]
    for path, methods in paths.items():
        for method in methods:
            if method != "get":
                yield method.upper(), "/api" + re.sub(r"\{\w+\}", "x", path.removeprefix("/api"))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_no_other_page_changes_anything(headers: dict[str, str]) -> None:
    with served(api_per_s=1000) as page:
        found = list(writing(page))
        assert len(found) >= LEAST
        for method, path in found:
            status, _, answer = ask(page, path, method, headers=headers)
            assert (status, b"another site" in answer) == (403, True), (method, path, answer)


def test_a_body_that_a_form_can_send_is_refused() -> None:
    with served(api_per_s=1000) as page:
        document = got(page, "/openapi.json")["paths"]
        with_body = {
            (method.upper(), path)
            for path, methods in document.items()
            for method, one in methods.items()
            if "requestBody" in one
        }
        for method, path in with_body:
            path = "/api" + re.sub(r"\{\w+\}", "x", path.removeprefix("/api"))
            for kind in ("text/plain", "application/x-www-form-urlencoded"):
                status = ask(page, path, method, data="{}", headers={"Content-Type": kind})[0]
                assert status in (415, 404), (method, path)


def test_every_change_needs_the_token_that_writes() -> None:
    with served(token=TOKEN, read_tokens=READER, api_per_s=1000) as page:
        who = bearer(READER)
        found = list(writing(page, headers=who))
        assert len(found) >= LEAST
        for method, path in found:
            assert ask(page, path, method)[0] == 401, (method, path)
            status, _, answer = ask(page, path, method, headers=who)
            assert (status, "may only read" in json.loads(answer)["error"]) == (403, True), path


def test_no_name_escapes_the_rate_limit() -> None:
    with served(token=TOKEN, api_per_s=1) as page:
        who = bearer(TOKEN)
        found = {ask(page, "/api/alerts/clip", "DELETE", headers=who)[0] for _ in range(40)}
        assert 429 in found
