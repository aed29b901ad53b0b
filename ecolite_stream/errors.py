"""Every error a user can meet, and the exit code a command ends with.

    EcoliteError
     ├── ConfigError   2   usage or configuration
     ├── SourceError   3   a camera, file or stream cannot be opened or read
     ├── BundleError   4   a bundle or checkpoint is missing, damaged or does not fit
     └── EngineError   5   an inference engine is missing or fails

A message says what, where, expected and got, and what to do next. Errors of third-party
libraries are translated into these once, at the boundary that calls the library.
"""

from __future__ import annotations


class EcoliteError(Exception):
    """Base of all errors that a user can cause or repair; printed as one line."""

    exit_code: int = 1


class ConfigError(EcoliteError):
    """A command line or a configuration file says something that cannot be done."""

    exit_code = 2


class SourceError(EcoliteError):
    """A source cannot be opened, or holds nothing that can be shown.

    Attributes:
        permanent: it never will, however often somebody tries.
    """

    exit_code = 3

    def __init__(self, message: object = "", *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class BundleError(EcoliteError):
    """A bundle or a checkpoint is missing, damaged, unknown or does not fit the network."""

    exit_code = 4


class EngineError(EcoliteError):
    """An engine is not installed, cannot open a bundle or disagrees with it."""

    exit_code = 5


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split())
