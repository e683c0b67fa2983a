"""SCTP for media: aiortc's association, with a window, timers and news for a paced stream.

SCTP takes every loss for congestion. In aiortc a lost message that nothing follows is noticed
after a second (RTO.Min), and then the window falls to one packet; at 20 % loss and more it stays
there, and what the sender has paced to the link's rate waits a second at a time for a window
(figures in docs/streaming.md). The rate is not SCTP's business here: `congestion.py` follows the
link by delay and dispersion, the sender paces and cuts clips to fit. So

- the window never falls below `WINDOW`, which a second of video at the rates this is made for
  does not fill; the sender's pacing and its 32 KiB high-water mark bound what is under way;
- a message is lost as soon as one that left `REORDERING` later is acknowledged (RACK, RFC 8985),
  not after three such acknowledgements: at a few packets a second those take seconds. Reliable
  messages are sent again at once, of others the watcher is told, as it is of all that arrive;
- where nobody watches, a message is sent again after 200 ms at the earliest, as in Linux's TCP,
  not after a second (dcsctp, Chromium's, waits 220 ms). A watcher looks for itself when nothing
  is acknowledged (`flight.py`), and leaves the timer at four seconds. Else it doubles with every
  expiry until a round trip is measured again (RFC 9260, 6.3.3 E2), which aiortc leaves out, but
  only up to four seconds.

Acknowledgement and the window's growth stay aiortc's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiortc import RTCSctpTransport
from aiortc.rtcsctptransport import (
    SCTP_RTO_MAX,
    SCTP_TSN_MODULO,
    USERDATA_MAX_LENGTH,
    WEBRTC_DCEP,
    Chunk,
    DataChunk,
    SackChunk,
)
from aiortc.utils import uint32_gte

from gistcast.stream.link import Arrived, Lost, StreamError

WINDOW = 32 * USERDATA_MAX_LENGTH  #: bytes that may always be under way
RTO_MIN = 0.2  #: seconds
BACKOFF_MAX = 4.0  #: seconds that the timer doubles up to, longer than queues are
REORDERING = 0.03  #: seconds by which one message may overtake another


class MediaSctpTransport(RTCSctpTransport):
    """An association whose congestion is controlled above it."""

    _arrived: Arrived | None
    _lost: Lost | None
    _least_rto: float
    _messages: int
    _numbers: dict[int, int]
    _under_way: dict[int, tuple[Any, float]]  # aiortc gives chunks attributes as it goes
    _newest: float
    _clock: Callable[[], float]

    @classmethod
    def adopt(cls, transport: RTCSctpTransport | None) -> MediaSctpTransport:
        """Make this of an association that an `RTCPeerConnection` made: it has no setting for the
        class to use. Nothing is patched for others.

        Raises:
            StreamError: there is none, since nobody asked for data channels.
        """
        if transport is None:
            raise StreamError("the session has no data channels")
        transport.__class__ = cls
        assert isinstance(transport, cls)
        transport._cwnd = max(transport._cwnd, WINDOW)
        transport._arrived = transport._lost = None
        transport._least_rto = RTO_MIN
        transport._messages = 0  # handed over, the channels' own left out
        transport._numbers = {}  # TSN -> number of the message
        transport._under_way = {}  # TSN -> the chunk, and when it left
        transport._newest = 0.0  # when the newest left that was acknowledged
        transport._clock = asyncio.get_running_loop().time
        return transport

    def watch(self, arrived: Arrived, lost: Lost) -> None:
        """As `Link.watch`."""
        self._arrived, self._lost = arrived, lost
        self._least_rto = self._rto = BACKOFF_MAX

    async def _send(  # type: ignore[override]
        self, stream_id: int, pp_id: int, user_data: bytes, **how: Any
    ) -> None:
        if pp_id != WEBRTC_DCEP:
            self._numbers[self._local_tsn] = self._messages
            self._messages += 1
        await super()._send(stream_id, pp_id, user_data, **how)

    async def _send_chunk(self, chunk: Chunk) -> None:
        if isinstance(chunk, DataChunk):
            self._under_way[chunk.tsn] = (chunk, self._clock())
        await super()._send_chunk(chunk)

    def _update_rto(self, R: float) -> None:  # noqa: N803 - aiortc's name
        super()._update_rto(R)
        assert self._srtt is not None and self._rttvar is not None  # set just now
        self._rto = max(self._least_rto, min(self._srtt + 4 * self._rttvar, SCTP_RTO_MAX))

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        await super()._receive_sack_chunk(chunk)
        self._cwnd = max(self._cwnd, WINDOW)
        self._acknowledge(chunk)
        if self._overtaken():
            self._update_advanced_peer_ack_point()
            await self._transmit()

    def _acknowledge(self, sack: SackChunk) -> None:
        """Take out what has arrived."""
        cumulative = sack.cumulative_tsn
        gaps = {
            (cumulative + position) % SCTP_TSN_MODULO
            for first, last in sack.gaps
            for position in range(first, last + 1)
        }
        arrived, timed, repeated = [], None, False
        for tsn, (data, left) in list(self._under_way.items()):
            passed = uint32_gte(cumulative, tsn)
            if tsn in gaps or (passed and not data._abandoned):
                number = self._forget(tsn)
                if data._sent_count > 1:
                    repeated = True
                elif left >= self._newest:
                    self._newest, timed = left, number
                arrived += [] if number is None else [number]
            elif passed:
                self._tell_lost(tsn)
        if arrived and self._arrived is not None:
            # of one that was sent twice nobody knows which it was; and where it is the reason for
            # this word, others in it may have come long ago, and the word of them was lost
            self._arrived(arrived, None if repeated else timed)

    def _overtaken(self) -> bool:
        """Mark what is lost, because what left later has arrived; whether anything is."""
        found = False
        for tsn, (data, left) in list(self._under_way.items()):
            if data._retransmit or left >= self._newest - REORDERING:
                continue
            found = True
            if self._maybe_abandon(data):
                self._tell_lost(tsn)
            else:
                data._retransmit = True
                self._flight_size_decrease(data)
        return found

    def _forget(self, tsn: int) -> int | None:
        self._under_way.pop(tsn, None)
        return self._numbers.pop(tsn, None)

    def _tell_lost(self, tsn: int) -> None:
        number = self._forget(tsn)
        if number is not None and self._lost is not None:
            self._lost(number)

    def _t3_expired(self) -> None:
        super()._t3_expired()  # transmits after this
        self._rto = min(2 * self._rto, max(BACKOFF_MAX, self._rto))
        self._cwnd = max(self._cwnd, WINDOW)
        for chunk in self._sent_queue:
            chunk._retransmit &= not chunk._acked  # aiortc sends those again, too
        for tsn, (data, _) in list(self._under_way.items()):
            if data._abandoned:
                self._tell_lost(tsn)
