"""A page for one who receives: what `gistcast receive --web` shows.

stream -> Receiver -> Tee -> Player -> video tracks, statistics ==> browser
                       '---> files
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gistcast.serving import delivery, refine_choice
from gistcast.stream import ClipDecoder, ReceiveSummary
from gistcast.stream.connection import is_loopback
from gistcast.stream.signalling import WHEP, Access, Endpoint, HttpServer, Peer
from gistcast.stream.web import Controls, History, Page, Player, Timeline, View, Watchers
from gistcast.stream.web.player import MAIN


class Watching:
    """Player and page while its `async with` lasts.

    Args:
        host, port: where the page is; port 0 takes a free one (see `url`).
        make_decoder: opens a stream header for a refine mode.
        token: bearer token that the page asks for.
        refine: what the page begins with.
    """

    def __init__(
        self,
        host: str,
        port: int,
        make_decoder: Callable[[bytes, str], ClipDecoder],
        *,
        token: str | None = None,
        refine: str = "balanced",
    ) -> None:
        self.url = ""
        loopback = is_loopback(host)
        self._timeline, self._history = Timeline(), History()
        self.player = Player(make_decoder, self._timeline, self._history, refine=refine)
        self._watchers = Watchers(self._timeline, [MAIN], loopback=loopback)
        access = Access(token, loopback=loopback)
        controls = Controls(refine_choice(self.player))
        page = Page([View(MAIN, "gistcast")], self._history, controls, self._state)
        page.guard(access)
        self._endpoint = Endpoint(WHEP, lambda _: self._watchers.add(), _until_gone, access=access)
        routes = [*self._endpoint.routes(), *page.routes()]
        self._server = HttpServer(host, port, access, routes)

    async def __aenter__(self) -> Watching:
        await self._server.__aenter__()
        self.url = self._server.url
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._endpoint.close()
        await self._server.__aexit__(*raised)

    def receiving(self, summary: ReceiveSummary) -> None:
        """A stream begins to come in: what the page counts."""
        self.player.summary = summary

    async def played_out(self) -> None:
        """Wait until all that was received has been on show."""
        while self._timeline.ahead:
            await asyncio.sleep(self._timeline.ahead)

    def _state(self) -> dict[str, Any]:
        summary = self.player.summary
        return {
            "live": summary is not None and summary.clips > 0 and not summary.ended,
            "viewers": len(list(self._watchers)),
            **delivery(summary, self._timeline),
        }


async def _until_gone(peer: Peer) -> None:
    await peer.gone()
