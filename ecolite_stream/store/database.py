"""A store opened: SQLite in a file, or PostgreSQL on a server."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    SQLAlchemyError,
)

from ecolite_stream.config.redact import redact_url
from ecolite_stream.errors import ConfigError, one_line
from ecolite_stream.store.schema import MIGRATIONS, current_version, migrate, version_table

EXAMPLES = "sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
_LOCKED_S = 5
_CONNECT_S = 3
_STATEMENT_MS = 30_000
_CUT_OFF = {
    **{"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3},
    "tcp_user_timeout": 10_000,  # ms
}
"""Without these a statement waits for a quarter of an hour where the network is cut."""
_CACHE_KIB = 8192
_WAL_BYTES = 16_000_000
_MIGRATING = 0x45434F  # an advisory lock of PostgreSQL: one process migrates


class StoreError(ConfigError):
    """A store cannot be used.

    Attributes:
        permanent: waiting does not help: it is no database, read-only, of a newer version, ...
        refuses_values: the store works, but not with what was to be written.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, refuses_values: bool = False
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.refuses_values = refuses_values


def parse_url(url: str) -> URL:
    """The parts of a store's URL.

    Raises:
        ConfigError: it is none of the two kinds, or its driver is not installed.
    """
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"store is {redact_url(url)!r}; expected {EXAMPLES}") from error
    file = parts.database or ""
    is_file = parts.drivername == "sqlite" and file not in ("", ":memory:") and not parts.query
    if not is_file and not (parts.drivername == "postgresql+psycopg" and parts.database):
        raise ConfigError(f"store is {redact_url(url)!r}; expected {EXAMPLES}")
    if not is_file:
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "store: psycopg is not installed; run pip install 'ecolite-stream[postgres]'"
            ) from error
    return parts


def check_url(url: str) -> str:
    """Check a store's URL without opening it; return it without user and password.

    Raises:
        ConfigError: it cannot be a store.
    """
    parts = parse_url(url)
    if parts.drivername == "sqlite":
        path = Path(parts.database or "")
        folder = path.parent
        if not folder.is_dir():
            raise ConfigError(f"store: {folder} is no folder; make it, or choose another file")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise ConfigError(f"store: {path} cannot be written; change its rights")
    return redact_url(url)


class Database:
    """Connections to a store.

    Args:
        url: see `EXAMPLES`.
        create: make or migrate the tables; else they must be there.

    Raises:
        ConfigError: the URL cannot be a store's.
        StoreError: it cannot be used, now or ever.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        parts = parse_url(url)
        self.shown = redact_url(url)
        self.is_sqlite = parts.drivername == "sqlite"
        if self.is_sqlite and not create and not Path(parts.database or "").is_file():
            raise StoreError(
                f"store: {parts.database} does not exist; check its path", permanent=True
            )
        self._engine = _engine(parts, self.is_sqlite, create)
        self._create = create
        self._is_checked = False

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def prepare(self) -> None:
        """Connect, and make or migrate the tables where that is wanted.

        Raises:
            StoreError: the store cannot be used, now or ever.
        """
        with self.translated(), self._engine.connect() as connection:
            found = current_version(connection)
            self._check(connection, found)
        if self._create and found < len(MIGRATIONS):
            with self.translated(), self._begun(write=True) as connection:
                if not self.is_sqlite:
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATING})"))
                migrate(connection)
        self._is_checked = True

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes; it is committed at the end of the block.

        Raises:
            StoreError: it cannot be.
        """
        if not self._is_checked:
            self.prepare()
        with self.translated(), self._begun(write=True) as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads.

        Raises:
            StoreError: it cannot be.
        """
        if not self._is_checked:
            self.prepare()
        with self.translated(), self._begun(write=False) as connection:
            yield connection

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the library as a `StoreError`."""
        try:
            yield
        except DBAPIError as error:
            raise self._store_error(error) from error
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"store: {self.shown}: {one_line(error)[:300]}") from error

    @contextlib.contextmanager
    def _begun(self, write: bool) -> Iterator[Connection]:
        connected = self._engine.connect().execution_options(ecolite_write=write)
        with connected as connection, connection.begin():
            yield connection

    def _check(self, connection: Connection, found: int) -> None:
        if found > len(MIGRATIONS):
            raise StoreError(
                f"store: {self.shown} has version {found}, this program knows {len(MIGRATIONS)}; "
                "update ecolite-stream, or choose another store",
                permanent=True,
            )
        names = inspect(connection).get_table_names()
        if self.is_sqlite and not found and set(names) - {version_table.name}:
            raise StoreError(
                f"store: {self.shown} is a database of another program; choose another file",
                permanent=True,
            )
        if not self._create and found < len(MIGRATIONS):
            raise StoreError(
                f"store: {self.shown} has version {found}, {len(MIGRATIONS)} is needed; "
                "run ecolite-stream --store with it once",
                permanent=True,
            )

    def _store_error(self, error: DBAPIError) -> StoreError:
        why = one_line(error.orig or error)[:300]
        for words, meaning in _PERMANENT.items():
            if words in why:
                return StoreError(f"store: {self.shown} {meaning}", permanent=True)
        if "unable to open database file" in why:
            why = "cannot be opened; check its folder and its rights"
            if not self._is_checked:  # one that was open may come back, as on a network share
                return StoreError(f"store: {self.shown} {why}", permanent=True)
        refused = isinstance(error, DataError | IntegrityError)
        return StoreError(f"store: {self.shown}: {why}", refuses_values=refused)


_PERMANENT = {
    "file is not a database": "is no SQLite database; choose another file",
    "readonly database": "is read-only; change its rights, or choose another file",
    "read-only transaction": "is read-only; choose the primary server",
    "password authentication failed": "refuses the user or the password",
    "malformed": "is damaged; move it away, or repair it with sqlite3 .recover",
}


def _engine(parts: URL, is_sqlite: bool, create: bool) -> Engine:
    if not is_sqlite:
        options = f"-c statement_timeout={_STATEMENT_MS}"
        return create_engine(
            parts,
            pool_size=2,
            max_overflow=2,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _CONNECT_S, "options": options, **_CUT_OFF},
        )
    engine = create_engine(parts, connect_args={"timeout": _LOCKED_S}, pool_size=2)

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not where Python thinks
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
            if create:
                connection.execute(f"PRAGMA {pragma}")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        write = connection.get_execution_options().get("ecolite_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
