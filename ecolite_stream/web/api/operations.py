"""An operation of the API: its path, its types, and how a request becomes a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from ecolite_stream.web.access import Role
from ecolite_stream.web.api.types import Problem

MAX_BODY = 65_536
"""Bytes of a request's body: a mask with many points takes most."""
JPEG, MP4, SERVER_SENT_EVENTS = "image/jpeg", "video/mp4", "text/event-stream"


class ApiError(Exception):
    """An answer that is an error.

    Attributes:
        status: of HTTP.
        headers: to add to the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True)
class Call:
    """A request that is admitted and checked.

    Attributes:
        request: as it came.
        query: what its query string says, of the operation's type.
        body: what its body says, likewise.
    """

    request: web.Request
    query: Any = None
    body: Any = None

    def path(self, key: str) -> str:
        """A part of the path."""
        return self.request.match_info[key]


@dataclass(frozen=True)
class Operation:
    """An operation; the router and the OpenAPI document are made of these.

    Attributes:
        method: GET, PUT, ...
        path: below `/api`, with `{id}` for an event and `{name}` for a stream.
        summary: what it does, in the imperative.
        handle: does it; returns an `answer`, None, or a whole response.
        answer: the type of the answer, or its media type; None where it has no body.
        status: of an answer that is no error.
        query: type of the query string, if it takes one.
        body: type of the body, if it takes one.
        needs_body: whether a request must have a body; without one the defaults hold.
        role: what a visitor must be allowed.
        errors: statuses that it answers beside those that all do.
    """

    method: str
    path: str
    summary: str
    handle: Callable[[Call], Awaitable[Any]]
    answer: type[Struct] | str | None
    status: int = 200
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    needs_body: bool = True
    role: Role = "read"
    errors: tuple[int, ...] = ()


async def called(operation: Operation, request: web.Request, body_s: float) -> Call:
    """A request, checked against the types of an operation.

    Raises:
        ApiError: it does not fit them.
    """
    query = _query(operation.query, request)
    body = None
    if operation.body is not None and not (operation.needs_body or request.can_read_body):
        body = operation.body()
    elif operation.body is not None:
        if request.content_type != "application/json":
            raise ApiError(415, "the body is not JSON; send Content-Type: application/json")
        try:
            async with asyncio.timeout(body_s):
                content = await request.read()
        except TimeoutError as error:
            raise ApiError(408, "the request's body did not come in time") from error
        try:
            body = msgspec.json.decode(content, type=operation.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(400, f"body: {error}") from error
    return Call(request, query, body)


def _query(kind: type[Struct] | None, request: web.Request) -> Any:
    fields = {} if kind is None else {f.name: f for f in msgspec.structs.fields(kind)}
    given: dict[str, Any] = {}
    for key in request.query:
        values = request.query.getall(key)
        if key not in fields:
            known = ", ".join(fields) or "none"
            raise ApiError(400, f"query: unknown parameter {key[:60]!r}; expected {known}")
        if fields[key].default == ():
            given[key] = values
        elif len(values) > 1:
            raise ApiError(400, f"query: {key} is there {len(values)} times; expected one")
        elif values[0] != "null":
            given[key] = values[0]
        else:  # msgspec would take it for no value at all
            raise ApiError(400, f"query: {key} is 'null'; leave it out, or give a value")
    if kind is None:
        return None
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(400, f"query: {error}") from error


def answered(value: Any, status: int) -> web.StreamResponse:
    """What a handler returned, as a response."""
    if isinstance(value, web.StreamResponse):
        return value
    if value is None:
        return web.Response(status=status)
    try:
        body = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a name on disk that is no UTF-8
        body = json.dumps(msgspec.to_builtins(value)).encode("ascii")
    return web.Response(body=body, status=status, content_type="application/json")


def problem(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error as a response, in JSON."""
    if status == 401:
        headers = {**(headers or {}), hdrs.WWW_AUTHENTICATE: "Bearer"}
    body = msgspec.json.encode(Problem(message.encode("utf-8", "backslashreplace").decode()))
    return web.Response(
        body=body, status=status, content_type="application/json", headers=dict(headers or {})
    )
