"""What the web server answers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from importlib import resources

from aiohttp import HttpVersion11, WSCloseCode, hdrs, web

from ecolite_stream.config.schema import WebConfig
from ecolite_stream.datasets.collect_sink import CollectSink
from ecolite_stream.observability.serving import Connections, client_address
from ecolite_stream.observability.sink_health import SinkHealthReader
from ecolite_stream.observability.stream_health import Health, HealthReader
from ecolite_stream.sinks.alert_book import AlertBook
from ecolite_stream.web.access import SESSION_S, Access, Visitors, is_forwarded
from ecolite_stream.web.api.alerts import AlertOperations
from ecolite_stream.web.api.api import Api, http_problem, is_of_api
from ecolite_stream.web.api.bundle import BundleOperations
from ecolite_stream.web.api.clips import ClipOperations
from ecolite_stream.web.api.control import RunControl
from ecolite_stream.web.api.events import EventOperations
from ecolite_stream.web.api.fleet import FleetOperations, Place
from ecolite_stream.web.api.operations import MAX_BODY, problem
from ecolite_stream.web.api.store_access import StoreAccess
from ecolite_stream.web.api.streams import REMOVED, StreamOperations
from ecolite_stream.web.api.teaching import TeachingOperations
from ecolite_stream.web.api.types import StreamSettings
from ecolite_stream.web.api.views import ViewOperations
from ecolite_stream.web.clips import ClipFolder
from ecolite_stream.web.teaching import TeachingProcess
from ecolite_stream.web.viewer import Show, Viewer

MAX_CONNECTIONS = 128
"""Connections at once, but for those of open pages, which `web.viewers` bounds."""
MAX_PER_ADDRESS = 64
"""Of them those of one address: a proxy's are all of one."""
BODY_S = 5.0
"""For the body of a request."""
ANSWER_S = 20.0
"""For a request, its body and its answer, and for the silence until the next one."""
CLIP_S = 120.0
"""The same for a clip, which a browser reads as it plays it, and asks for again where it was."""
_MAX_MESSAGE = 4096
_HEALTH_EVERY_S = 1.0
_CLOSE_S = 0.2
_PAGES = {
    "/": "index.html",
    "/history": "history.html",
    "/teach": "teach.html",
    "/alerts": "alerts.html",
    "/views": "views.html",
}
_FLEET_PAGE = {"/fleet": "fleet.html"}
_FLEET_LINK = b'      <a href="/fleet">Fleet</a>\n'
_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Run:
    """What the API needs of a run, beside what the page shows.

    Attributes:
        store: URL of the store of events; None where it has none.
        settings: how a stream of that name is watched.
        control: changes its streams and its bundle; None where they cannot be changed.
        collecting: makes clips to teach with; gives None where the run collects none.
        source: what a stream of that name watches, without credentials.
        teaching: teaches those clips.
        alerts: gives its alert rules; None where it sends no alerts.
        place: its place in a fleet; None outside of fleets.
    """

    store: str | None
    settings: Callable[[str], StreamSettings]
    control: RunControl | None = None
    collecting: Callable[[], CollectSink | None] = lambda: None
    source: Callable[[str], str] = lambda name: name
    teaching: TeachingProcess = field(default_factory=TeachingProcess)
    alerts: Callable[[], AlertBook | None] = lambda: None
    place: Place | None = None


