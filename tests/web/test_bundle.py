"""A bundle is changed through the API: page, predictions and stored events follow."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")
pytest.importorskip("sqlalchemy", reason="the extra `store` is not installed")

import aiohttp

from ecolite_stream.app.versions import add_version
from ecolite_stream.model.bundle import demo_bundle_path, read_bundle
from tests.app.bundles import disagreeing, renamed
from tests.waiting import eventually
from tests.web.asking import ask, connected, next_json
from tests.web.conftest import page_of, start

TOKEN = "t" * 20
CONFIG = """
source: [door=pattern]
realtime: true
events: {{enter: 0, leave: 0, min_s: 0, min_fill: 0, ignore: []}}
models: {folder}/models
store: {{url: "sqlite:///{folder}/events.db"}}
web: {{address: "0", token: {token}}}
"""

pytestmark = pytest.mark.timeout(120)


def test_a_bundle_is_changed_through_the_api(tmp_path: Path) -> None:
    embedded = read_bundle(demo_bundle_path())
    mine, wrong = renamed(tmp_path / "mine", energy_bound=None), disagreeing(tmp_path / "wrong")
    for bundle in (mine, wrong):
        add_version(bundle.path, tmp_path / "models")
    (tmp_path / "c.yaml").write_text(CONFIG.format(folder=tmp_path, token=TOKEN))
    who = {"Authorization": f"Bearer {TOKEN}"}

    def stored() -> set[tuple[str, bool]]:
        """(bundle, whether the label is one of mine) of all events."""
        with contextlib.closing(sqlite3.connect(tmp_path / "events.db")) as database:
            try:
                rows = database.execute("select bundle, label from ecolite_events").fetchall()
            except sqlite3.OperationalError:  # the tables are being made
                return set()
        return {(bundle, label.startswith("my ")) for bundle, label in rows}

    with start(embedded, "--config", str(tmp_path / "c.yaml")) as process:
        page = page_of(process)

        def put(digest: str) -> tuple[int, bytes]:
            body = {"bundle": digest}
            status, _, answer = ask(page, "/api/bundle", "PUT", json=body, headers=who)
            return status, answer

        async def use(live: aiohttp.ClientWebSocketResponse) -> None:
            """The open page hears of the new labels."""
            about = await next_json(live, lambda m: m["kind"] == "about" and m)
            assert about["labels"] == list(embedded.spec.labels)
            url = f"http://127.0.0.1:{page.port}/api/bundle"
            async with (
                aiohttp.ClientSession(headers=who) as session,
                session.put(url, json={"bundle": mine.digest}) as answer,
            ):
                assert answer.status == 204, await answer.text()
            about = await next_json(live, lambda m: m["kind"] == "about" and m)
            assert about["labels"] == list(mine.spec.labels)

        try:
            eventually(stored)
            status, answer = put(wrong.digest)
            assert (status, b"disagrees with the bundle" in answer) == (409, True)
            _, headers, _ = ask(page, "/session", "POST", data=TOKEN)
            connected(page, use, {"Cookie": headers["Set-Cookie"].partition(";")[0]})
            eventually(lambda: (mine.digest, True) in stored())
            _, _, answer = ask(page, "/api/bundle", headers=who)
            found = json.loads(answer)
            assert (found["digest"], found["labels"]) == (mine.digest, list(mine.spec.labels))
            current = {one["digest"] for one in found["versions"] if one["is_current"]}
            assert current == {mine.digest}
        finally:
            process.terminate()
            _, err = process.communicate(timeout=20)
    assert "Traceback" not in err
    assert stored() == {(embedded.digest, False), (mine.digest, True)}
