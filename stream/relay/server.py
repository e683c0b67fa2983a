"""The relay behind HTTP: senders come in by WHIP, viewers by WHEP.

A viewer that offers data channels is sent the clips as they are. One that offers to receive video,
as a browser does, is for `watch` to serve: somebody has to decode for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from gistcast.stream.connection import is_loopback
from gistcast.stream.peer import PeerLink
from gistcast.stream.relay.relay import Relay
from gistcast.stream.signalling import (
    STALE_SECONDS,
    WHEP,
    WHIP,
    Access,
    Endpoint,
    HttpServer,
    Peer,
    RefusedError,
    SessionLimits,
)

_AGAIN_SECONDS = 1
#: at most one sender, the one before that is not known to be gone, and some that try
_SENDERS = SessionLimits(sessions=8, pending=4)


class RelayServer:
    """Serves a relay while its `async with` lasts.

    Args:
        host, port: where to listen; port 0 takes a free one (see `url`).
        relay: what is served.
        token, viewer_token: bearer tokens of senders and viewers; None: no questions.
        origins: as of `Access`.
        viewers: limits on their sessions.
        watch: makes the peer of somebody who wants video, or refuses; None refuses all.
        routes: further things to serve.
    """

    def __init__(
        self,
        host: str,
        port: int,
        relay: Relay,
        *,
        token: str | None = None,
        viewer_token: str | None = None,
        origins: frozenset[str] = frozenset(),
        viewers: SessionLimits | None = None,
        watch: Callable[[], Peer] | None = None,
        routes: Sequence[web.AbstractRouteDef] = (),
    ) -> None:
        self.url = ""
        self._relay, self._watch = relay, watch
        self._loopback = is_loopback(host)
        senders = Access(token, origins, self._loopback)
        self.access = Access(viewer_token, origins, self._loopback)  #: of viewers
        self.whip = Endpoint(WHIP, self._sender, self._send, access=senders, limits=_SENDERS)
        self.whep = Endpoint(WHEP, self._viewer, self._view, access=self.access, limits=viewers)
        every = [*self.whip.routes(), *self.whep.routes(), *routes]
        self._server = HttpServer(host, port, self.access, every)

    async def __aenter__(self) -> RelayServer:
        await self._server.__aenter__()
        self.url = self._server.url
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.whip.close()
        await self.whep.close()
        await self._relay.close()
        await self._server.__aexit__(*raised)

    def _sender(self, offer: str) -> PeerLink:
        """A new sender takes the place of one that is silent, of no other."""
        del offer
        present = self._relay.sender
        if isinstance(present, PeerLink) and present.alive(STALE_SECONDS):
            raise RefusedError(503, "busy with another sender", _AGAIN_SECONDS)
        return PeerLink(loopback=self._loopback)

    async def _send(self, peer: Peer) -> None:
        assert isinstance(peer, PeerLink)
        summary = await self._relay.receive(peer)
        if summary.ended:
            await peer.gone()  # let the sender hang up first: the last report is on its way

    def _viewer(self, offer: str) -> Peer:
        if "m=application" in offer:
            if self._relay.header is None:
                raise RefusedError(409, "no stream yet", _AGAIN_SECONDS)
            return PeerLink(loopback=self._loopback)
        if self._watch is None:
            raise RefusedError(406, "data channels only")
        return self._watch()

    async def _view(self, peer: Peer) -> None:
        if isinstance(peer, PeerLink):
            await self._relay.view(peer)
        else:
            await peer.gone()
