"""Waiting for what another thread or process does."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], limit_s: float = 60.0) -> T:
    """What a check gives, once that is true.

    Raises:
        AssertionError: it was not within the limit; the message has the check's source.
    """
    deadline_s = time.monotonic() + limit_s
    while not (found := check()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {limit_s:g} s: {_source_of(check)}")
        time.sleep(0.02)
    return found


def _source_of(check: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(check).split())
    except OSError:  # a function without a file
        return repr(check)
