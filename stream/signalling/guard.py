"""Who may talk to the HTTP server: bearer token, origins, hosts, and how often."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gistcast.codec.errors import UsageError
from gistcast.stream.connection import is_loopback

_PREFLIGHT_SECONDS = 600
_EXPOSED = "Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After"
_ALLOWED = "Authorization, Content-Type, If-Match"
_METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_CLIENTS = 1024  # addresses whose rate is remembered


@dataclass(frozen=True)
class Access:
    """Who is let in.

    Attributes:
        token: bearer token to ask for; None: whoever can reach the port.
        origins: web origins whose pages may talk to us, such as https://example.org, besides
            our own; `*` is every one.
        loopback: only requests that call us by a loopback name, or by the host of one of the
            origins. A page of another site that has its own name point to 127.0.0.1 (DNS
            rebinding) gets nowhere.
    """

    token: str | None = None
    origins: frozenset[str] = frozenset()
    loopback: bool = True

    def __post_init__(self) -> None:
        for origin in self.origins - {"*"}:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise UsageError(f"{origin!r} is no web origin, such as https://example.org")

    def knows_host(self, host: str) -> bool:
        """Whether a request may call us `host` (with or without a port)."""
        if not self.loopback or "*" in self.origins:
            return True
        name = urlsplit(f"//{host}").hostname or ""
        return is_loopback(name) or name in {urlsplit(o).hostname for o in self.origins}

    def knows_origin(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` may talk to us, who are called `host`."""
        return bool(self.origins & {origin, "*"}) or urlsplit(origin).netloc == host

    def authorised(self, request: web.Request) -> bool:
        """Whether the request shows the token; compared in constant time."""
        if self.token is None:
            return True
        shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(shown, b"Bearer " + self.token.encode())


def unauthorised() -> web.Response:
    """401."""
    return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})


def doorkeeper(access: Access) -> Middleware:
    """Middleware: turns strange hosts and origins away, answers preflights, adds headers."""

    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        try:
            if not access.knows_host(request.host):
                raise web.HTTPMisdirectedRequest(text="called by a name that is not ours\n")
            if origin is not None and not access.knows_origin(origin, request.host):
                raise web.HTTPForbidden(text="not for pages of other sites\n")
            response = await handler(request)
        except web.HTTPException as refusal:
            refusal.headers.update(_ALWAYS)
            if origin is not None and refusal.status != 403:
                refusal.headers.update(_cross_origin(origin))
            raise
        if not response.prepared:
            response.headers.update({k: v for k, v in _ALWAYS.items() if k not in response.headers})
            if origin is not None:
                response.headers.update(_cross_origin(origin))
        return response

    return keep


def _cross_origin(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _ALLOWED,
        "Access-Control-Expose-Headers": _EXPOSED,
        "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        "Vary": "Origin",
    }


class RateLimit:
    """So many requests a second from an address, some more in a burst (a token bucket each).

    Args:
        per_second: in the long run.
        burst: at once, after a pause.
        clock: seconds.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Count a request of `address`; False when it is one too many."""
        now = self._clock()
        level, since = self._buckets.pop(address, (float(self._burst), now))
        level = min(self._burst, level + (now - since) * self._per_second)
        allowed = level >= 1
        self._buckets[address] = (level - allowed, now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return allowed
