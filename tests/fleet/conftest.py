"""Stores to test with."""

from __future__ import annotations

from tests.store.conftest import postgres, sqlite_url, url

__all__ = ["postgres", "sqlite_url", "url"]
