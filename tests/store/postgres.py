"""A real PostgreSQL, as the benchmarks start it."""

from __future__ import annotations

from ecolite_stream.bench.robustness.postgres import BINARIES as BINARIES
from ecolite_stream.bench.robustness.postgres import Postgres as Postgres
from ecolite_stream.bench.robustness.postgres import running as running
