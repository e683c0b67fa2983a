"""The timeline as WebRTC video: one track a view, for one watcher."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from gistcast.codec.errors import CorruptError
from gistcast.stream.connection import Connection
from gistcast.stream.link import StreamError
from gistcast.stream.signalling import RefusedError
from gistcast.stream.web.timeline import Picture, Timeline

_CLOCK = 90_000  # of video in RTP
_IDLE_SECONDS = 0.2  # between frames while nothing moves
_BLANK = np.full((128, 128, 3), 24, np.uint8)
_GRAIN = 1e-3  # seconds: a wait that ends early still finds the next frame


class TimelineTrack(MediaStreamTrack):
    """One view of a timeline as a video track."""

    kind = "video"

    def __init__(self, timeline: Timeline, view: str) -> None:
        super().__init__()
        self._timeline, self._view = timeline, view
        self._now = asyncio.get_running_loop().time
        self._start = self._now()

    async def recv(self) -> av.VideoFrame:
        """The next frame, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        now = self._now()
        due = self._timeline.next_change(now)
        wait = _IDLE_SECONDS if due is None else min(due - now, _IDLE_SECONDS)
        await asyncio.sleep(wait + _GRAIN)
        now = self._now()
        picture = self._timeline.frame(self._view, now)
        frame = _yuv(_BLANK if picture is None else picture)
        frame.pts = int((now - self._start) * _CLOCK)
        frame.time_base = Fraction(1, _CLOCK)
        return frame


def _yuv(picture: Picture) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(
        format="yuv420p", dst_colorspace="ITU601"
    )


class VideoPeer:
    """Somebody who watches: as many tracks as were offered to be received, in the views' order.

    Args:
        timeline: what is shown.
        views: names of its views.
        loopback: as of `Connection`.
    """

    def __init__(self, timeline: Timeline, views: Sequence[str], *, loopback: bool = True) -> None:
        self.connection = Connection(loopback=loopback)
        self._timeline, self._views = timeline, views
        self._connected = asyncio.Event()
        self._gone = asyncio.Event()
        self.connection.rtc.on("connectionstatechange", self._changed)

    @property
    def closed(self) -> bool:
        """The connection is no more."""
        return self._gone.is_set()

    async def answer(self, offer: str) -> str:
        """As `Peer.answer`.

        Raises:
            CorruptError: no video is asked for.
        """
        await self.connection.take(offer, "offer")
        rtc = self.connection.rtc
        asked = [one for one in rtc.getTransceivers() if one.kind == "video"]
        if not asked or len(rtc.getTransceivers()) > len(self._views):
            raise CorruptError(f"1 to {len(self._views)} videos can be asked for", field="sdp")
        for _, view in zip(asked, self._views, strict=False):
            rtc.addTrack(TimelineTrack(self._timeline, view))
        self.connection.send_only()
        return await self.connection.answer()

    async def opened(self, timeout: float) -> None:
        """As `Peer.opened`."""
        try:
            async with asyncio.timeout(timeout):
                await self._connected.wait()
        except TimeoutError:
            raise StreamError(f"no connection to the peer within {timeout:g} s") from None
        if self._gone.is_set():
            raise StreamError("the connection to the peer failed")

    async def gone(self) -> None:
        """As `Peer.gone`."""
        await self._gone.wait()

    async def close(self) -> None:
        """As `Peer.close`."""
        self._gone.set()
        self._connected.set()
        await self.connection.close()

    def _changed(self) -> None:
        state = self.connection.rtc.connectionState
        if state in ("failed", "closed"):
            self._gone.set()
        if state in ("connected", "failed", "closed"):
            self._connected.set()


class Watchers:
    """Those who watch a timeline, so many at most: each costs an encoder.

    Args:
        timeline, views, loopback: as of `VideoPeer`.
        most: at once.
    """

    def __init__(
        self, timeline: Timeline, views: Sequence[str], *, loopback: bool = True, most: int = 8
    ) -> None:
        self._timeline, self._views, self._loopback = timeline, views, loopback
        self._most = most
        self._peers: set[VideoPeer] = set()

    def __iter__(self) -> Iterator[VideoPeer]:
        return iter([peer for peer in self._peers if not peer.closed])

    def add(self) -> VideoPeer:
        """A peer for one more.

        Raises:
            RefusedError: there are too many.
        """
        self._peers = set(self)
        if len(self._peers) >= self._most:
            raise RefusedError(503, "too many watch already", 5)
        peer = VideoPeer(self._timeline, self._views, loopback=self._loopback)
        self._peers.add(peer)
        return peer
