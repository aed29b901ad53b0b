"""Run a command line: error messages, exit codes, logging."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from ecolite_stream.config.printable import printable
from ecolite_stream.errors import EcoliteError, one_line

INTERRUPTED = 130


def run(command: click.Command, args: Sequence[str] | None = None) -> NoReturn:
    """Run a click command and leave the process with the right exit code.

    An `EcoliteError` becomes one line on stderr and its own exit code, an interruption 130. SIGTERM
    counts as an interruption: MindSpore, while it computes, turns SIGINT into SIGTERM.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    if isinstance(sys.stdout, io.TextIOWrapper):  # its encoding may lack a label's characters
        sys.stdout.reconfigure(errors="backslashreplace")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(_exit_code(command, args))
    finally:
        signal.signal(signal.SIGTERM, before)


def run_and_leave(command: click.Command) -> NoReturn:
    """`run`, for a program whose threads may still be running at its end.

    A thread inside a library, such as an import of MindSpore, could crash the process during
    Python's cleanup, so this skips the cleanup.
    """
    try:
        run(command)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
        if code == INTERRUPTED or threading.active_count() > 1:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)
        raise


def _exit_code(command: click.Command, args: Sequence[str] | None) -> int:
    try:
        _invoke(command, args)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as request:  # --help and --version
        return request.exit_code
    except EcoliteError as error:
        click.echo(f"error: {printable(one_line(error))}", err=True)
        return error.exit_code
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        click.echo(_printable_lines(text.getvalue()), err=True, nl=False)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # the reader of stdout closed it: `... | head`
        _discard_output()
        return 0
    except OSError as error:  # a full disk, a folder that cannot be written
        _discard_output()
        where = f"{error.filename}: " if error.filename is not None else ""
        reason = f"{where}{error.strerror or error}; choose another place or make room"
        click.echo(f"error: {printable(' '.join(reason.split()))}", err=True)
        return EcoliteError.exit_code


def _discard_output() -> None:
    """Redirect stdout to the null device, so that Python's flush at exit cannot fail."""
    with contextlib.suppress(OSError):  # stdout may not be a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _invoke(command: click.Command, args: Sequence[str] | None) -> None:
    """`command.main` without its error handling: it treats a closed pipe as an error."""
    words = list(sys.argv[1:] if args is None else args)
    with command.make_context(_program(), words) as context:
        command.invoke(context)


def _program() -> str:
    """The program's name: `ecolite-stream` or `python -m trainer.train`."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    if module is None:
        return Path(sys.argv[0]).name
    return f"python -m {module.name.removesuffix('.__main__')}"


class _Printable(logging.Formatter):
    """Formats a record as `warning: ...` in one line, without escape sequences.

    File names, hosts and library errors come from outside and must not forge log lines.
    Lines of a traceback are indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)  # other handlers get the same record
        record.levelname = record.levelname.lower()
        record.exc_text = None  # cached by another formatter
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return _printable_lines(super().formatException(ei), "  ")

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _printable_lines(super().formatStack(stack_info), "  ")


def _printable_lines(text: str, indent: str = "") -> str:
    return "\n".join(indent + printable(line) for line in text.expandtabs().split("\n"))
