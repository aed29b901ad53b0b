"""Optional dependencies: an error names the extra that installs a missing package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import click

from ecolite_stream.errors import ConfigError


def missing_extra(user: str, package: str, extra: str) -> ConfigError:
    """The error when `user` needs a package that is not installed."""
    return ConfigError(
        f"{user} needs {package}, which is not installed; run pip install 'ecolite-stream[{extra}]'"
    )


def require_extra(user: str, package: str, extra: str) -> None:
    """Check that a package is installed, without importing it.

    Raises:
        ConfigError: it is not.
    """
    if find_spec(package) is None:
        raise missing_extra(user, package, extra)


@contextmanager
def command_needs(package: str, extra: str, module: str) -> Iterator[None]:
    """Guard the imports at the top of a command's module.

    Without the package a program prints one line and exits with code 2; an imported module raises
    ModuleNotFoundError.

    Args:
        package: the package that the imports need.
        extra: the extra of `ecolite-stream` that installs it.
        module: the importing module's `__name__`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if module != "__main__" or (error.name or "").partition(".")[0] != package:
            raise
        error_line = missing_extra(program(), package, extra)
        click.echo(f"error: {error_line}", err=True)
        sys.exit(error_line.exit_code)


def program() -> str:
    """The running module as a person starts it: `python -m trainer.train`."""
    spec = sys.modules["__main__"].__spec__
    return "this command" if spec is None else f"python -m {spec.name.removesuffix('.__main__')}"
