"""What a plain installation can do: no extra but an engine is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

OF_EXTRAS = (
    *("aiohttp", "msgspec", "apispec", "sqlalchemy", "psycopg", "paho", "ray", "matplotlib"),
    *("torch", "onnx", "nncf", "mindspore"),
)
HIDE = "import sys; sys.modules.update(dict.fromkeys({extras!r})); sys.argv[1:] = {words!r}\n"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "words",
    [
        ["--source", "pattern:seconds=1", "--json"],
        ["--source", "pattern:seconds=1", "--check-config"],
        ["models"],
    ],
)
def test_a_run_needs_no_extra(words: list[str]) -> None:
    code = HIDE.format(extras=OF_EXTRAS, words=words) + (
        "from ecolite_stream.__main__ import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
