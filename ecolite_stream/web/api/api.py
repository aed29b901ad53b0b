"""All operations of the API, and what every one of them has in common."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import hdrs, web

from ecolite_stream.errors import ConfigError
from ecolite_stream.observability.serving import client_address
from ecolite_stream.web.access import Role, Visitors
from ecolite_stream.web.api.limits import RateLimit
from ecolite_stream.web.api.openapi import openapi
from ecolite_stream.web.api.operations import (
    JPEG,
    MAX_BODY,
    MP4,
    ApiError,
    Call,
    Operation,
    answered,
    called,
    problem,
)

PREFIX = "/api/"
_OTHER_SITES = frozenset({"cross-site", "same-site"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Answers what is below `/api`, errors as JSON.

    Args:
        operations: what can be asked for.
        visitors: who is known.
        cookie: name of the page's cookie in a request, which is as good as a token.
        per_s: requests a second of each address.
        body_s: seconds for the body of a request.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        visitors: Visitors,
        cookie: Callable[[web.Request], str],
        per_s: float,
        body_s: float,
    ) -> None:
        self._operations = operations
        self._visitors = visitors
        self._cookie = cookie
        self._limit = RateLimit(per_s)
        self._body_s = body_s
        self._document = openapi(operations)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add a route for each operation, and one for the OpenAPI document."""
        for operation in self._operations:
            router.add_route(operation.method, f"/api{operation.path}", self._handler(operation))
        document = Operation("GET", "/openapi.json", "", self._describe, None)
        router.add_get("/api/openapi.json", self._handler(document))

    async def _describe(self, call: Call) -> web.Response:
        body = json.dumps(self._document).encode()
        return web.Response(body=body, content_type="application/json")

    def _handler(self, operation: Operation) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                self._admit(request, operation)
                call = await called(operation, request, self._body_s)
                return answered(await operation.handle(call), operation.status)
            except ApiError as error:
                refused = problem(error.status, str(error), error.headers)
                if error.status == 408:
                    refused.force_close()
                return refused
            except ConfigError as error:
                return problem(400, str(error))

        return handle

    def _admit(self, request: web.Request, operation: Operation) -> None:
        """Raise an ApiError unless a request may be answered."""
        address, needed = client_address(request.transport), operation.role
        # Browsers of old send no Origin with a form; newer ones say where a page came from.
        if needed == "write" and request.headers.get("Sec-Fetch-Site") in _OTHER_SITES:
            raise ApiError(403, "another site's page asked for this")
        # A page of the history asks for many pictures at once; connections bound those.
        is_media = operation.answer in (JPEG, MP4)
        if not is_media and (wait_s := self._limit.wait_s(address)):
            raise ApiError(429, "too many requests; slow down", {"Retry-After": str(wait_s)})
        role = self._role(request, address)
        if role is None and self._visitors.must_wait(address):
            raise ApiError(
                429, "too many wrong tokens; try again in a minute", {"Retry-After": "60"}
            )
        if role is None:
            raise ApiError(401, "a token is needed; send Authorization: Bearer TOKEN")
        if needed == "write" and role == "read":
            raise ApiError(403, "this token may only read; use web.token")

    def _role(self, request: web.Request, address: str) -> Role | None:
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return self._visitors.role_of_token(address, token.strip())
        return self._visitors.role_of(address, request.cookies.get(self._cookie(request)))


def is_of_api(request: web.Request) -> bool:
    """Whether errors of a request are to be JSON."""
    return request.path.startswith(PREFIX)


def http_problem(error: web.HTTPException) -> web.Response:
    """What aiohttp refused by itself, in JSON: no such path, another method, a body too large."""
    words: dict[int, Any] = {
        404: "there is nothing at this path; GET /api/openapi.json lists all",
        413: f"the body is too large; expected at most {MAX_BODY} bytes",
    }
    headers: dict[str, str] = {}
    if isinstance(error, web.HTTPMethodNotAllowed):
        headers[hdrs.ALLOW] = ", ".join(sorted(error.allowed_methods))
        words[405] = f"this path does not take {error.method[:20]}; expected {headers[hdrs.ALLOW]}"
    return problem(error.status, words.get(error.status, error.reason), headers)
