"""What the tests of the command share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecolite_stream.app import cli
from ecolite_stream.app.entry import run
from ecolite_stream.model.bundle import Bundle
from tests.app.runs import Command, Result
from tests.videos import write_numbered_video


@pytest.fixture
def ecolite(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Runs `ecolite-stream` in this process, with the small bundle if none is given."""
    handlers = logging.root.handlers[:]

    def ecolite(*args: object) -> Result:
        words = [str(arg) for arg in args]
        if "--bundle" not in words:
            words += ["--bundle", str(bundle.path)]
        with pytest.raises(SystemExit) as ended:
            run(cli.stream, words)
        return Result(ended.value.code, *capsys.readouterr())  # type: ignore[arg-type]

    yield ecolite
    logging.root.handlers[:] = handlers


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_numbered_video(tmp_path / "film.mp4", 75)
