"""A WHIP or WHEP resource: peers come by POST and go by DELETE.

POST -> pending (channels or media not open yet) -> open, served -> gone
          |  connect_seconds: gone                      ^ DELETE, hang-up, served to the end
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gistcast.codec.errors import CorruptError
from gistcast.stream.link import StreamError
from gistcast.stream.signalling import trickle
from gistcast.stream.signalling.guard import Access, RateLimit, unauthorised

SDP = "application/sdp"
MAX_SDP = 64 << 10  #: bytes of a session description
#: for opening the channels: ICE, DTLS and SCTP repeat what is lost after one to eight seconds
CONNECT_SECONDS = 30.0
_REQUEST_SECONDS = 10.0
_RETRY_SECONDS = 1


class Connectable(Protocol):
    """What `Peer.connection` has to offer: candidates that come late."""

    async def trickle(self, candidates: tuple[tuple[str, str], ...], *, end: bool) -> None: ...


class Peer(Protocol):
    """One side of a session, such as `gistcast.stream.peer.PeerLink`."""

    @property
    def connection(self) -> Connectable: ...

    async def answer(self, offer: str) -> str:
        """The answer to an offer.

        Raises:
            CorruptError: not an offer that can be answered.
        """

    async def opened(self, timeout: float) -> None:
        """Wait until the peer is connected.

        Raises:
            StreamError: it is not within `timeout` seconds.
        """

    async def gone(self) -> None:
        """Wait until the connection is no more."""

    async def close(self) -> None:
        """Hang up. May be called more than once."""


class RefusedError(Exception):
    """An offer is not taken: HTTP status, why, and after how many seconds to ask again."""

    def __init__(self, status: int, reason: str, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.status, self.retry_after = status, retry_after


@dataclass(frozen=True)
class SessionLimits:
    """Attributes:
    sessions: at once; beyond that 503.
    pending: of these, not connected yet. When all such places are taken, an address that holds
        fewer of them than another gets one of its.
    connect_seconds: time a session has to connect.
    pressed_seconds: the same while others wait for its place.
    per_second, burst: offers from one address; beyond that 429.
    """

    sessions: int = 256
    pending: int = 64
    connect_seconds: float = CONNECT_SECONDS
    pressed_seconds: float = 10.0
    per_second: float = 20.0
    burst: int = 128


@dataclass
class _Session:
    etag: str
    address: str
    begun: float
    peer: Peer | None = None
    ufrag: str = ""
    open: bool = False
    task: asyncio.Task[None] | None = None


class Endpoint:
    """The resource at `path`.

    Args:
        path: such as /whip.
        make_peer: for an offer (SDP); may raise `RefusedError` or CorruptError.
        serve: runs for as long as an open session lasts.
        access: whose requests are looked at.
        limits: how many sessions, how fast.
    """

    def __init__(
        self,
        path: str,
        make_peer: Callable[[str], Peer],
        serve: Callable[[Peer], Awaitable[None]],
        *,
        access: Access,
        limits: SessionLimits | None = None,
    ) -> None:
        self._path, self._make_peer, self._serve = path, make_peer, serve
        self._access, self._limits = access, limits or SessionLimits()
        self._rate = RateLimit(self._limits.per_second, self._limits.burst)
        self._sessions: dict[str, _Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def routes(self) -> list[web.AbstractRouteDef]:
        """For an aiohttp application."""
        one = self._path + "/{session}"
        return [
            web.options(self._path, self._options),
            web.post(self._path, self._post),
            web.options(one, self._options),
            web.patch(one, self._patch),
            web.delete(one, self._delete),
        ]

    async def close(self) -> None:
        """End all sessions."""
        for name in list(self._sessions):
            await self._forget(name)

    async def _options(self, request: web.Request) -> web.Response:
        del request
        return web.Response(status=204, headers={"Accept-Post": SDP, **_ACCEPT_PATCH})

    async def _post(self, request: web.Request) -> web.Response:
        if not self._access.authorised(request):
            return unauthorised()
        if request.content_type != SDP:
            headers = {"Accept-Post": SDP}
            return web.Response(status=415, text=f"send the offer as {SDP}\n", headers=headers)
        address, now = request.remote or "", asyncio.get_running_loop().time()
        session = _Session(f'"{secrets.token_urlsafe(8)}"', address, now)
        name = secrets.token_urlsafe(16)
        try:
            given_up = self._check_room(address, now)
            self._sessions[name] = session  # counts from here on
            if given_up is not None:
                await self._forget(given_up)
            peer, answer = await self._answer(request, session)
        except RefusedError as refusal:
            await self._forget(name)
            return _refusal(refusal)
        except (CorruptError, UnicodeDecodeError) as error:
            await self._forget(name)
            return web.Response(status=400, text=f"{error}\n")
        except BaseException:  # 413 among them
            await self._forget(name)
            raise
        session.task = asyncio.create_task(self._live(name, session, peer))
        headers = {"Location": f"{self._path}/{name}", "ETag": session.etag, **_ACCEPT_PATCH}
        return web.Response(status=201, text=answer, content_type=SDP, headers=headers)

    def _check_room(self, address: str, now: float) -> str | None:
        """The name of a session whose place is to be given up; None: there is another one.

        Raises:
            RefusedError: there is no room.
        """
        if not self._rate.allows(address):
            raise RefusedError(429, "too many offers", _RETRY_SECONDS)
        pending = {name: one for name, one in self._sessions.items() if not one.open}
        given_up = None
        if len(pending) >= self._limits.pending:
            given_up = self._superfluous(pending, address, now)
        full = len(self._sessions) - (given_up is not None) >= self._limits.sessions
        if full or (given_up is None and len(pending) >= self._limits.pending):
            raise RefusedError(503, "no room for another session", _RETRY_SECONDS)
        return given_up

    def _superfluous(self, pending: Mapping[str, _Session], address: str, now: float) -> str | None:
        """Which of the sessions that are not connected yet makes room for one from `address`: the
        oldest of whoever holds most of them, and two more; or one that has had its time."""
        answered = {name: one for name, one in pending.items() if one.task is not None}
        if not answered:
            return None
        held = Counter(one.address for one in pending.values())
        oldest = min(answered, key=lambda name: answered[name].begun)
        if now - answered[oldest].begun > self._limits.pressed_seconds:
            return oldest
        name = min(answered, key=lambda n: (-held[answered[n].address], answered[n].begun))
        return name if held[answered[name].address] > held[address] + 1 else None

    async def _answer(self, request: web.Request, session: _Session) -> tuple[Peer, str]:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                offer = (await request.read()).decode()
                session.peer = peer = self._make_peer(offer)
                answer = await peer.answer(offer)
                session.ufrag = trickle.ice_ufrag(offer)
                return peer, answer
        except TimeoutError:
            raise RefusedError(408, "the offer took too long") from None

    async def _live(self, name: str, session: _Session, peer: Peer) -> None:
        """From the answer to the end."""
        try:
            await peer.opened(self._limits.connect_seconds)
            session.open = True
            await self._serve(peer)
        except StreamError:
            pass  # gone, which is how sessions end
        finally:
            self._sessions.pop(name, None)
            await peer.close()

    async def _patch(self, request: web.Request) -> web.Response:
        """Late candidates (RFC 9725, 4.3). ICE is never restarted: 422."""
        if not self._access.authorised(request):
            return unauthorised()
        session = self._sessions.get(request.match_info["session"])
        if session is None or session.peer is None or not session.ufrag:
            return web.Response(status=404)
        if request.content_type != trickle.MEDIA_TYPE:
            return web.Response(status=415, headers=_ACCEPT_PATCH)
        match = request.headers.get("If-Match")
        if match is None:
            return web.Response(status=428, text="If-Match is missing\n")
        if match not in ("*", session.etag):
            return web.Response(status=412)
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                fragment = trickle.parse_fragment((await request.read()).decode())
                if fragment.ufrag != session.ufrag:
                    return web.Response(status=422, text="ICE restarts are not supported\n")
                await session.peer.connection.trickle(fragment.candidates, end=fragment.end)
        except (CorruptError, UnicodeDecodeError) as error:
            return web.Response(status=400, text=f"{error}\n")
        except TimeoutError:
            return web.Response(status=408)
        return web.Response(status=204, headers={"ETag": session.etag})

    async def _delete(self, request: web.Request) -> web.Response:
        if not self._access.authorised(request):
            return unauthorised()
        name = request.match_info["session"]
        if name not in self._sessions:
            return web.Response(status=404)
        await self._forget(name)
        return web.Response(status=200)

    async def _forget(self, name: str) -> None:
        session = self._sessions.pop(name, None)
        if session is None:
            return
        if session.task is not None:
            session.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await session.task
        if session.peer is not None:
            await session.peer.close()


_ACCEPT_PATCH = {"Accept-Patch": trickle.MEDIA_TYPE}


def _refusal(refusal: RefusedError) -> web.Response:
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    return web.Response(status=refusal.status, text=f"{refusal}\n", headers=headers)
