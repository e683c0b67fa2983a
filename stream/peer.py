"""The link over WebRTC: a peer connection with two data channels, no media, no STUN."""

from __future__ import annotations

import asyncio
import time

from aiortc import RTCDataChannel

from gistcast.codec.errors import CorruptError
from gistcast.stream.connection import Connection
from gistcast.stream.link import Arrived, ChannelName, Inbox, Lost, StreamError
from gistcast.stream.messages import MAX_MESSAGE
from gistcast.stream.sctp import MediaSctpTransport


class PeerLink:
    """A `gistcast.stream.link.Link` over WebRTC.

        offerer:   offer() -> SDP ... accept_answer(SDP) -> opened()
        answerer:  answer(SDP) -> SDP                    -> opened()

    Args:
        loopback: gather and accept 127.0.0.1 only; else every address of the machine.
    """

    def __init__(self, *, loopback: bool = True) -> None:
        self.connection = Connection(loopback=loopback)
        self._channels: dict[ChannelName, RTCDataChannel] = {}
        self._inbox = Inbox()
        self._open = asyncio.Event()
        self._room = asyncio.Event()
        self._gone = asyncio.Event()
        self._heard = time.monotonic()
        self.connection.rtc.on("datachannel", self._adopt)
        self.connection.rtc.on("connectionstatechange", self._state_changed)

    @property
    def closed(self) -> bool:
        """The link is gone (either side hung up, or the network did)."""
        return self._inbox.closed

    @property
    def overflowed(self) -> int:
        """As `Link.overflowed`."""
        return self._inbox.overflowed

    async def offer(self) -> str:
        """Open the channels; the offer with all candidates, as SDP."""
        make = self.connection.rtc.createDataChannel
        self._adopt(make(ChannelName.CONTROL, ordered=True))
        self._adopt(make(ChannelName.RESIDUAL, ordered=False, maxRetransmits=0))
        MediaSctpTransport.adopt(self.connection.rtc.sctp)
        return await self.connection.offer()

    async def answer(self, offer: str) -> str:
        """The answer to an offer, with all candidates.

        Raises:
            CorruptError: `offer` is no description of a data-channel session.
        """
        await self.connection.take(offer, "offer")
        if self.connection.rtc.sctp is None:
            raise CorruptError("the offer has no data channel", field="sdp")
        MediaSctpTransport.adopt(self.connection.rtc.sctp)
        self.connection.send_only()
        return await self.connection.answer()

    async def accept_answer(self, answer: str) -> None:
        """Take the peer's answer.

        Raises:
            CorruptError: `answer` is not one.
        """
        await self.connection.take(answer, "answer")

    async def opened(self, timeout: float) -> None:
        """Wait until both channels are open.

        Raises:
            StreamError: they are not within `timeout` seconds, or the link closed.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._open.wait()
        except TimeoutError:
            raise StreamError(f"no connection to the peer within {timeout:g} s") from None
        if self.closed:
            raise StreamError("the connection to the peer failed")

    def alive(self, seconds: float) -> bool:
        """Whether the peer has said anything lately."""
        return not self.closed and time.monotonic() - self._heard < seconds

    async def gone(self) -> None:
        """Wait until the link is closed."""
        await self._gone.wait()

    def send(self, channel: ChannelName, data: bytes) -> None:
        """As `Link.send`."""
        target = self._channels.get(channel)
        if target is None or target.readyState != "open":
            raise StreamError("the link to the peer is closed")
        target.send(data)

    def watch(self, arrived: Arrived, lost: Lost) -> bool:
        """As `Link.watch`."""
        transport = self.connection.rtc.sctp
        assert isinstance(transport, MediaSctpTransport)  # adopted with the description
        transport.watch(arrived, lost)
        return True

    def buffered(self) -> int:
        """As `Link.buffered`."""
        return sum(int(channel.bufferedAmount) for channel in self._channels.values())

    async def drained(self, below: int) -> None:
        """As `Link.drained`."""
        for channel in self._channels.values():
            channel.bufferedAmountLowThreshold = below // 2
        while not self.closed and self.buffered() > below:
            self._room.clear()
            await self._room.wait()
        if self.closed:
            raise StreamError("the link to the peer is closed")

    async def receive(self, timeout: float | None = None) -> bytes | None:
        """As `Link.receive`."""
        return await self._inbox.get(timeout)

    async def close(self) -> None:
        """As `Link.close`."""
        self._end()
        await self.connection.close()

    def _adopt(self, channel: RTCDataChannel) -> None:
        """Take a channel that opened here or there; strangers are closed."""
        known = channel.label in list(ChannelName)
        if not known or ChannelName(channel.label) in self._channels:
            channel.close()
            return
        self._channels[ChannelName(channel.label)] = channel
        channel.on("message", self._message)
        channel.on("open", self._check_open)
        channel.on("close", self._end)
        channel.on("bufferedamountlow", self._room.set)
        self._check_open()

    def _message(self, data: bytes | str) -> None:
        self._heard = time.monotonic()
        if isinstance(data, str):
            data = data.encode()
        # what is too long is kept just too long, to be counted as malformed
        self._inbox.put(data[: MAX_MESSAGE + 1])

    def _check_open(self) -> None:
        ready = [channel.readyState == "open" for channel in self._channels.values()]
        if len(ready) == len(ChannelName) and all(ready):
            self._open.set()

    def _state_changed(self) -> None:
        if self.connection.rtc.connectionState in ("failed", "closed"):
            self._end()

    def _end(self) -> None:
        self._inbox.close()
        self._open.set()
        self._room.set()
        self._gone.set()
