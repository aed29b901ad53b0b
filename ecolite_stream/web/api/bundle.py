"""Operations on the bundle of the run and its versions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ecolite_stream.errors import EcoliteError
from ecolite_stream.web.api.control import KnownVersion, RunControl, change_run
from ecolite_stream.web.api.operations import ApiError, Call, Operation
from ecolite_stream.web.api.types import ChosenBundle, HeldOut, RunningBundle, Version


class BundleOperations:
    """Shows the bundle of the run and changes it to another version.

    Args:
        control: changes the run; None where it cannot be changed.
    """

    def __init__(self, control: RunControl | None) -> None:
        self._control = control

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation(
                *("GET", "/bundle", "Get the bundle and its versions", self._get, RunningBundle),
                errors=(409, 503),
            ),
            Operation(
                *("PUT", "/bundle", "Change all streams to a version", self._put, None, 204),
                body=ChosenBundle,
                role="write",
                errors=(409, 503),
            ),
        )

    async def _get(self, call: Call) -> RunningBundle:
        if self._control is None:
            raise ApiError(503, "the bundle of this run is not known")
        try:
            versions = await asyncio.to_thread(self._control.versions)
        except EcoliteError as error:
            raise ApiError(409, str(error)) from error
        bundle = self._control.bundle
        return RunningBundle(
            digest=bundle.digest,
            path=str(bundle.path),
            labels=bundle.spec.labels,
            scores=dict(bundle.spec.scores),
            versions=tuple(map(_version, versions)),
        )

    async def _put(self, call: Call) -> None:
        wanted = call.body.bundle
        try:
            # Needs no token: the versions are known, and nothing else can be named.
            await change_run(self._control, True, lambda control: control.set_bundle(wanted))
        except EcoliteError as error:  # the request makes sense, but not now
            raise ApiError(409, str(error)) from error


def _version(known: KnownVersion) -> Version:
    held_out = known.held_out
    return Version(
        digest=known.digest,
        name=known.name,
        path=str(known.path),
        created=known.created,
        is_current=known.is_current,
        held_out=None if held_out is None else HeldOut(*held_out),
    )
