"""One function over many items, in threads, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    with (
        ThreadPoolExecutor(workers) as pool,
        click.progressbar(
            pool.map(function, items),
            length=len(items),
            label=doing,
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as results,
    ):
        return list(results)
