"""Stores to test with, and the command."""

from __future__ import annotations

from tests.archive.conftest import ecolite
from tests.store.conftest import postgres, sqlite_url, url

__all__ = ["ecolite", "postgres", "sqlite_url", "url"]
