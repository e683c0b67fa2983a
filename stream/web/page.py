"""The page and what it asks for over HTTP.

GET  /, /static/...   the page
GET  /api/live        JSON lines: first what there is, then clips and the state as they come
POST /api/control     {"name": ..., "value": ...}
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from aiohttp import web

from gistcast.codec.errors import UsageError
from gistcast.stream.signalling.guard import Access, unauthorised
from gistcast.stream.web.controls import Controls
from gistcast.stream.web.history import History

_STATIC = resources.files("gistcast.stream") / "web" / "static"
_TYPES = {
    "index.html": "text/html",
    "style.css": "text/css",
    "app.js": "text/javascript",
    "plots.js": "text/javascript",
}
_STATE_SECONDS = 0.5
_MAX_FOLLOWERS = 16
_MAX_REQUEST = 1024  # bytes


@dataclass(frozen=True)
class View:
    """One picture of the page.

    Attributes:
        name: on the timeline.
        title: above it.
    """

    name: str
    title: str


class Page:
    """Serves the page.

    Args:
        views: what the video tracks show, in their order.
        history: of the clips.
        controls: what can be changed.
        state: called for what changes slowly; JSON.
    """

    def __init__(
        self,
        views: Sequence[View],
        history: History,
        controls: Controls,
        state: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._views, self._history = views, history
        self._controls, self._state = controls, state
        self._access = Access()

    def routes(self) -> list[web.AbstractRouteDef]:
        """For a server."""
        return [
            web.get("/", self._index),
            web.get("/static/{name}", self._file),
            web.get("/api/live", self._live),
            web.post("/api/control", self._control),
        ]

    def guard(self, access: Access) -> None:
        """Ask for its token before anything but the page itself is given out."""
        self._access = access

    async def _index(self, request: web.Request) -> web.Response:
        del request
        return _page_file("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in _TYPES:
            raise web.HTTPNotFound
        return _page_file(name)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if not self._access.authorised(request):
            return unauthorised()
        if self._history.watching >= _MAX_FOLLOWERS:
            return web.Response(status=503, headers={"Retry-After": "5"})
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        await response.prepare(request)
        hello = {
            "views": [asdict(view) for view in self._views],
            "controls": self._controls.to_json(),
        }
        with suppress(ConnectionError, asyncio.CancelledError):
            await response.write(_line(hello))
            async with aclosing(self._history.follow(_STATE_SECONDS)) as news:
                async for clips in news:
                    state = {**self._state(), "values": self._controls.values}
                    await response.write(_line({"clips": clips, "state": state}))
        return response

    async def _control(self, request: web.Request) -> web.Response:
        if not self._access.authorised(request):
            return unauthorised()
        if request.content_type != "application/json":  # no form of another site's can send that
            return web.Response(status=415)
        if (request.content_length or _MAX_REQUEST + 1) > _MAX_REQUEST:
            return web.Response(status=413)
        try:
            wanted = json.loads(await request.read())
            if not isinstance(wanted, dict):
                raise UsageError("send an object")
            self._controls.set(wanted.get("name"), wanted.get("value"))
        except (ValueError, UsageError) as error:
            return web.Response(status=400, text=f"{error}\n")
        return web.Response(status=204)


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _page_file(name: str) -> web.Response:
    text = (_STATIC / name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=_TYPES[name], charset="utf-8")
