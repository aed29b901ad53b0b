"""One function over many items, in threads, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import click

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, doing: str
) -> list[Result]:
    """What `function` makes of each item, in order; the bar on a terminal says what it is doing.

    The first error ends it and is raised.
    """
    results = []
    with ThreadPoolExecutor(workers) as pool, bar_of(doing, len(items)) as step:
        for result in pool.map(function, items):
            results.append(result)
            step(1)
    return results


@contextmanager
def bar_of(doing: str, length: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr where that is a terminal; the function moves it on."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=length, label=doing, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update
