"""Messages on their way out: paced, bounded by what is under way, sent again while it helps.

clip's messages -> pace -> room on the link -> link
                            | no room until the clip is due: CUT, the rest stays behind
link: arrived, lost --------'-> lost pieces go again; quiet: PING asks what has become of them
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from gistcast.stream.congestion import MESSAGE_HEADERS, Congestion
from gistcast.stream.fitting import Fitted
from gistcast.stream.flight import Flight
from gistcast.stream.link import ChannelName, Link
from gistcast.stream.messages import MAX_MESSAGE, ClipMarker, Copied, Cut, Kind, Ping

_CATCH_UP = 0.01  # seconds of the rate that may be sent at once
_UNDER_WAY = 0.4  # seconds of the link's rate that may be under way beyond its round trip
_LEAST_UNDER_WAY = 2 * (MAX_MESSAGE + MESSAGE_HEADERS)  # bytes
_MOST_KEPT = 16  # clips whose messages can be sent again
_TRIES = 6  # that a message is sent again
_WIDE = 400e3  # bits a second, at which a message takes hardly more time than a question
_LOSES = 0.01  # share of the messages
_LOOK = 1.0  # seconds, at most, between looks whether it is quiet


@dataclass
class _Kept:
    """A clip that may still be helped.

    Attributes:
        until: loop time.
        messages: by index (`Arrival`).
        tries: how often each was sent again.
        came: known to have arrived.
    """

    until: float
    messages: dict[int, bytes] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)
    came: set[int] = field(default_factory=set)


class Outgoing:
    """Sends messages over one link.

    Args:
        link: to the peer; stays open.
        congestion: follows the link; None: `rate` is all that counts.
        rate: bits a second at which messages leave where nothing is followed.
        high_water: bytes in the channels' buffers at which sending waits.
        repair: send again what is lost, where the link tells.
    """

    def __init__(
        self,
        link: Link,
        congestion: Congestion | None,
        *,
        rate: float,
        high_water: int,
        repair: bool = True,
    ) -> None:
        self.messages = self.message_bytes = 0  #: handed to the link
        self.residual = 0  #: of these, on the channel that loses
        self.resent = 0  #: of these, again
        self.cut = 0  #: messages that stayed behind, since their clip was due
        self._link, self._congestion = link, congestion
        self._rate, self._high_water = rate, high_water
        self._loop = asyncio.get_running_loop()
        self.last_sent = self.heard = self._free_at = self._loop.time()
        self._kept: dict[int, _Kept] = {}
        self._keys: dict[int, tuple[int, int]] = {}  # number of a message under way -> its name
        self._stirred = asyncio.Event()
        watched = repair and link.watch(self._arrived, self._lost)
        self._flight = Flight() if watched else None

    @property
    def pace(self) -> float:
        """Bits a second at which messages leave."""
        return self._congestion.pace if self._congestion else self._rate

    @property
    def round_trip(self) -> float:
        """Seconds, without waiting in queues; 0: not known."""
        return self._flight.least if self._flight is not None and self._flight.round_trip else 0.0

    def has_arrived(self, number: int) -> bool:
        """Whether the peer acknowledged a message on the reliable channel; False where nobody
        knows."""
        return self._flight is not None and number not in self._flight

    def observe(self) -> None:
        """Let the controller know what is stuck."""
        now = self._loop.time()
        if self._congestion is not None and self._flight is not None:
            most = self._flight.carried(now)
            self._congestion.hold(most or 0.0, self._flight.bytes if most else 0)

    def send(
        self,
        channel: ChannelName,
        data: bytes,
        key: tuple[int, int] | None = None,
        *,
        asks: bool = False,
    ) -> int:
        """Send at once; the message's number.

        Args:
            key: clip and index (`Arrival`) of a message that can be sent again.
            asks: for nothing but its acknowledgement.

        Raises:
            StreamError: the link is closed.
        """
        self._link.send(channel, data)
        now = self.last_sent = self._loop.time()
        if self._flight is not None:
            self._flight.sent(self.messages, len(data) + MESSAGE_HEADERS, now, asks=asks)
            if key is not None:
                self._keys[self.messages] = key
            self._stirred.set()
        self.messages += 1
        self.message_bytes += len(data)
        self.residual += channel == ChannelName.RESIDUAL
        return self.messages - 1

    async def clip(
        self, marker: ClipMarker, fitted: Fitted | None, due: float, until: float
    ) -> None:
        """Send a clip.

        Args:
            marker: announces it.
            fitted: its messages; None: the marker is all.
            due: loop time by which the link is to have carried it; what does not fit, but for the
                base, stays behind.
            until: loop time until which lost ones are sent again.

        Raises:
            StreamError: the link is closed.
        """
        number = marker.clip
        kept = self._keep(number, until)
        kept.messages[0] = Copied(marker).to_bytes()
        await self._paced(ChannelName.CONTROL, marker.to_bytes(), (number, 0))
        if fitted is None:
            return
        cut = fitted.messages
        for data in cut.control:
            await self._paced(ChannelName.CONTROL, data)
        index = len(cut.control)  # parity has no number
        for place, data in enumerate(cut.residual):
            if place >= cut.needed and not await self._room(len(data), due):
                self.cut += len(cut.residual) - place
                self.send(ChannelName.RESIDUAL, Cut(number, index).to_bytes())
                return
            numbered = data[0] != Kind.PARITY
            index += numbered
            if numbered:
                kept.messages[index] = data
            await self._paced(ChannelName.RESIDUAL, data, (number, index) if numbered else None)
        for _ in range(fitted.copies):
            await self._paced(ChannelName.RESIDUAL, kept.messages[0])

    async def during(self, *steps: Coroutine[Any, Any, None]) -> None:
        """Attend while steps run: to the end of all, or until one fails and with it the others.

        Raises:
            Exception: what a step raises.
        """
        attending = asyncio.create_task(self.attend())
        tasks = [asyncio.create_task(step) for step in steps]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, attending):
                task.cancel()
            await asyncio.gather(*tasks, attending, return_exceptions=True)

    async def attend(self) -> None:
        """Ask the peer for a sign when nothing is heard of what is under way; for ever."""
        flight = self._flight
        while True:
            at = flight.quiet_at(self._hurry()) if flight is not None else None
            now = self._loop.time()
            if at is not None and at <= now and flight is not None:
                self._ask()
                continue
            self._stirred.clear()
            try:
                async with asyncio.timeout(_LOOK if at is None else at - now):
                    await self._stirred.wait()
            except TimeoutError:
                pass

    def _ask(self) -> None:
        """Make the peer acknowledge something: what is not known to have come, where the link has
        lost before and is so wide that it costs no time; else next to nothing."""
        data, key = Ping().to_bytes(), None
        congestion = self._congestion
        if congestion is not None and self._hurry() and congestion.capacity > _WIDE:
            key = next((k for k in self._keys.values() if self._helps(*k)), None)
        if congestion is not None and key is not None:
            data = self._kept[key[0]].messages[key[1]]
            congestion.again(*key, lost=False)
        self.send(ChannelName.RESIDUAL, data, key, asks=True)

    def _helps(self, clip: int, index: int) -> bool:
        """Whether it is any use to send a message again."""
        kept = self._kept.get(clip)
        if kept is None or self._loop.time() > kept.until:
            return False
        return index in kept.messages and index not in kept.came

    def _hurry(self) -> bool:
        """Whether it is known to pay not to wait for a round trip: this link loses."""
        return self._congestion is not None and self._congestion.quiet_loss > _LOSES

    def _keep(self, number: int, until: float) -> _Kept:
        """Where the messages of a clip are kept; those of old clips go."""
        kept = self._kept[number] = _Kept(until)
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return kept

    async def _paced(
        self, channel: ChannelName, data: bytes, key: tuple[int, int] | None = None
    ) -> None:
        """Send when the pace and the buffers allow it."""
        now = self._loop.time()
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
        self._spend(len(data))
        if self._link.buffered() > self._high_water:
            await self._link.drained(self._high_water)
        self.send(channel, data, key)
        if self._congestion is not None and key is not None:
            self._congestion.sent(*key, len(data), self.last_sent)

    def _spend(self, size: int) -> None:
        """Reckon a message's time."""
        # what was slept too long is made up for; an idle sender saves up nothing more, for
        # bursts are what overflows queues on the way
        earliest = self._loop.time() - _CATCH_UP
        headers = MESSAGE_HEADERS if self._congestion else 0
        self._free_at = max(self._free_at, earliest) + (size + headers) * 8 / self.pace

    async def _room(self, size: int, due: float) -> bool:
        """Wait until little enough is under way; False: the clip is due before."""
        flight, congestion = self._flight, self._congestion
        if flight is None or congestion is None:
            return True
        size += MESSAGE_HEADERS
        while True:
            now = self._loop.time()
            seconds = _UNDER_WAY + min(flight.least, 1.0)
            most = max(_LEAST_UNDER_WAY, congestion.capacity * seconds / 8)
            if max(now, self._free_at) + 8 * (flight.bytes + size) / congestion.capacity > due:
                return False
            if flight.bytes + size <= most:
                return True
            self._stirred.clear()
            try:
                async with asyncio.timeout(due - now):
                    await self._stirred.wait()
            except TimeoutError:
                return False

    def _arrived(self, numbers: list[int], timed: int | None) -> None:
        assert self._flight is not None  # nobody else asked to be told
        self.heard = self._loop.time()
        self._flight.arrived(numbers, timed, self.heard)
        for number in numbers:
            key = self._keys.pop(number, None)
            if key is not None and key[0] in self._kept:
                self._kept[key[0]].came.add(key[1])
            if key is not None and self._congestion is not None:
                self._congestion.acknowledged(*key)
        self._stirred.set()

    def _lost(self, number: int) -> None:
        """Send a piece again, if its clip can still use it."""
        assert self._flight is not None
        self._flight.lost(number)
        self._stirred.set()
        key = self._keys.pop(number, None)
        if key is None or not self._helps(*key) or not key[1]:
            return  # the announcement is SCTP's to repeat
        clip, index = key
        kept = self._kept[clip]
        data, tries = kept.messages[index], kept.tries.get(index, 0)
        if tries >= _TRIES or self._link.buffered() > self._high_water:
            return
        kept.tries[index] = tries + 1
        if self._congestion is not None:
            self._congestion.again(clip, index, lost=True)
        self._spend(len(data))
        self.resent += 1
        self.send(ChannelName.RESIDUAL, data, key)
