"""Operations on teaching: start it, follow it, use what was taught."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.errors import EcoliteError
from ecolite_stream.web.api.clip_types import (
    EpochProgress,
    NewTeaching,
    Progress,
    Report,
    TeachingState,
    Used,
)
from ecolite_stream.web.api.clips import NO_FOLDER
from ecolite_stream.web.api.control import RunControl, change_run
from ecolite_stream.web.api.operations import ApiError, Call, Operation
from ecolite_stream.web.teaching import TeachingProcess


class TeachingOperations:
    """Teaches the clips of a run to its bundle.

    Args:
        process: does it.
        sink: has the folder of the clips; None where the run collects nothing.
        control: has the bundle that runs now, and changes it; None where it cannot be changed.
    """

    def __init__(
        self,
        process: TeachingProcess,
        sink: Callable[[], CollectSink | None],
        control: RunControl | None,
    ) -> None:
        self._process = process
        self._sink = sink
        self._control = control

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation("GET", "/teaching", "Get the state of teaching", self._get, TeachingState),
            Operation(
                *("POST", "/teaching", "Teach the clips to the bundle that runs"),
                *(self._start, TeachingState, 202),
                body=NewTeaching,
                needs_body=False,
                role="write",
                errors=(409, 503),
            ),
            Operation(
                *("DELETE", "/teaching", "Stop teaching", self._stop, None, 204),
                role="write",
            ),
            Operation(
                *("POST", "/teaching/use", "Change all streams to the taught bundle"),
                *(self._use, Used),
                role="write",
                errors=(409, 503),
            ),
        )

    async def _get(self, call: Call) -> TeachingState:
        return self._state()

    async def _start(self, call: Call) -> TeachingState:
        sink, control = self._sink(), self._control
        if sink is None:
            raise ApiError(503, NO_FOLDER)
        if control is None:
            raise ApiError(503, "this run cannot be changed")
        if reason := self._process.why_not():
            raise ApiError(409, reason)
        thorough, bundle = call.body.thorough, control.bundle
        if thorough and (reason := self._process.why_not_thorough(bundle)):
            raise ApiError(409, reason)
        now_ms = 1000 * time.time()
        try:
            await asyncio.to_thread(
                self._process.start, sink.folder, bundle.path, now_ms, thorough=thorough
            )
        except EcoliteError as error:
            raise ApiError(409, str(error)) from error
        return self._state()

    async def _stop(self, call: Call) -> None:
        await asyncio.to_thread(self._process.stop)

    async def _use(self, call: Call) -> Used:
        bundle = self._process.now.bundle
        if bundle is None:
            raise ApiError(409, "no bundle is taught yet; teach first")
        try:
            return Used(
                await change_run(self._control, True, lambda control: _add_and_use(control, bundle))
            )
        except EcoliteError as error:
            raise ApiError(409, str(error)) from error

    def _state(self) -> TeachingState:
        now = self._process.now
        report, error = None, now.error
        if now.report is not None:
            try:
                report = msgspec.convert(now.report, Report)
            except msgspec.ValidationError as unfit:
                error = f"the report is of another version: {unfit}"
        return TeachingState(
            state=now.state,
            why_not=self._process.why_not(),
            why_not_thorough=self._why_not_thorough(),
            stopping=now.stopping,
            thorough=now.thorough,
            progress=Progress(now.clips_done, now.clips),
            epochs=EpochProgress(now.epochs_done, now.epochs, now.left_s) if now.epochs else None,
            lines=now.lines,
            error=error,
            report=report,
        )

    def _why_not_thorough(self) -> str | None:
        if self._control is None:
            return "this run cannot be changed"
        return self._process.why_not_thorough(self._control.bundle)


def _add_and_use(control: RunControl, bundle: Path) -> str:
    digest = control.add_version(bundle)
    control.set_bundle(digest)
    return digest
