"""Metrics of the whole fleet: read from a real store, scraped over real HTTP."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ecolite_stream.fleet.ledger import Ledger
from ecolite_stream.fleet.metrics import FleetMetrics
from ecolite_stream.fleet.status import FleetStatus, read_status
from ecolite_stream.fleet.versions import change
from ecolite_stream.observability.metrics import Metrics
from ecolite_stream.observability.metrics_server import serve
from ecolite_stream.store.database import StoreError
from tests.fleet.test_leases import TimedLedger, pass_time
from tests.fleet.test_reports import text_of, with_report
from tests.fleet.test_supervisor import fleet_of, ledger
from tests.waiting import eventually

__all__ = ["ledger"]
pytestmark = pytest.mark.timeout(60)

Series = dict[tuple[str, frozenset[str]], float]


class Store:
    """A ledger that can be away, and hang."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.is_away, self.asked = ledger, False, 0
        self.fleet = fleet_of()
        self.goes_on = threading.Event()
        self.goes_on.set()

    def read(self) -> FleetStatus:
        self.asked += 1
        self.goes_on.wait(30)
        if self.is_away:
            raise StoreError("store: away")
        with self.ledger.begin() as table:
            return read_status(self.fleet, table)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def store(ledger: TimedLedger) -> Store:
    return Store(ledger)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def port(store: Store, clock: Clock) -> Iterator[int]:
    whole = FleetMetrics("shop", store.read, clock)
    with serve(Metrics(), "0", (), {"/fleet": whole}) as port:
        assert store.asked == 0
        yield port
    store.goes_on.set()
    whole.close()


def scraped(port: int, path: str = "/fleet") -> Series:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            (one.name, frozenset(one.labels.values())): one.value
            for family in families
            for one in family.samples
        }


def value(series: Series, name: str, *labels: str) -> float:
    return series[f"ecolite_fleet_{name}", frozenset({"shop", *labels})]


def test_the_fleet_has_an_endpoint_of_its_own(ledger: TimedLedger, store: Store, port: int) -> None:
    box = with_report(ledger, "box-1", [text_of("walk")])
    store.fleet = box.member._fleet
    box.tick()
    found = scraped(port)
    assert (value(found, "store_up"), value(found, "machines_up")) == (1, 1)
    assert (value(found, "cameras_watched"), value(found, "cameras_unwatched")) == (3, 1)
    assert value(found, "machine_load", "box-1") == 3
    assert value(found, "machine_supervises", "box-1") == 1
    assert value(found, "machine_up", "box-2") == 0
    assert ("ecolite_fleet_lease_age_seconds", frozenset({"shop", "box-2"})) not in found
    assert value(found, "stream_up", "camera-0", "box-1") == 1
    assert value(found, "stream_up", "camera-3", "") == 0
    assert not any(name.startswith("ecolite_fleet") for name, _ in scraped(port, "/metrics"))
    assert all(name.startswith("ecolite_fleet") for name, _ in found)


def test_series_of_what_is_gone_vanish(ledger: TimedLedger, store: Store, port: int) -> None:
    box = with_report(ledger, "box-1", [text_of("walk")])
    box.tick()
    before = scraped(port)
    pass_time(ledger, 9)
    lost = scraped(port)
    assert ("ecolite_fleet_stream_up", frozenset({"shop", "camera-0", "box-1"})) in before
    assert value(lost, "stream_up", "camera-0", "") == 0
    assert ("ecolite_fleet_stream_up", frozenset({"shop", "camera-0", "box-1"})) not in lost
    assert value(lost, "renewal_age_seconds", "box-1") >= 9
    streams = {labels for name, labels in lost if name == "ecolite_fleet_stream_up"}
    assert len(streams) == 4
    with ledger.begin() as table:  # as an apply does; the reader has the definition before
        assert change(table, table.digest(), fleet_of(1))
    fewer = scraped(port)
    assert len([1 for name, _ in fewer if name == "ecolite_fleet_stream_up"]) == 1


def test_a_store_that_is_away_or_hangs_holds_no_scrape_up(
    store: Store, clock: Clock, port: int
) -> None:
    store.is_away = True
    away = scraped(port)
    assert list(away) == [("ecolite_fleet_store_up", frozenset({"shop"}))]
    assert value(away, "store_up") == 0
    scraped(port)
    assert store.asked == 1  # not again at once
    store.is_away = False
    clock.now_s += 6
    assert value(scraped(port), "store_up") == 1
    store.goes_on.clear()
    assert value(scraped(port), "store_up") == 0
    clock.now_s += 6
    assert value(scraped(port), "store_up") == 0
    assert store.asked == 3  # the one before still waits
    assert any(name.startswith("ecolite_build") for name, _ in scraped(port, "/metrics"))
    store.goes_on.set()

    def is_back() -> bool:
        clock.now_s += 6
        return value(scraped(port), "store_up") == 1

    eventually(is_back)
