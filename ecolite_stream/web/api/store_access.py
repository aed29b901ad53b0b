"""The store, asked from the event loop: in threads of its own, bounded in number and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from ecolite_stream.store.database import Database, StoreError
from ecolite_stream.web.api.operations import ApiError

_THREADS = 2
_WAITING = 64
_ANSWER_S = 10.0

Result = TypeVar("Result")


class StoreAccess:
    """Runs queries; opens the store with the first one, and again until that works.

    Args:
        url: the store's; None where the run has none.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._database: Database | None = None
        self._executor = ThreadPoolExecutor(_THREADS, "api store")
        self._waiting = 0

    def close(self) -> None:
        """Wait for nothing, and close the store."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._database is not None:
            self._database.close()

    async def read(self, query: Callable[[Connection], Result]) -> Result:
        """The result of a query.

        Raises:
            ApiError: there is no store, or it does not answer.
            ConfigError: the query makes no sense.
        """
        return await self._run(query, write=False)

    async def write(self, query: Callable[[Connection], Result]) -> Result:
        """The result of a query that changes something; raises as `read` does."""
        return await self._run(query, write=True)

    async def _run(self, query: Callable[[Connection], Result], *, write: bool) -> Result:
        if self._url is None:
            raise ApiError(503, "this run stores no events; start it with --store URL")
        if self._waiting >= _WAITING:
            raise ApiError(503, "the store is busy; try again", {"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        working = loop.run_in_executor(self._executor, self._query, query, write)
        self._waiting += 1
        working.add_done_callback(self._done)
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await asyncio.shield(working)
        except TimeoutError as error:
            raise ApiError(503, "the store does not answer; try again later") from error
        except StoreError as error:
            raise ApiError(503, str(error)) from error

    def _done(self, working: asyncio.Future[Result]) -> None:
        self._waiting -= 1
        if not working.cancelled():
            working.exception()  # the caller that waited has it, or has left

    def _query(self, query: Callable[[Connection], Result], write: bool) -> Result:
        if self._database is None:
            assert self._url is not None
            self._database = Database(self._url)
        with self._database.begin() if write else self._database.read() as connection:
            return query(connection)
