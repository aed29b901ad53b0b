"""What `GET /api/fleet` answers."""

from __future__ import annotations

from msgspec import Struct


class FleetMachine(Struct, frozen=True, kw_only=True):
    """A machine of the fleet.

    `state` is `up`, `lost`, `left` or `never seen`; `load` and `capacity` are in cameras at full
    rate; `share` is the rate of its cameras, 0 to 1.
    """

    machine: str
    state: str
    site: str
    capacity: float
    load: float
    cameras: int
    assigned: int
    share: float
    lease_age_s: float | None
    renewal_age_s: float | None
    supervisor: bool
    bundle: str | None


class FleetNewest(Struct, frozen=True, kw_only=True):
    """The newest prediction of a view."""

    view: str
    label: str
    score: float
    at: str | None


class FleetCamera(Struct, frozen=True, kw_only=True):
    """A camera of the fleet; `machine` watches it, null if none does."""

    stream: str
    machine: str | None
    assigned: str | None
    share: float
    watched_s: float | None
    state: str
    fps: float | None
    newest: tuple[FleetNewest, ...]


class FleetTurn(Struct, frozen=True, kw_only=True):
    """A machine in the last rollout of a bundle."""

    machine: str
    digest: str
    state: str
    message: str


class FleetAnswer(Struct, frozen=True, kw_only=True):
    """The whole fleet; `answered_by` is the machine that was asked."""

    fleet: str
    answered_by: str
    at: str
    machines: tuple[FleetMachine, ...]
    cameras: tuple[FleetCamera, ...]
    not_watched: tuple[str, ...]
    rollout: tuple[FleetTurn, ...]
