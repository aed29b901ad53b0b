"""Stores to test with, tables of a fleet in them, and the command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ecolite_stream.store.database import Database
from tests.archive.conftest import ecolite
from tests.fleet.test_leases import TimedLedger
from tests.store.conftest import postgres, sqlite_url, url

__all__ = ["ecolite", "postgres", "sqlite_url", "url"]


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """An empty store, opened."""
    opened = Database(url, create=True)
    yield opened
    opened.close()


@pytest.fixture
def ledger(database: Database) -> TimedLedger:
    """Tables of the fleet `shop`."""
    return TimedLedger(database, "shop")
