"""The narrowest place of a path: a drop-tail queue in front of a rate or a trace.

First come, first served, so when a packet leaves is known as soon as it joins; no clock runs.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from gistcast.stream.network.spec import Conditions
from gistcast.stream.network.trace import FULL_PACKET, Trace


class Server(Protocol):
    """Lets one packet after another out."""

    def leaves(self, now: float, size: int) -> float:
        """When a packet of `size` bytes that joins at `now` (seconds) has left, behind all that
        joined before."""


class RateServer:
    """Lets `rate` bits a second out."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = 0.0

    def leaves(self, now: float, size: int) -> float:
        """As `Server.leaves`."""
        self._free = max(now, self._free) + 8 * size / self._rate
        return self._free


class TraceServer:
    """Lets 1,504 bytes out at every opportunity of a trace, as mahimahi's `mm-link` does.

    An opportunity serves what joined before it; several packets may share one, a packet may need
    several, and what it has left when the queue is empty is gone.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._index = 0
        self._left = FULL_PACKET

    def leaves(self, now: float, size: int) -> float:
        """As `Server.leaves`."""
        if self._trace.time(self._index) <= now * 1000:
            self._index, self._left = self._trace.after(now * 1000), FULL_PACKET
        while True:
            if not self._left:
                self._index, self._left = self._index + 1, FULL_PACKET
            sent = min(size, self._left)
            self._left -= sent
            size -= sent
            if not size:
                return self._trace.time(self._index) / 1000


class Bottleneck:
    """Admits packets to the queue of a server, or drops them."""

    def __init__(self, conditions: Conditions, server: Server) -> None:
        self._server = server
        self._seconds, self._limit = conditions.queue_seconds, conditions.queue_bytes
        self._inside: deque[tuple[float, int]] = deque()  # (leaves, size), in order
        self._bytes = 0

    def join(self, now: float, size: int) -> float | None:
        """When the packet has left; None: it is dropped."""
        inside = self._inside
        while inside and inside[0][0] <= now:
            self._bytes -= inside.popleft()[1]
        if inside and inside[-1][0] - now > self._seconds:
            return None
        if self._limit is not None and self._bytes + size > self._limit:
            return None
        leaves = self._server.leaves(now, size)
        inside.append((leaves, size))
        self._bytes += size
        return leaves


def make_bottleneck(conditions: Conditions) -> Bottleneck | None:
    """The bottleneck of a direction, where it has one."""
    if conditions.trace is not None:
        return Bottleneck(conditions, TraceServer(conditions.trace))
    if conditions.rate:
        return Bottleneck(conditions, RateServer(conditions.rate))
    return None
