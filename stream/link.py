"""A link: two message channels to one peer, whatever carries them.

`control` is reliable and ordered, `residual` unordered and without retransmits. The sender and
the receiver know nothing else of the network, so that they run over WebRTC (`peer.py`), over
queues in memory (`memory.py`), or over whatever someone else plugs in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from gistcast.codec.errors import GistcastError


class StreamError(GistcastError):
    """The peer cannot be reached, refuses, or went away."""


Arrived = Callable[[list[int], int | None], None]
Lost = Callable[[int], None]


class ChannelName(StrEnum):
    """Labels of the two data channels."""

    CONTROL = "control"
    RESIDUAL = "residual"


class Link(Protocol):
    """Two channels to one peer."""

    @property
    def overflowed(self) -> int:
        """Messages that arrived faster than they were read, and were lost."""

    def send(self, channel: ChannelName, data: bytes) -> None:
        """Queue a message.

        Raises:
            StreamError: the link is closed.
        """

    def watch(self, arrived: Arrived, lost: Lost) -> bool:
        """Be told what becomes of messages, counted from 0 in the order in which they are sent on
        either channel. False: this link does not know.

        Args:
            arrived: called with messages that were found to have arrived, and the one of them
                whose round trip has just ended, if there is one.
            lost: called with a message on the channel that loses that has not arrived.
        """

    def buffered(self) -> int:
        """Bytes queued and not yet handed to the network, both channels."""

    async def drained(self, below: int) -> None:
        """Wait until at most `below` bytes are buffered.

        Raises:
            StreamError: the link closed before.
        """

    async def receive(self, timeout: float | None = None) -> bytes | None:
        """The next message of either channel; None when `timeout` seconds passed without one.

        Raises:
            StreamError: the link is closed and everything that came was read.
        """

    async def close(self) -> None:
        """Hang up. May be called more than once."""


class Inbox:
    """Messages that arrived and were not read yet: a bounded queue with an end.

    Args:
        limit: messages held; further ones are counted in `overflowed` and lost.
    """

    def __init__(self, limit: int = 8192) -> None:
        self.overflowed = 0
        self._limit = limit
        self._messages: deque[bytes] = deque()
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def closed(self) -> bool:
        """No further message will come."""
        return self._closed

    def put(self, data: bytes) -> None:
        """Add a message."""
        if len(self._messages) >= self._limit:
            self.overflowed += 1
            return
        self._messages.append(data)
        self._changed.set()

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True
        self._changed.set()

    async def get(self, timeout: float | None = None) -> bytes | None:
        """As `Link.receive`."""
        if not self._messages and not self._closed:
            self._changed.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                return None
        if self._messages:
            return self._messages.popleft()
        raise StreamError("the link to the peer is closed")
