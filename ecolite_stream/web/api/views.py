"""Operations on the views and the mask of a stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from ecolite_stream.config.drawn_views import DrawnViews
from ecolite_stream.config.strict import make_config
from ecolite_stream.config.views import covered_regions
from ecolite_stream.errors import ConfigError
from ecolite_stream.web.api.control import RunControl
from ecolite_stream.web.api.operations import Call, Operation
from ecolite_stream.web.api.types import StreamViews, View, ViewsBody

Change = Callable[[Callable[[RunControl], Any]], Awaitable[Any]]
"""Runs a function of the run in another thread; raises an ApiError where that cannot be done."""


class ViewOperations:
    """Gets, changes and resets the views of a stream.

    Args:
        change: asks or changes the run.
    """

    def __init__(self, change: Change) -> None:
        self._change = change

    def operations(self) -> Sequence[Operation]:
        """All of them."""
        one, errors = "/streams/{name}/views", (404, 409, 503)
        return (
            Operation(
                "GET", one, "Get a stream's views and mask", self._get, StreamViews, errors=errors
            ),
            Operation(
                *("PUT", one, "Change a stream's views and mask", self._put, StreamViews),
                body=ViewsBody,
                role="write",
                errors=errors,
            ),
            Operation(
                *("DELETE", one, "Take the configuration's views again", self._reset, StreamViews),
                role="write",
                errors=errors,
            ),
        )

    async def _get(self, call: Call) -> StreamViews:
        name = call.path("name")
        return _as_answer(*await self._change(lambda control: control.views(name)))

    async def _put(self, call: Call) -> StreamViews:
        body: ViewsBody = call.body
        drawn = make_config(
            DrawnViews, {"views": list(map(_plain, body.views)), "mask": body.mask}, "body"
        )
        if covered := covered_regions(drawn.mask, drawn.views):
            raise ConfigError(
                f"mask covers the whole region {covered[0]!r}, so no motion counts there; make the "
                "mask smaller, or remove the region"
            )
        return await self._set(call, drawn)

    async def _reset(self, call: Call) -> StreamViews:
        return await self._set(call, None)

    async def _set(self, call: Call, drawn: DrawnViews | None) -> StreamViews:
        name = call.path("name")

        def change(control: RunControl) -> tuple[DrawnViews, bool]:
            control.set_views(name, drawn)
            return control.views(name)

        return _as_answer(*await self._change(change))


def _plain(view: str | View) -> str | dict[str, Any]:
    if isinstance(view, str):
        return view
    return {key: one for key, one in msgspec.structs.asdict(view).items() if one is not None}


def _as_answer(found: DrawnViews, drawn: bool) -> StreamViews:
    views = tuple(
        view
        if isinstance(view, str)
        else View(region=view.region, box=view.box or None, subjects=view.subjects)
        for view in found.views
    )
    return StreamViews(views=views, mask=found.mask, drawn=drawn)  # type: ignore[arg-type]
