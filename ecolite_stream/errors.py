"""All errors for users, and their exit codes.

    EcoliteError
     ├── ConfigError   2   usage or configuration
     ├── SourceError   3   a camera, file or stream cannot be opened or read
     ├── BundleError   4   a bundle or checkpoint is missing, damaged or does not fit
     └── EngineError   5   an inference engine is missing or fails

A message states the problem, the place, the expected and the actual value, and the next step.
Third-party errors are translated once, where the library is called.
"""

from __future__ import annotations


class EcoliteError(Exception):
    """Base of all errors that a user can cause or repair; printed as one line."""

    exit_code: int = 1


class ConfigError(EcoliteError):
    """A command line or a configuration file is invalid."""

    exit_code = 2


class SourceError(EcoliteError):
    """A source cannot be opened or read, or holds no usable video.

    Attributes:
        permanent: retrying cannot help.
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
