"""The HTTP server around endpoints, and the smallest one: a receiver that waits for a sender."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gistcast.codec.errors import UsageError
from gistcast.stream.connection import is_loopback
from gistcast.stream.link import StreamError
from gistcast.stream.peer import PeerLink
from gistcast.stream.signalling.endpoint import (
    CONNECT_SECONDS,
    MAX_SDP,
    Endpoint,
    Peer,
    RefusedError,
    SessionLimits,
)
from gistcast.stream.signalling.guard import Access, doorkeeper

WHIP, WHEP = "/whip", "/whep"
MAX_CONNECTIONS = 512  #: to the HTTP server at once; further ones are hung up on
STALE_SECONDS = 3.0  #: without a word, after which a sender may be replaced: it pings every two
IDLE_SECONDS = 10.0  #: that a connection may take for a request's header, or pause between requests
_LOOK_SECONDS = 1.0
_MAX_LINE, _MAX_FIELD, _MAX_HEADERS = 4096, 8190, 64  # bytes, bytes, header fields of a request


class _Doorstep:
    """Counts connections, and hangs up on those that stand there without asking for anything.

    aiohttp's own limit counts from the end of a request, so that a header that never ends keeps
    its connection for ever.
    """

    def __init__(self, server: web.Server) -> None:
        self._server = server
        self._idle: dict[RequestHandler, float] = {}  # since when
        self._loop = asyncio.get_running_loop()
        self._looking = asyncio.create_task(self._look())

    def __call__(self) -> asyncio.Protocol:
        """A protocol for the next connection."""
        if len(self._server.connections) >= MAX_CONNECTIONS:
            return _Closed()
        return self._server()

    async def close(self) -> None:
        """Look no longer."""
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = self._loop.time()
            idle = {c for c in self._server.connections if c._current_request is None}
            self._idle = {c: self._idle.get(c, now) for c in idle}
            for connection, since in self._idle.items():
                if now - since > IDLE_SECONDS and connection.transport is not None:
                    connection.transport.abort()


class _Closed(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As in asyncio."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.abort()


class HttpServer:
    """Serves routes while its `async with` lasts.

    Args:
        host, port: where to listen; port 0 takes a free one (see `url`).
        access: whose requests are looked at.
        routes: what there is to ask for.
    """

    def __init__(
        self, host: str, port: int, access: Access, routes: Iterable[web.AbstractRouteDef]
    ) -> None:
        self.url = ""  #: such as http://127.0.0.1:8787, once it listens
        self._host, self._port = host, port
        app = web.Application(client_max_size=MAX_SDP, middlewares=[doorkeeper(access)])
        app.add_routes(routes)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=1.0,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_FIELD,
            max_headers=_MAX_HEADERS,
        )
        self._doorstep: _Doorstep | None = None
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> HttpServer:
        await self._runner.setup()
        assert self._runner.server is not None  # it is set up
        self._doorstep = _Doorstep(self._runner.server)
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(self._doorstep, self._host, self._port)
        except OSError as error:
            await self._stop()
            message = f"cannot listen on {self._host}:{self._port}: {error.strerror}"
            raise UsageError(message) from error
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{shown}:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._doorstep is not None:
            await self._doorstep.close()
        await self._runner.cleanup()


class WhipListener:
    """A WHIP endpoint where one sender at a time can announce itself. One that is silent may be
    replaced by the next, which then is another session.

        async with WhipListener("127.0.0.1", 0) as listener:
            link = await listener.accept()

    Args:
        host, port: where to listen; port 0 takes a free one (see `url`).
        token: bearer token to ask for; None lets anyone in who can reach the endpoint.
        connect_seconds: time a new session has to open its channels.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        token: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self.url = ""
        self._loopback = is_loopback(host)
        access = Access(token, loopback=self._loopback)
        limits = SessionLimits(sessions=4, connect_seconds=connect_seconds)
        self.endpoint = Endpoint(WHIP, self._make_peer, self._offer, access=access, limits=limits)
        self._server = HttpServer(host, port, access, self.endpoint.routes())
        self._offered: asyncio.Queue[PeerLink] = asyncio.Queue()
        self._present: PeerLink | None = None
        self._connected = False  # the one that is present

    async def __aenter__(self) -> WhipListener:
        await self._server.__aenter__()
        self.url = self._server.url + WHIP
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.endpoint.close()
        await self._server.__aexit__(*raised)

    async def accept(self, timeout: float | None = None) -> PeerLink:
        """The next session whose channels are open.

        Raises:
            StreamError: none came within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while (link := await self._offered.get()).closed:
                    pass
                return link
        except TimeoutError:
            raise StreamError(f"no sender within {timeout:g} s") from None

    def _make_peer(self, offer: str) -> PeerLink:
        del offer
        if self._busy():
            raise RefusedError(503, "busy with another sender", 1)
        self._present, self._connected = PeerLink(loopback=self._loopback), False
        return self._present

    def _busy(self) -> bool:
        """Whether there is a sender that connects or is heard of."""
        present = self._present
        if present is None or present.closed:
            return False
        return not self._connected or present.alive(STALE_SECONDS)

    async def _offer(self, peer: Peer) -> None:
        assert isinstance(peer, PeerLink)
        self._connected |= peer is self._present
        self._offered.put_nowait(peer)
        await peer.gone()
