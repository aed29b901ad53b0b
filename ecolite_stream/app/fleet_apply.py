"""Change the definition of a fleet on all its machines at once, or on none."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from ecolite_stream.app.reload import in_words
from ecolite_stream.errors import ConfigError
from ecolite_stream.fleet.config import Fleet
from ecolite_stream.fleet.proposals import Proposal, Proposals
from ecolite_stream.store.database import StoreError

_MOST_TICK_S = 1.0


def apply_fleet(
    fleet: Fleet,
    proposals: Proposals,
    wait: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Propose a definition, and make it the current one once all machines that are up agree.

    Args:
        fleet: the definition.
        proposals: of the fleet.
        wait: for so many seconds.
        clock: seconds, monotonic.

    Returns:
        What has changed, in one line.

    Raises:
        ConfigError: a machine refuses it or does not answer, or another one is proposed now;
            nothing has changed.
        StoreError: the store cannot be used; what is proposed ends by itself.
    """
    proposal = proposals.propose(fleet)
    if proposal is None:
        return "nothing changed"
    try:
        _settle(proposal, proposals, wait, clock)
    except BaseException:
        with contextlib.suppress(StoreError):  # it ends by itself
            proposals.withdraw(proposal)
        raise
    return in_words(dict(_changes(proposal.before, fleet)))


def _settle(
    proposal: Proposal,
    proposals: Proposals,
    wait: Callable[[float], object],
    clock: Callable[[], float],
) -> None:
    until_s = clock() + proposal.ends_s
    tick_s = min(_MOST_TICK_S, proposal.fleet.config.tick_s)
    while True:
        failure: StoreError | None = None
        waiting: list[str] = []
        try:
            waiting = proposals.settle(proposal)
            if not waiting:
                return
        except StoreError as error:
            if error.permanent:
                raise
            failure = error
        if clock() > until_s:
            if failure is not None:
                raise failure
            raise ConfigError(
                f"{', '.join(waiting)}: no answer within {proposal.ends_s:g} s; nothing has "
                "changed; see ecolite-stream fleet status, and apply it again"
            )
        wait(tick_s)


def _changes(before: Fleet, after: Fleet) -> Iterator[tuple[str, list[str]]]:
    """(kind of change, names) of machines and cameras; and times that changed."""
    machines, addresses = before.config.machines, before.addresses()
    cameras = {camera.name: (camera, addresses[camera.name]) for camera in before.cameras}
    addresses = after.addresses()
    wanted = {camera.name: (camera, addresses[camera.name]) for camera in after.cameras}
    for kind, there, then in (
        ("machines", machines, after.config.machines),
        ("cameras", cameras, wanted),
    ):
        yield f"added {kind}", [name for name in then if name not in there]
        yield f"removed {kind}", [name for name in there if name not in then]
        both = [name for name in then if name in there]
        yield f"changed {kind}", [name for name in both if then[name] != there[name]]
    times = ("lease_s", "margin_s", "tick_s", "settle_s")
    yield (
        "set",
        [
            f"{name} to {getattr(after.config, name):g}"
            for name in times
            if getattr(after.config, name) != getattr(before.config, name)
        ],
    )
