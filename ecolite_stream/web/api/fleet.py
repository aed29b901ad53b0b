"""The operation on the fleet that the run belongs to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ecolite_stream.fleet.config import Fleet
from ecolite_stream.types import iso_utc
from ecolite_stream.web.api.fleet_types import FleetAnswer
from ecolite_stream.web.api.operations import ApiError, Call, Operation
from ecolite_stream.web.api.store_access import StoreAccess


@dataclass(frozen=True)
class Place:
    """Where a run is.

    Attributes:
        fleet: it belongs to.
        machine: it runs as.
    """

    fleet: Fleet
    machine: str


class FleetOperations:
    """Shows the fleet.

    Args:
        store: its tables.
        place: of the run; None outside of fleets.
    """

    def __init__(self, store: StoreAccess, place: Place | None) -> None:
        self._store = store
        self._place = place

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        what = "Get the machines and cameras of the fleet"
        return (Operation("GET", "/fleet", what, self._get, FleetAnswer, errors=(404, 503)),)

    async def _get(self, call: Call) -> FleetAnswer:
        if self._place is None:
            raise ApiError(404, "this run is in no fleet; start it with ecolite-stream fleet")
        from ecolite_stream.fleet.status import status_of

        place = self._place
        found = await self._store.read(lambda connection: status_of(place.fleet, connection))
        facts = {
            "fleet": place.fleet.config.name,
            "answered_by": place.machine,
            "at": iso_utc(found.at_ms),
            "machines": [one.as_dict() for one in found.machines],
            "cameras": [dataclasses.asdict(one) for one in found.cameras],
            "not_watched": found.unwatched,
            "rollout": [dataclasses.asdict(one) for one in found.rollout],
        }
        return msgspec.convert(facts, FleetAnswer)
