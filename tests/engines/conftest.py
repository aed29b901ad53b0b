"""Engines over the small bundle."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ecolite_stream.engines import Engine, open_engine
from ecolite_stream.model.bundle import Bundle
from tests.conftest import installed
from tests.engines.expected import ENGINES


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, bundle: Bundle) -> Iterable[Engine]:
    opened = open_engine(installed(request.param), bundle)
    yield opened
    opened.close()
