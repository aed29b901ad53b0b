"""What every command line of the project shares: errors for people, exit codes, logging."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from ecolite_stream.errors import EcoliteError

INTERRUPTED = 130


def run(command: click.Command, args: Sequence[str] | None = None) -> NoReturn:
    """Run a click command and leave the process with the right exit code.

    An `EcoliteError` becomes one line on stderr and its own exit code, an interruption 130.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_LowerCase("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    sys.exit(_exit_code(command, args))


def _exit_code(command: click.Command, args: Sequence[str] | None) -> int:
    try:
        result = command.main(args, standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except EcoliteError as error:
        click.echo(f"error: {one_line(error)}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away: `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class _LowerCase(logging.Formatter):
    """`warning: ...`, as the errors of command lines look."""

    def format(self, record: logging.LogRecord) -> str:
        record.levelname = record.levelname.lower()
        return super().format(record)


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split())
