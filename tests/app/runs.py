"""Runs of `ecolite-stream`, in this process or in one of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ecolite_stream.app import build
from ecolite_stream.engines import Engine
from ecolite_stream.model.bundle import Bundle
from tests.conftest import ROOT


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    exit_code: int
    out: str
    err: str

    @property
    def predictions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """The only line on stderr, which is an error."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")


Command = Callable[..., Result]


def use(monkeypatch: pytest.MonkeyPatch, make: Callable[[Bundle], Engine]) -> None:
    """Put another engine in the place of the bundle's."""
    monkeypatch.setattr(build, "open_checked", lambda name, bundle, *settings: make(bundle))


class Started(subprocess.Popen[str]):
    """A run that a failed test ends: what failed is reported, not that the run goes on."""

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, traceback)


def start(bundle: Bundle, *args: str, stdout: Any = subprocess.PIPE) -> Started:
    return Started(
        [sys.executable, "-m", "ecolite_stream", "--bundle", str(bundle.path), *args],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def unused_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port
