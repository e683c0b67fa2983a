"""The other side of WHIP and WHEP: who calls.

A sender posts its offer to a WHIP endpoint, a viewer to a WHEP endpoint; the exchange is the same.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urljoin, urlsplit

import aiohttp

from gistcast.codec.errors import UsageError
from gistcast.stream.connection import is_loopback
from gistcast.stream.link import StreamError
from gistcast.stream.network import Emulator
from gistcast.stream.peer import PeerLink
from gistcast.stream.signalling.endpoint import CONNECT_SECONDS, MAX_SDP, SDP

_REQUEST_SECONDS = 15.0
_AGAIN_SECONDS = 0.2
_LATER = (409, 429, 503)  # with Retry-After: worth another try


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
    """Announce ourselves at a WHIP or WHEP endpoint and open the channels.

    Args:
        url: the endpoint, WHIP or WHEP.
        token: bearer token, where it asks for one.
        timeout: seconds for the connection, once the endpoint has answered.
        patience: seconds to keep trying while nothing listens at `url`, or has no room.
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
    headers = {"Content-Type": SDP, **_credentials(token)}
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    limits = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
    async with aiohttp.ClientSession(timeout=limits) as http:
        while True:
            again = _AGAIN_SECONDS
            try:
                async with http.post(url, data=offer, headers=headers) as response:
                    wait = _retry_after(response)
                    if wait is None or loop.time() + wait > until:
                        return await _read_answer(url, response)
                    again = wait
            except aiohttp.ClientConnectorError as error:
                if loop.time() >= until:
                    raise StreamError(f"nothing listens at {url}") from error
            except (aiohttp.ClientError, TimeoutError) as error:
                raise StreamError(f"{url}: {error!r}") from error
            await asyncio.sleep(again)


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds after which an endpoint that has no room now wants to be asked again."""
    value = response.headers.get("Retry-After", "")
    return float(value) if response.status in _LATER and value.isdecimal() else None


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
