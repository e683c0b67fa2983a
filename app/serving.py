"""A relay, a player and a page, put together: what `gistcast serve` runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from gistcast.api import REFINE
from gistcast.codec.clip import Clip
from gistcast.stream import ClipDecoder, ClipSink, ReceiveSummary
from gistcast.stream.connection import is_loopback
from gistcast.stream.relay import Relay, RelayServer
from gistcast.stream.signalling import SessionLimits
from gistcast.stream.web import (
    Choice,
    Controls,
    Feed,
    History,
    Page,
    Player,
    Slider,
    Timeline,
    View,
    Watchers,
)
from gistcast.stream.web.player import MAIN, Beside

_MOST_LAYERS = 6
_MOST_RATE = 64  # kbit/s of the slider; beyond that all that the link carries


@dataclass(frozen=True)
class ServiceSettings:
    """Attributes:
    host, port, token, viewer_token, origins: as of `RelayServer`.
    viewers: sessions of viewers at most.
    refine: what the page begins with.
    """

    host: str = "127.0.0.1"
    port: int = 8787
    token: str | None = None
    viewer_token: str | None = None
    origins: frozenset[str] = frozenset()
    viewers: int = 256
    refine: str = "balanced"


def refine_choice(player: Player) -> Choice:
    """The control of a player's stage 2."""
    return Choice(
        name="refine",
        label="Refine",
        options=REFINE,
        value=player.refine,
        act=lambda mode: setattr(player, "refine", mode),
        help="What stage 2 paints: close to the source, rich in detail, or nothing.",
    )


def delivery(summary: ReceiveSummary | None, timeline: Timeline) -> dict[str, int]:
    """For a page's state: what became of the clips that were received."""
    counts = summary or ReceiveSummary()
    return {
        "whole": counts.complete,
        "partial": counts.partial,
        "concealed": counts.concealed,
        "skipped": counts.overrun,
        "stalls": timeline.stalls,
    }


class Service:
    """Relay, player and page while its `async with` lasts.

    Args:
        settings: where and for whom.
        make_decoder: opens a stream header for a refine mode.
        record: makes a sink for every stream that comes in.
        views: shown beside what is received.
        rates: kbit/s that a demo's sender offers, first the one it begins with; none: the rate
            is the viewer's to limit.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        make_decoder: Callable[[bytes, str], ClipDecoder],
        *,
        record: Callable[[], ClipSink] | None = None,
        views: Sequence[View] = (),
        rates: Sequence[int] = (),
    ) -> None:
        self.url = ""
        self.relay = Relay(record=record)
        self.status: dict[str, Any] = {}  #: more of the page's state
        self.beside: Callable[[int, Clip], Beside | None] = lambda number, drawn: None
        self.choose_rate: Callable[[int], None] = lambda rate: None
        self._settings, self._rates = settings, sorted(rates)
        self._first = rates[0] if rates else 0
        self._timeline, self._history = Timeline(), History()
        self.player = Player(
            make_decoder,
            self._timeline,
            self._history,
            refine=settings.refine,
            beside=lambda number, drawn: self.beside(number, drawn),
        )
        self._feed = Feed(self.relay, self.player, self._watched)
        every = [View(MAIN, "gistcast"), *views]
        names = [view.name for view in every]
        loopback = is_loopback(settings.host)
        self._watchers = Watchers(self._timeline, names, loopback=loopback)
        page = Page(every, self._history, self._controls(), self._state)
        self._server = RelayServer(
            settings.host,
            settings.port,
            self.relay,
            token=settings.token,
            viewer_token=settings.viewer_token,
            origins=settings.origins,
            viewers=SessionLimits(sessions=settings.viewers),
            watch=self._watchers.add,
            routes=page.routes(),
        )
        page.guard(self._server.access)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Service:
        await self._stack.enter_async_context(self._server)
        self.url = self._server.url
        feeding = asyncio.create_task(self._feed.run())

        async def stop() -> None:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

        self._stack.push_async_callback(stop)
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    def _watched(self) -> bool:
        return bool(self._history.watching)

    def _controls(self) -> Controls:
        layers = Slider(
            name="layers",
            label="Residual layers",
            low=0,
            high=_MOST_LAYERS,
            step=1,
            value=_MOST_LAYERS,
            act=self._set_layers,
            marks={"0": "none: the gist alone", str(_MOST_LAYERS): "all"},
            help="How many the relay hands on. Each brings the sketch closer to the source.",
        )
        refine = refine_choice(self.player)
        loss = Slider(
            name="loss",
            label="Packets lost",
            low=0,
            high=60,
            step=5,
            value=0,
            act=lambda percent: setattr(self._feed, "loss", percent / 100),
            unit="%",
            help="Thrown away between relay and player. The stream goes on, less sharp.",
        )
        return Controls(self._rate_control(), layers, refine, loss)

    def _rate_control(self) -> Slider:
        if not self._rates:
            return Slider(
                name="rate",
                label="Rate",
                low=2,
                high=_MOST_RATE,
                step=1,
                value=_MOST_RATE,
                act=self._set_rate,
                unit="kbit/s",
                marks={str(_MOST_RATE): "all that the link carries"},
                help="What the relay may send to this page. Layers that do not fit stay behind.",
            )
        return Slider(
            name="rate",
            label="Rate",
            low=0,
            high=len(self._rates) - 1,
            step=1,
            value=self._rates.index(self._first),
            act=lambda index: self.choose_rate(self._rates[int(index)]),
            marks={str(index): f"{rate} kbit/s" for index, rate in enumerate(self._rates)},
            help="Of gistcast and x264 alike.",
        )

    def _set_rate(self, kbps: float) -> None:
        rate = None if kbps >= _MOST_RATE else kbps * 1e3
        self._feed.settings = replace(self._feed.settings, rate=rate)

    def _set_layers(self, layers: float) -> None:
        count = None if layers >= _MOST_LAYERS else int(layers)
        self._feed.settings = replace(self._feed.settings, layers=count)

    def _state(self) -> dict[str, Any]:
        return {
            "live": self.relay.header is not None,
            "viewers": len(self.relay.viewers) - (self._feed.viewer is not None),
            **delivery(self.player.summary, self._timeline),
            **self.status,
        }
