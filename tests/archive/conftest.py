"""What the tests of archives share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ecolite_stream.app import cli
from ecolite_stream.app.entry import run
from tests.app.runs import Command, Result


@pytest.fixture
def ecolite(capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs `ecolite-stream` in this process."""
    handlers = logging.root.handlers[:]

    def ecolite(*args: object) -> Result:
        with pytest.raises(SystemExit) as ended:
            run(cli.stream, [str(arg) for arg in args])
        return Result(ended.value.code, *capsys.readouterr())  # type: ignore[arg-type]

    yield ecolite
    logging.root.handlers[:] = handlers
