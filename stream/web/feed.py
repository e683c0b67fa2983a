"""A relay's stream for the player, in the same process, for as long as anybody watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from gistcast.codec.errors import GistcastError
from gistcast.stream.link import ChannelName
from gistcast.stream.memory import memory_pair
from gistcast.stream.receiver import Receiver, ReceiveSettings
from gistcast.stream.relay import Relay, Viewer, ViewerSettings
from gistcast.stream.web.player import Player

_LOOK_SECONDS = 0.5
_LINGER_SECONDS = 10.0
_BACKLOG = 3  # clips that wait to be drawn: beyond that some are skipped, to keep up


class Feed:
    """A viewer of the relay like any other, over queues in memory.

    Args:
        relay: where the stream comes from.
        player: where it goes.
        watched: whether anybody watches. While nobody does nothing is decoded.
    """

    def __init__(self, relay: Relay, player: Player, watched: Callable[[], bool]) -> None:
        self.loss = 0.0  #: share of the messages on the lossy channel that are thrown away
        self.viewer: Viewer | None = None
        self._settings = ViewerSettings(adapt=False)  # queues in memory carry everything
        self._relay, self._player, self._watched = relay, player, watched
        self._draws = np.random.Generator(np.random.Philox(0))

    @property
    def settings(self) -> ViewerSettings:
        """Rate and layers; may be replaced at any time."""
        return self._settings

    @settings.setter
    def settings(self, settings: ViewerSettings) -> None:
        self._settings = settings
        if self.viewer is not None:
            self.viewer.settings = settings

    async def run(self) -> None:
        """For ever: one stream after the other."""
        while True:
            await self._relay.live()
            if not self._watched():
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            try:
                await self._play()
            except* (GistcastError, ConnectionError):
                await asyncio.sleep(_LOOK_SECONDS)  # the next stream may be better

    async def _play(self) -> None:
        here, there = memory_pair(self._fate, keep=False)
        receiver = Receiver(there, self._player, ReceiveSettings(backlog=_BACKLOG))
        self._player.summary = receiver.summary
        self.viewer = Viewer(here, self._settings)
        try:
            async with asyncio.TaskGroup() as tasks:
                ends = tasks.create_task(self._relay.serve(self.viewer))
                tasks.create_task(receiver.run())
                leaves = tasks.create_task(self._until_nobody_watches())
                await asyncio.wait((ends, leaves), return_when=asyncio.FIRST_COMPLETED)
                leaves.cancel()
                await here.close()
        finally:
            self.viewer = None

    async def _until_nobody_watches(self) -> None:
        left = _LINGER_SECONDS
        while left > 0:
            await asyncio.sleep(_LOOK_SECONDS)
            left = _LINGER_SECONDS if self._watched() else left - _LOOK_SECONDS

    def _fate(self, channel: ChannelName, data: bytes) -> list[bytes]:
        lost = channel == ChannelName.RESIDUAL and self._draws.random() < self.loss
        return [] if lost else [data]
