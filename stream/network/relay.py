"""The emulated link between two peers: a UDP relay that their descriptions point to.

    offerer  a <--> near  [ Path up / Path down ]  far <--> b  answerer

The offer goes out with `far` as its only candidate and the answer comes in with `near`, so that
neither peer knows another way to the other: connectivity checks, the DTLS handshake, data and
media all pass. The peers' descriptions are otherwise untouched and nothing is decrypted.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field
from typing import Any

from gistcast.stream.link import StreamError
from gistcast.stream.network.path import Path, PathCounts
from gistcast.stream.network.sdp import Address, first_candidate, with_candidate
from gistcast.stream.network.spec import Network

_HEADERS = {4: 20 + 8, 6: 40 + 8}  # bytes of IP and UDP, by IP version
_MAX_WAITING = 1 << 14  # packets under way in both directions
_MAX_EARLY = 32  # packets of an answerer that is quicker than its answer


@dataclass
class NetworkSummary:
    """What an emulator carried; `up` leads from the offering peer, `down` to it.

    Attributes:
        handshake_bytes: of `up.bytes`, those before the connection stood.
        strangers: packets from anyone but the two peers, ignored.
        overflowed: packets discarded because too many were under way or unsent.
        late_ms: most that a packet was delivered behind its time, the emulator's own fault.
    """

    up: PathCounts = field(default_factory=PathCounts)
    down: PathCounts = field(default_factory=PathCounts)
    handshake_bytes: int = 0
    strangers: int = 0
    overflowed: int = 0
    late_ms: float = 0.0

    @property
    def stream_bytes(self) -> int:
        """Bytes that went up since the connection stood."""
        return self.up.bytes - self.handshake_bytes

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "up": self.up.to_json(),
            "down": self.down.to_json(),
            "handshake_bytes": self.handshake_bytes,
            "strangers": self.strangers,
            "overflowed": self.overflowed,
            "late_ms": round(self.late_ms, 1),
        }


class _Side(asyncio.DatagramProtocol):
    """The socket that one of the peers talks to.

    Args:
        emulator: is told what comes.
        path: that what comes enters.
    """

    def __init__(self, emulator: Emulator, path: Path) -> None:
        self.peer: Address | None = None
        self.path = path
        self._emulator = emulator
        self._transport: asyncio.DatagramTransport | None = None
        self._early: list[tuple[Address, bytes]] = []
        self._full = False  # asyncio's buffer, because the operating system takes no more

    async def open(self, host: str) -> Address:
        """Bind to a free port; the address."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        bound: Address = self._transport.get_extra_info("sockname")[:2]
        return bound

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """As in asyncio."""
        if self.peer is None and len(self._early) < _MAX_EARLY:
            self._early.append((addr[:2], data))
        elif addr[:2] != self.peer:
            self._emulator.summary.strangers += 1
        else:
            self._emulator.carry(self, data)

    def introduce(self, peer: Address) -> None:
        """Who is served, now that it is known; what came before is looked at."""
        self.peer = peer
        early, self._early = self._early, []
        for addr, data in early:
            self.datagram_received(data, addr)

    def pause_writing(self) -> None:
        """As in asyncio."""
        self._full = True

    def resume_writing(self) -> None:
        """As in asyncio."""
        self._full = False

    def error_received(self, exc: Exception) -> None:
        """As in asyncio: a peer that is gone is not the network's business."""

    def send(self, data: bytes) -> bool:
        """Send to the peer; False: the operating system is too far behind."""
        if self._full:
            return False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, self.peer)
        return True

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()


class Emulator:
    """Carries one connection through an emulated network, in real time.

        emulator = Emulator(network)
        offer = await emulator.offer(offer)     # before it is sent
        answer = emulator.answer(answer)        # before it is taken
        emulator.connected()                    # once the channels are open
        ...
        emulator.close()

    Time 0 of traces is when the first packet comes.

    Args:
        network: both directions.
    """

    def __init__(self, network: Network) -> None:
        up, down = Path(network.up, network.seed, 0), Path(network.down, network.seed, 1)
        up.clean = down.clean = network.clean_handshake
        self.network = network
        self.summary = NetworkSummary(up.counts, down.counts)
        self._loop = asyncio.get_running_loop()
        self._near, self._far = _Side(self, up), _Side(self, down)
        self._started: float | None = None
        self._near_address: Address | None = None
        self._headers = 0
        self._waiting: list[tuple[float, int, _Side, bytes]] = []  # heap by (when, order)
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Emulator:
        return self

    async def __aexit__(self, *raised: object) -> None:
        self.close()

    async def offer(self, sdp: str) -> str:
        """Open the sockets beside the offering peer; its offer as the other one is to see it.

        Raises:
            StreamError: the offer has no address that a relay could serve.
        """
        self._near.peer = first_candidate(sdp)
        if self._near.peer is None:
            raise StreamError("the emulator finds no UDP host candidate in the offer")
        host = self._near.peer[0]
        self._headers = _HEADERS[6 if ":" in host else 4]
        try:
            self._near_address = await self._near.open(host)
            return with_candidate(sdp, await self._far.open(host))
        except OSError as error:
            raise StreamError(f"the emulator cannot listen on {host}: {error}") from error

    def answer(self, sdp: str) -> str:
        """The answer as the offering peer is to see it.

        Raises:
            StreamError: the answer has no address of the offer's IP version.
        """
        assert self._near_address is not None  # offer() came first
        version = 6 if ":" in self._near_address[0] else 4
        peer = first_candidate(sdp, version=version)
        if peer is None:
            raise StreamError(f"the emulator finds no IPv{version} host candidate in the answer")
        self._far.introduce(peer)
        return with_candidate(sdp, self._near_address)

    def connected(self) -> None:
        """From here on it is the stream that is carried, no handshake."""
        self.summary.handshake_bytes = self.summary.up.bytes
        self._near.path.clean = self._far.path.clean = False

    def close(self) -> None:
        """Close the sockets; what is under way is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
        self._near.close()
        self._far.close()

    def carry(self, entered: _Side, data: bytes) -> None:
        """Take a packet in at one side and schedule its arrivals at the other."""
        now = self._loop.time()
        if self._started is None:
            self._started = now
        out = self._far if entered is self._near else self._near
        for arrival in entered.path.send(now - self._started, len(data) + self._headers):
            if len(self._waiting) >= _MAX_WAITING:
                self.summary.overflowed += 1
                continue
            heapq.heappush(self._waiting, (self._started + arrival, self._order, out, data))
            self._order += 1
        self._deliver()

    def _deliver(self) -> None:
        """Send what is due and wake up for the next."""
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            when, _, side, data = heapq.heappop(self._waiting)
            self.summary.late_ms = max(self.summary.late_ms, 1000 * (now - when))
            self.summary.overflowed += not side.send(data)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self._deliver)
