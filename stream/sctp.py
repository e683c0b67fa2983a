"""SCTP for media: aiortc's association, with a window and a timer for a paced stream.

SCTP takes every loss for congestion. In aiortc a lost message that nothing follows is noticed
after a second (RTO.Min), and then the window falls to one packet; at 20 % loss and more it stays
there, and what the sender has paced to the link's rate waits a second at a time for a window
(figures in docs/streaming.md). The rate is not SCTP's business here: `congestion.py` follows the
link by delay and dispersion, the sender paces and cuts clips to fit. So

- the window never falls below `WINDOW`, which a second of video at the rates this is made for
  does not fill; the sender's pacing and its 32 KiB high-water mark bound what is under way;
- a message is sent again after 200 ms at the earliest, as in Linux's TCP, not after a second
  (dcsctp, Chromium's, waits 220 ms); in return the time doubles with every expiry until a round
  trip is measured again (RFC 9260, 6.3.3 E2), which aiortc leaves out, but only up to four seconds.

Retransmission, acknowledgement and the window's growth stay aiortc's.
"""

from __future__ import annotations

from aiortc import RTCSctpTransport
from aiortc.rtcsctptransport import SCTP_RTO_MAX, USERDATA_MAX_LENGTH, SackChunk

from gistcast.stream.link import StreamError

WINDOW = 32 * USERDATA_MAX_LENGTH  #: bytes that may always be under way
RTO_MIN = 0.2  #: seconds
BACKOFF_MAX = 4.0  #: seconds that the timer doubles up to, longer than queues are


class MediaSctpTransport(RTCSctpTransport):
    """An association whose congestion is controlled above it."""

    @classmethod
    def adopt(cls, transport: RTCSctpTransport | None) -> None:
        """Make this of an association that an `RTCPeerConnection` made: it has no setting for the
        class to use. Nothing is patched for others.

        Raises:
            StreamError: there is none, since nobody asked for data channels.
        """
        if transport is None:
            raise StreamError("the session has no data channels")
        transport.__class__ = cls
        transport._cwnd = max(transport._cwnd, WINDOW)

    def _update_rto(self, R: float) -> None:  # noqa: N803 - aiortc's name
        super()._update_rto(R)
        assert self._srtt is not None and self._rttvar is not None  # set just now
        self._rto = max(RTO_MIN, min(self._srtt + 4 * self._rttvar, SCTP_RTO_MAX))

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        await super()._receive_sack_chunk(chunk)
        self._cwnd = max(self._cwnd, WINDOW)

    def _t3_expired(self) -> None:
        super()._t3_expired()  # transmits after this
        self._rto = min(2 * self._rto, max(BACKOFF_MAX, self._rto))
        self._cwnd = max(self._cwnd, WINDOW)
