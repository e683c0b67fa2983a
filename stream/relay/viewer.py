"""One viewer of a relayed stream: as many layers of each clip as its link carries.

clips -> a few waiting -> layers that fit -> paced messages -> link
                                ^---- congestion.py <---- reports
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from gistcast.codec.errors import CorruptError, UsageError
from gistcast.stream.congestion import Congestion
from gistcast.stream.fitting import Fitted, fit_clip, protection_for
from gistcast.stream.link import ChannelName, Link, StreamError
from gistcast.stream.messages import (
    ClipMarker,
    End,
    Header,
    Ping,
    Report,
    parse_message,
)
from gistcast.stream.outgoing import Outgoing
from gistcast.stream.relay.clip import RelayedClip

_PING_SECONDS = 2.0
_FINISH_SECONDS = 10.0
_MOST_WAITING = 64  # clips
_STALL = 250  # ms that sending a clip may be held up
_CEILING = 50e6  # bits a second that no viewer is believed to want more than
_DUE = 1.0  # of a clip's duration, as of a sender
_HELP = 0.5  # seconds after that in which lost pieces are sent again


@dataclass(frozen=True)
class ViewerSettings:
    """Attributes:
    rate: most bits a second, headers included; None: what the link carries.
    layers: most residual layers; None: all.
    adapt: follow the link; else it carries whatever there is.
    waiting: clips that may wait for the link with their packets; beyond that the oldest is
        announced without any, to be concealed.
    high_water: bytes in the channels' buffers at which sending waits.
    silence: seconds without a report or an acknowledgement after which the viewer is taken
        for gone.
    """

    rate: float | None = None
    layers: int | None = None
    adapt: bool = True
    waiting: int = 8
    high_water: int = 32 << 10
    silence: float = 10.0

    def __post_init__(self) -> None:
        if (self.rate is not None and not self.rate >= 0) or (self.layers or 0) < 0:
            raise UsageError("rate and layers must not be negative")
        if self.waiting < 1 or self.high_water < 1 or not self.silence > 0:
            raise UsageError("waiting, high water and silence must be positive")


@dataclass
class ViewerSummary:
    """What a viewer was sent.

    Attributes:
        thinned: clips with fewer layers than there were; skipped: announced, without packets.
        payload_bytes: of packets; message_bytes: with framing.
        layers: packets of the last clip.
        report: the viewer's last.
    """

    clips: int = 0
    thinned: int = 0
    skipped: int = 0
    payload_bytes: int = 0
    message_bytes: int = 0
    layers: int = 0
    report: Report | None = None


class Viewer:
    """Sends a live stream to one viewer. Nothing here ever makes the relay wait.

    Args:
        link: to the viewer; stays open.
        settings: may be replaced at any time.
    """

    def __init__(self, link: Link, settings: ViewerSettings | None = None) -> None:
        self.settings = settings or ViewerSettings()
        self.summary = ViewerSummary()
        self.congestion = Congestion(_CEILING)
        self._link = link
        self._waiting: deque[RelayedClip] = deque()
        self._more = asyncio.Event()
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._epoch = self._loop.time()
        self._out = Outgoing(
            link, self.congestion, rate=_CEILING, high_water=self.settings.high_water
        )
        self._next = 0

    def offer(self, clip: RelayedClip) -> None:
        """The next clip. A viewer that stands still loses the oldest that wait for it."""
        if self._ended:
            return
        self._waiting.append(clip)
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
        self._more.set()

    def end(self) -> None:
        """There will be no further clips."""
        self._ended = True
        self._more.set()

    async def run(self, header: Header) -> ViewerSummary:
        """Send until the stream ends or the viewer goes.

        Args:
            header: `first` is the number of the first clip that will be offered.

        Raises:
            StreamError: the viewer went away.
        """
        self._epoch, self._next = self._loop.time(), header.first
        self._send(ChannelName.CONTROL, header.to_bytes())
        await self._out.during(self._pump(), self._listen())
        return self.summary

    async def _pump(self) -> None:
        """Clips as they come, pings while none do, the end."""
        while True:
            while self._waiting:
                skip = len(self._waiting) > self.settings.waiting
                await self._clip(self._waiting.popleft(), skip=skip)
            if self._ended:
                break
            self._more.clear()
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    await self._more.wait()
            except TimeoutError:
                self._send(ChannelName.CONTROL, Ping().to_bytes())
        self._send(ChannelName.CONTROL, End(self._next, self._out.residual).to_bytes())

    def _fit(self, clip: RelayedClip) -> Fitted | None:
        """The messages of a clip that the link has room for; None: nothing of it came."""
        settings = self.settings
        packets = clip.packets(settings.layers)
        if not packets:
            return None
        limits = []
        if settings.adapt:
            self._out.observe()
            limits.append(self.congestion.budget(clip.seconds, self._loop.time()))
        if settings.rate is not None:
            limits.append(int(settings.rate * clip.seconds / 8))
        budget = min(limits, default=None)
        protection = protection_for(self.congestion.quiet_loss, self._out.round_trip)
        return fit_clip(packets, clip.header, protection, budget)

    async def _clip(self, clip: RelayedClip, *, skip: bool) -> None:
        fitted = None if skip else self._fit(clip)
        due = self._loop.time() + _DUE * clip.seconds
        await self._out.clip(self._marker(clip, fitted), fitted, due, due + _HELP)
        self._count(clip, fitted, skip)

    def _marker(self, clip: RelayedClip, fitted: Fitted | None) -> ClipMarker:
        """A clip without packets keeps its layers' names: they are missing, and to be concealed."""
        now, source = self._loop.time(), clip.source
        cut = fitted.messages if fitted else None
        size = fitted.wire_bytes if fitted else 0
        return ClipMarker(
            clip=clip.number,
            frames=source.frames,
            pts=source.pts,
            layers=cut.layers if cut else source.marker.layers,
            messages=cut.numbered if cut else 0,
            sent=int((now - self._epoch) * 1000),
            age=int((clip.age + now - clip.arrived) * 1000),
            spread=_STALL + int(size * 8000 / self._out.pace),
            packets=cut.inline if cut else b"",
        )

    def _count(self, clip: RelayedClip, fitted: Fitted | None, skip: bool) -> None:
        summary = self.summary
        self._next = clip.number + 1
        summary.clips += 1
        summary.message_bytes = self._out.message_bytes
        summary.skipped += skip
        summary.layers = len(fitted.packets) if fitted else 0
        summary.thinned += fitted is not None and summary.layers < len(clip.source.packets)
        summary.payload_bytes += fitted.messages.payload_bytes if fitted else 0

    def _send(self, channel: ChannelName, data: bytes) -> None:
        self._out.send(channel, data)

    async def _listen(self) -> None:
        """Read reports until the viewer has written everything."""
        heard = self._loop.time()
        ended: float | None = None
        while True:
            data = await self._link.receive(1.0)
            now = self._loop.time()
            if self._ended and ended is None:
                ended = now
            if ended is not None and now - ended > _FINISH_SECONDS:
                return
            heard = max(heard, self._out.heard)  # what acknowledges lives
            if now - heard > self.settings.silence:
                raise StreamError(f"no word from the viewer for {now - heard:.0f} s")
            if data is None:
                continue
            try:
                message = parse_message(data)
            except CorruptError:
                continue  # no sign of life, and not worth a crash
            if isinstance(message, Report):
                heard = now
                self.summary.report = message
                self.congestion.reported(message, now)
                if message.finished:
                    return