class Site:
    """The page, its connections, the clips and the API.

    Args:
        show: what all pages get to see.
        health: where the health of streams is read.
        sinks: where that of sinks is.
        config: limits, and where clips are.
        access: who is answered.
        executor: one thread, for what would hold the event loop up.
        run: what the API needs beside.

    Attributes:
        connections: those that are open, but for the pages' own.
    """

    def __init__(
        self,
        show: Show,
        health: HealthReader,
        sinks: SinkHealthReader,
        config: WebConfig,
        access: Access,
        executor: Executor,
        run: Run,
    ) -> None:
        self.connections = Connections(MAX_CONNECTIONS, MAX_PER_ADDRESS)
        self._show = show
        self._run = run
        self._health = health
        self._sinks = sinks
        self._access = access
        self._visitors = Visitors(access)
        self._executor = executor
        self._max_viewers = config.viewers
        self._clips = ClipFolder(config.clips) if config.clips else None
        self._pages = _PAGES if run.place is None else {**_PAGES, **_FLEET_PAGE}
        self._files = _static_files(has_fleet=run.place is not None)
        self._sockets: dict[web.WebSocketResponse, Callable[[], object]] = {}
        self._store = StoreAccess(run.store)
        self._stream_operations = StreamOperations(
            show,
            run.settings,
            run.control,
            may_control=access.token is not None,
            most_live=config.viewers,
            let_live=self._has_its_own_limits,
        )
        operations = [
            *self._stream_operations.operations(),
            *ViewOperations(self._stream_operations.ask).operations(),
            *AlertOperations(run.alerts).operations(),
            *BundleOperations(run.control).operations(),
            *EventOperations(self._store, self._clips).operations(),
            *FleetOperations(self._store, run.place).operations(),
            *ClipOperations(
                run.collecting,
                lambda name: run.settings(name).views,
                run.source,
                self._store,
                config.clips,
            ).operations(),
            *TeachingOperations(run.teaching, run.collecting, run.control).operations(),
        ]
        self._api = Api(operations, self._visitors, _cookie, config.api_per_s, BODY_S)

    def app(self) -> web.Application:
        """The application that answers."""
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        app.on_response_prepare.append(_add_headers)
        app.on_shutdown.append(self._close_sockets)
        app.cleanup_ctx.append(self._reads_health)
        for path, file in self._pages.items():
            app.router.add_get(path, functools.partial(self._page, file))
        app.router.add_get("/session", self._session)
        app.router.add_post("/session", self._log_in)
        app.router.add_get("/live", self._live)
        app.router.add_get("/clips/{name}", self._clip)
        app.router.add_get("/static/{name}", self._static)
        self._api.add_to(app.router)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.transport is not None:
            self.connections.extend(request.transport, ANSWER_S)
        refused = self._refused(request)
        if refused is not None:
            return problem(*refused) if is_of_api(request) else _refusal(*refused)
        if not is_of_api(request):
            return await handler(request)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return http_problem(error)

    def _refused(self, request: web.Request) -> tuple[int, str] | None:
        """Status and reason, of a request that nobody is asked about."""
        host = request.headers.get(hdrs.HOST, "")
        if not self._access.knows_host(host):
            return 421, "this server does not know that host name; add the name to web.hosts"
        if not self._access.is_own(request.headers.get(hdrs.ORIGIN), host):
            return 403, "another site's page asked for this"
        # A proxy makes everybody's requests look like this machine's own. nginx, unless it is told
        # otherwise, adds no header, but speaks HTTP/1.0, which no browser does.
        proxied = is_forwarded(request.headers) or request.version < HttpVersion11
        if self._access.token is None and proxied:
            return 403, "a proxy passed this request on, and the page has no token; set web.token"
        return None

    def _admits(self, request: web.Request) -> bool:
        return self._visitors.admits(
            client_address(request.transport), request.cookies.get(_cookie(request))
        )

    async def _page(self, file: str, request: web.Request) -> web.Response:
        return self._file(file if self._admits(request) else "login.html")

    async def _static(self, request: web.Request) -> web.Response:
        return self._file(request.match_info["name"])

    def _file(self, name: str) -> web.Response:
        if name not in self._files:
            return _refusal(404, "there is no such file")
        kind = _KINDS["." + name.rpartition(".")[2]]
        return web.Response(body=self._files[name], content_type=kind, charset="utf-8")

    async def _session(self, request: web.Request) -> web.Response:
        """Whether a page may connect: a browser does not tell why a WebSocket was refused."""
        if not self._admits(request):
            return _refusal(401, "log in first")
        if len(self._sockets) >= self._max_viewers:
            return _refusal(503, "too many pages are open; close one, or raise web.viewers")
        return web.Response(status=204)

    async def _log_in(self, request: web.Request) -> web.Response:
        address = client_address(request.transport)
        try:
            async with asyncio.timeout(BODY_S):
                token = (await request.read()).decode("ascii", "replace").strip()
        except TimeoutError:
            refused = _refusal(408, "the request's body did not come in time")
            refused.force_close()
            return refused
        answer = web.Response(status=204)
        if self._access.token is None:
            return answer
        session = self._visitors.log_in(address, token)
        if session is None:
            if self._visitors.must_wait(address):
                return _refusal(429, "too many wrong tokens; try again in a minute")
            return _refusal(401, "that is not the token")
        answer.set_cookie(
            _cookie(request),
            session,
            httponly=True,
            samesite="Strict",
            secure=request.headers.get(hdrs.ORIGIN, "").startswith("https:"),
            max_age=SESSION_S,
        )
        return answer

    async def _live(self, request: web.Request) -> web.StreamResponse:
        refused = await self._session(request)
        if refused.status != 204:
            return refused
        socket = web.WebSocketResponse(heartbeat=10, max_msg_size=_MAX_MESSAGE, timeout=0.2)

        def let_go() -> None:
            if request.transport is not None:
                request.transport.abort()

        self._sockets[socket] = let_go
        self._has_its_own_limits(request)
        try:
            await socket.prepare(request)
            await Viewer(socket, self._show).serve(let_go)
        finally:
            del self._sockets[socket]
        return socket

    def _has_its_own_limits(self, request: web.Request) -> None:
        if request.transport is not None:
            self.connections.remove(request.transport)

    async def _clip(self, request: web.Request) -> web.StreamResponse:
        if not self._admits(request):
            return _refusal(401, "log in first")
        path = None
        if self._clips is not None:
            loop, name = asyncio.get_running_loop(), request.match_info["name"]
            path = await loop.run_in_executor(self._executor, self._clips.path, name)
        if path is None:
            return _refusal(404, "there is no such clip any more")
        if request.transport is not None:
            self.connections.extend(request.transport, CLIP_S)
        return web.FileResponse(path, headers={"Content-Type": "video/mp4"})

    def _without_removed(self, health: dict[str, Health]) -> dict[str, Health]:
        """Streams that are being removed have a state of their own."""
        there = self._run.control.names() if self._run.control else None
        if there is None:
            return health
        return {name: one if name in there else Health(REMOVED) for name, one in health.items()}

    async def _close_sockets(self, app: web.Application) -> None:
        async def close(socket: web.WebSocketResponse, let_go: Callable[[], object]) -> None:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(_CLOSE_S):
                    await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the run has ended")
                    return
            let_go()  # it takes nothing more

        ends = [close(*one) for one in self._sockets.items()]
        teaching = asyncio.to_thread(self._run.teaching.close)
        await asyncio.gather(self._stream_operations.close(), teaching, *ends)
        self._store.close()

    async def _reads_health(self, app: web.Application) -> AsyncIterator[None]:
        async def read() -> None:
            loop = asyncio.get_running_loop()
            while True:
                self._show.health = self._without_removed(self._health.read())
                self._show.sinks = self._sinks.read()
                self._show.readings += 1
                if self._clips and self._sockets:
                    names = await loop.run_in_executor(self._executor, self._clips.names)
                    self._show.board.link_clips(names)
                await asyncio.sleep(_HEALTH_EVERY_S)

        reading = asyncio.create_task(read())
        yield
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


def _static_files(has_fleet: bool) -> dict[str, bytes]:
    """All files by name; pages link to the fleet's only where there is one."""
    folder = resources.files("ecolite_stream.web") / "static"
    files = {file.name: file.read_bytes() for file in folder.iterdir() if "." in file.name}
    if has_fleet:
        return files
    return {name: content.replace(_FLEET_LINK, b"") for name, content in files.items()}


def _cookie(request: web.Request) -> str:
    """Browsers share cookies among the ports of a host: each server has a name of its own."""
    port = request.host.rpartition(":")[2]
    return f"ecolite_{port if port.isdigit() else 'page'}"


def _refusal(status: int, why: str) -> web.Response:
    return web.Response(status=status, text=f"{why}\n")


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
