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
    """Results of `function` for each item, in order; a terminal shows a progress bar.

    The first error is raised.
    """
    results = []
    with ThreadPoolExecutor(workers) as pool, bar_of(doing, len(items)) as step:
        for result in pool.map(function, items):
            results.append(result)
            step(1)
    return results


@contextmanager
def bar_of(doing: str, length: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr if that is a terminal; the function advances it."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=length, label=doing, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update
