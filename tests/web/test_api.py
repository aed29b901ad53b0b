"""The document of the API, and a fuzzer that reads it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="the extra `web` is not installed")

from ecolite_stream.datasets.collect_kind import CollectConfig
from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.types import Frame
from ecolite_stream.web.teaching import TeachingProcess
from tests.sinks.test_alert_book import book_at
from tests.videos import numbered_image
from tests.web.api import TOKEN, Streams, got
from tests.web.conftest import Page, served
from tests.web.history import history

pytestmark = pytest.mark.timeout(60)


def test_the_document_describes_every_operation(page: Page) -> None:
    document = got(page, "/openapi.json")
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named <= set(document["components"]["schemas"])
    assert document["openapi"] == "3.1.0"
    found = {
        f"{method.upper()} {path}" for path, one in document["paths"].items() for method in one
    }
    assert {"GET /api/events", "PUT /api/events/{id}/review", "GET /api/live"} <= found
    query = {p["name"]: p for p in document["paths"]["/api/events"]["get"]["parameters"]}
    assert query["limit"]["schema"]["maximum"] == 200
    assert query["since"]["schema"]["format"] == "date-time"
    review = document["components"]["schemas"]["Review"]
    assert review["required"] == ["review"]
    assert review["additionalProperties"] is False


FUZZED = int(os.environ.get("ECOLITE_FUZZED", "20"))


@pytest.mark.timeout(3600)
def test_a_fuzzer_finds_no_fault(tmp_path: Path) -> None:
    """Schemathesis reads the document and sends what fits it, and what does not."""
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    url, _ = history(tmp_path, 25)
    sink = CollectSink(CollectConfig(tmp_path / "mine"))
    for number in range(20):
        sink.show(Frame("door", number, number / 10, numbered_image(number)), True)
    teaching = TeachingProcess((sys.executable, "-c", ""))
    run = {
        "control": Streams(book_at(tmp_path / "alerts.yaml")),
        "collecting": sink,
        "clips": tmp_path,
        "teaching": teaching,
    }
    with served(store=url, token=TOKEN, api_per_s=100_000, **run) as page:  # type: ignore[arg-type]
        page.show("door", 1)
        base = f"http://127.0.0.1:{page.port}"
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{base}/api/openapi.json"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--no-color", "--seed", "8"),
            *("--max-examples", str(FUZZED), "--exclude-path", "/api/live"),
            *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
            *("--checks", "response_schema_conformance,unsupported_method"),
            *("--generation-database", "none", "--request-timeout", "60"),
            *("--suppress-health-check", "all"),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=3600, check=False, cwd=tmp_path
        )
        print(done.stdout[-1000:])  # how many requests there were
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
