"""Head and navigation are the same in all static pages."""

from __future__ import annotations

import re
from importlib import resources

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.web.site import _FLEET_PAGE, _PAGES

PAGES = _PAGES | _FLEET_PAGE

STATIC = resources.files("ecolite_stream.web") / "static"


def part(file: str, tag: str) -> str:
    """The first element with a tag, of a page."""
    found = re.search(rf"<{tag}\b.*?</{tag}>", (STATIC / file).read_text("utf-8"), re.DOTALL)
    assert found, f"{file} has no {tag}"
    return found[0]


def common_head(file: str) -> list[str]:
    """The head without the page's own title, style sheets and script."""
    own = re.compile(r"<title>|<script |<link rel=\"stylesheet\" href=\"/static/(?!page\.css)")
    return [line for line in part(file, "head").splitlines() if not own.search(line)]


@pytest.mark.parametrize("file", [file for file in PAGES.values() if file != "index.html"])
def test_heads_differ_in_title_styles_and_script_alone(file: str) -> None:
    assert len(common_head(file)) > 5
    assert common_head(file) == common_head("index.html")
    assert re.search(r"<title>\w+ \u2013 ecolite-stream</title>", part(file, "head"))


@pytest.mark.parametrize(("path", "file"), PAGES.items())
def test_each_page_links_all_pages_and_marks_its_own(path: str, file: str) -> None:
    nav = part(file, "nav")
    assert re.findall(r'href="([^"]+)" aria-current="page"', nav) == [path]
    assert nav.replace(' aria-current="page"', "") == part("index.html", "nav").replace(
        ' aria-current="page"', ""
    )
    assert set(re.findall(r'href="([^"]+)"', nav)) == set(PAGES)
