"""Signalling after WHIP (RFC 9725): one HTTP request sets a session up, another ends it.

    POST   /whip          application/sdp offer  -> 201, Location, application/sdp answer
    DELETE /whip/<id>     -> 200

Offers and answers carry all their candidates (no trickle). An optional bearer token guards both
requests. The receiver of `gistcast send` listens; so would a relay, with a second endpoint for
those who watch.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp import web

from gistcast.codec.errors import CorruptError, UsageError
from gistcast.stream.link import StreamError
from gistcast.stream.network import Emulator
from gistcast.stream.peer import PeerLink, is_loopback

ENDPOINT = "/whip"
MAX_SDP = 64 << 10  #: bytes of a session description
_SDP = "application/sdp"
_ANSWER_SECONDS = 10.0
_REQUEST_SECONDS = 15.0
#: for opening the channels: ICE, DTLS and SCTP repeat what is lost after one to eight seconds
CONNECT_SECONDS = 30.0


class WhipListener:
    """An HTTP endpoint where one sender at a time can announce itself.

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
        self._host, self._port, self._token = host, port, token
        self._connect_seconds = connect_seconds
        self._sessions: dict[str, PeerLink] = {}
        self._offered: asyncio.Queue[PeerLink] = asyncio.Queue()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> WhipListener:
        app = web.Application(client_max_size=MAX_SDP)
        app.router.add_post(ENDPOINT, self._post)
        app.router.add_delete(ENDPOINT + "/{session}", self._delete)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            message = f"cannot listen on {self._host}:{self._port}: {error.strerror}"
            raise UsageError(message) from error
        self._runner = runner
        port = runner.addresses[0][1]
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{shown}:{port}{ENDPOINT}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for link in list(self._sessions.values()):
            await link.close()
        self._sessions.clear()
        if self._runner is not None:
            await self._runner.cleanup()

    async def accept(self, timeout: float | None = None) -> PeerLink:
        """The next session whose channels are open.

        Raises:
            StreamError: none came within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    link = await self._offered.get()
                    try:
                        await link.opened(self._connect_seconds)
                        return link
                    except StreamError:
                        await link.close()
        except TimeoutError:
            raise StreamError(f"no sender within {timeout:g} s") from None

    def _authorised(self, request: web.Request) -> bool:
        if self._token is None:
            return True
        shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(shown, b"Bearer " + self._token.encode())

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Why an offer is not looked at, or None."""
        if not self._authorised(request):
            return _unauthorised()
        if request.content_type != _SDP:
            return web.Response(status=415, text=f"send the offer as {_SDP}\n")
        if any(not link.closed for link in self._sessions.values()):
            return web.Response(status=503, text="busy with another sender\n")
        return None

    async def _post(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        link = PeerLink(loopback=is_loopback(self._host))
        session = secrets.token_urlsafe(16)
        self._sessions = {session: link}  # from here on the endpoint is busy
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await link.answer((await request.read()).decode())
        except (CorruptError, UnicodeDecodeError, TimeoutError) as error:
            await self._forget(session)
            return web.Response(status=400, text=f"{error}\n")
        except BaseException:  # 413 among them
            await self._forget(session)
            raise
        self._offered.put_nowait(link)
        location = f"{ENDPOINT}/{session}"
        return web.Response(
            status=201, text=answer, content_type=_SDP, headers={"Location": location}
        )

    async def _delete(self, request: web.Request) -> web.Response:
        if not self._authorised(request):
            return _unauthorised()
        session = request.match_info["session"]
        if session not in self._sessions:
            return web.Response(status=404)
        await self._forget(session)
        return web.Response(status=200)

    async def _forget(self, session: str) -> None:
        link = self._sessions.pop(session, None)
        if link is not None:
            await link.close()


def _unauthorised() -> web.Response:
    return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})


class WhipSession:
    """A session that this side set up: its `link`, and where to end it."""

    def __init__(self, link: PeerLink, location: str, token: str | None) -> None:
        self.link = link
        self._location = location
        self._token = token

    async def close(self) -> None:
        """Hang up, and tell the other side (which may be gone already)."""
        timeout = aiohttp.ClientTimeout(total=2.0)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=_credentials(self._token)) as http,
                http.delete(self._location),
            ):
                pass
        except (aiohttp.ClientError, TimeoutError):
            pass
        await self.link.close()


def _credentials(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


async def whip_connect(
    url: str,
    *,
    token: str | None = None,
    timeout: float = CONNECT_SECONDS,
    patience: float = 0.0,
    emulator: Emulator | None = None,
) -> WhipSession:
    """Announce ourselves at a WHIP endpoint and open the channels.

    Args:
        url: the endpoint.
        token: bearer token, where it asks for one.
        timeout: seconds for the connection, once the endpoint has answered.
        patience: seconds to keep trying while nothing listens at `url`.
        emulator: the network that the connection is to pass through; stays the caller's.

    Raises:
        UsageError: `url` is not an http(s) address.
        StreamError: nothing listens there, it refuses, or no connection comes about.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"not an http address: {url}")
    link = PeerLink(loopback=is_loopback(parts.hostname))
    try:
        offer = await link.offer()
        if emulator is not None:
            offer = await emulator.offer(offer)
        location, answer = await _post_offer(url, offer, token, patience)
    except BaseException:
        await link.close()
        raise
    session = WhipSession(link, location, token)
    try:
        await link.accept_answer(emulator.answer(answer) if emulator is not None else answer)
        await link.opened(timeout)
    except BaseException:
        await session.close()  # so that the endpoint is free again at once
        raise
    return session


async def _post_offer(url: str, offer: str, token: str | None, patience: float) -> tuple[str, str]:
    """(absolute session address, answer)."""
    headers = {"Content-Type": _SDP, **_credentials(token)}
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    limits = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
    async with aiohttp.ClientSession(timeout=limits) as http:
        while True:
            try:
                async with http.post(url, data=offer, headers=headers) as response:
                    return await _read_answer(url, response)
            except aiohttp.ClientConnectorError as error:
                if loop.time() >= until:
                    raise StreamError(f"nothing listens at {url}") from error
                await asyncio.sleep(0.2)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise StreamError(f"{url}: {error!r}") from error


async def _read_answer(url: str, response: aiohttp.ClientResponse) -> tuple[str, str]:
    body = bytearray()
    async for part in response.content.iter_chunked(4096):
        body += part
        if len(body) > MAX_SDP:
            raise StreamError(f"{url} answers with more than {MAX_SDP} bytes")
    text = body.decode(errors="replace")
    if response.status != 201:
        reason = text.strip() or response.reason
        raise StreamError(f"{url} answers {response.status}: {reason}")
    location = urljoin(url, response.headers.get("Location", ""))
    if urlsplit(location)[:2] != urlsplit(url)[:2] or location == url:
        raise StreamError(f"{url} names no session of its own")  # the token goes nowhere else
    return location, text
