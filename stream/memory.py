"""Two links joined by queues in memory: the whole stream stack without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gistcast.stream.link import Arrived, ChannelName, Inbox, Lost, StreamError
from gistcast.stream.network import Path

Fate = Callable[[ChannelName, bytes], list[bytes]]  #: what becomes of a message: [] is a loss


def faithful(channel: ChannelName, data: bytes) -> list[bytes]:
    """Deliver everything once, unchanged."""
    del channel
    return [data]


def lossy(path: Path) -> Fate:
    """The fate of residual messages that are lost as packets would be on `path`."""

    def fate(channel: ChannelName, data: bytes) -> list[bytes]:
        if channel == ChannelName.CONTROL:
            return [data]
        return [data] * len(path.send(0.0, len(data)))

    return fate


class MemoryLink:
    """One end of `memory_pair`; a `gistcast.stream.link.Link`."""

    def __init__(self, fate: Fate, *, keep: bool = True, acknowledge: bool = False) -> None:
        self.sent: list[tuple[ChannelName, bytes]] = []  #: messages handed to `send`, if kept
        self._fate, self._keep, self._acknowledge = fate, keep, acknowledge
        self._count = 0
        self._arrived: Arrived | None = None
        self._lost: Lost | None = None
        self._inbox = Inbox()
        self._peer: MemoryLink | None = None

    def join(self, peer: MemoryLink) -> None:
        """What is sent here arrives at `peer`."""
        self._peer = peer

    @property
    def overflowed(self) -> int:
        """As `Link.overflowed`."""
        return self._inbox.overflowed

    def send(self, channel: ChannelName, data: bytes) -> None:
        """As `Link.send`."""
        if self._inbox.closed or self._peer is None:
            raise StreamError("the link to the peer is closed")
        if self._keep:
            self.sent.append((channel, data))
        copies = self._fate(channel, data)
        for copy in copies:
            self._peer._inbox.put(copy)
        self._tell(self._count, arrived=bool(copies))
        self._count += 1

    def watch(self, arrived: Arrived, lost: Lost) -> bool:
        """As `Link.watch`."""
        if self._acknowledge:
            self._arrived, self._lost = arrived, lost
        return self._acknowledge

    def _tell(self, number: int, *, arrived: bool) -> None:
        loop = asyncio.get_running_loop()
        if self._arrived is not None and arrived:
            loop.call_soon(self._arrived, [number], number)
        elif self._lost is not None and not arrived:
            loop.call_soon(self._lost, number)

    def buffered(self) -> int:
        """As `Link.buffered`: nothing is ever queued."""
        return 0

    async def drained(self, below: int) -> None:
        """As `Link.drained`."""
        del below
        await asyncio.sleep(0)
        if self._inbox.closed:
            raise StreamError("the link to the peer is closed")

    async def receive(self, timeout: float | None = None) -> bytes | None:
        """As `Link.receive`."""
        return await self._inbox.get(timeout)

    async def close(self) -> None:
        """Close both ends."""
        self._inbox.close()
        if self._peer is not None:
            self._peer._inbox.close()


def memory_pair(
    forward: Fate = faithful,
    backward: Fate = faithful,
    *,
    keep: bool = True,
    acknowledge: bool = False,
) -> tuple[MemoryLink, MemoryLink]:
    """Two joined links; `forward` and `backward` decide what arrives, per message. A stream
    without end had better not `keep` all it sent. With `acknowledge` the first one knows what
    arrived."""
    here = MemoryLink(forward, keep=keep, acknowledge=acknowledge)
    there = MemoryLink(backward, keep=keep)
    here.join(there)
    there.join(here)
    return here, there
