"""Stores to test with: SQLite in a file and PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.postgres import BINARIES, Postgres, running

pytest.importorskip("sqlalchemy")

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that runs for all tests; one that stops it starts it again."""
    if BINARIES is None:
        pytest.skip("PostgreSQL is not installed: there is no /usr/lib/postgresql/*/bin")
    pytest.importorskip("psycopg")
    with running() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/events.db"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database(f"store{next(_NUMBERS)}")
