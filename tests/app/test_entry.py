"""What is logged, as people read it."""

from __future__ import annotations

import io
import logging
import sys

import click
import pytest

from ecolite_stream.app.entry import _exit_code, _Printable
from ecolite_stream.errors import EcoliteError

BAD = "a\x1b[2J\nerror: forged \udce9"


@pytest.fixture
def logged() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(logged: io.StringIO) -> logging.Logger:
    log = logging.Logger("test")
    handler = logging.StreamHandler(logged)
    handler.setFormatter(_Printable("%(levelname)s: %(message)s"))
    log.addHandler(handler)
    return log


def test_a_message_is_one_line(log: logging.Logger, logged: io.StringIO) -> None:
    log.warning("%s: lost", BAD)
    assert logged.getvalue() == r"warning: a\x1b[2J\nerror: forged \xe9: lost" + "\n"


def test_a_traceback_cannot_pass_for_another_line(log: logging.Logger, logged: io.StringIO) -> None:
    try:
        raise OSError(BAD)
    except OSError:
        log.error("failed", exc_info=sys.exc_info(), stack_info=True)
    first, *more = logged.getvalue().splitlines()
    assert first == "error: failed"
    assert more[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in more)
    assert r"  error: forged \xe9" in more
    assert "\x1b" not in logged.getvalue()


def test_an_error_of_the_system_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def fails() -> None:
        raise PermissionError(13, "Permission denied", "clips/a.mp4")

    code = _exit_code(fails, [])
    assert code == EcoliteError.exit_code
    assert capsys.readouterr().err == (
        "error: clips/a.mp4: Permission denied; choose another place or make room\n"
    )
