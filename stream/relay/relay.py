"""The relay: the clips of one sender at a time, for any number of viewers.

    no stream -> sender connects -> live -> END -> no stream
                                     |  sender lost: viewers wait `hold` seconds for the next one

The next sender of a stream with the same header continues it: its clip numbers are raised by a
multiple of 256, so that not a byte of its packets changes. With another header another stream
begins, and the viewers of the one before are told that it is over.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from gistcast.codec.errors import UsageError
from gistcast.codec.header import parse_header
from gistcast.codec.packet import CLIP_NUMBER_PERIOD
from gistcast.stream.assemble import ReceivedClip
from gistcast.stream.link import Link, StreamError
from gistcast.stream.messages import Header
from gistcast.stream.receiver import ClipSink, Receiver, ReceiveSettings, ReceiveSummary
from gistcast.stream.relay.clip import RelayedClip
from gistcast.stream.relay.viewer import Viewer, ViewerSettings

_BASELINE = 64  # clips over which the least delay counts as none


def frame_rate(header: bytes) -> Fraction:
    """Frames a second, from a coded stream's header.

    Raises:
        CorruptError: not a header.
    """
    return parse_header(header)[0].fps


@dataclass(frozen=True)
class RelaySettings:
    """Attributes:
    receive: how the sender's stream is received.
    viewer: how viewers are served, unless they are given settings of their own.
    hold: seconds that viewers wait for a lost sender to come back.
    """

    receive: ReceiveSettings = field(default_factory=lambda: ReceiveSettings(silence=10.0))
    viewer: ViewerSettings = field(default_factory=ViewerSettings)
    hold: float = 60.0

    def __post_init__(self) -> None:
        if self.hold < 0:
            raise UsageError("hold must not be negative")


class Relay:
    """Hands every clip on to all viewers.

    Args:
        settings: limits and patience.
        fps: reads the frame rate from a stream's header.
        record: makes a sink for every stream that comes in, to keep it.
    """

    def __init__(
        self,
        settings: RelaySettings | None = None,
        *,
        fps: Callable[[bytes], Fraction] = frame_rate,
        record: Callable[[], ClipSink] | None = None,
    ) -> None:
        self.viewers: set[Viewer] = set()
        self.resumed = 0  #: senders that continued the stream of one before
        self.header: bytes | None = None  #: of the stream that is live
        self._settings = settings or RelaySettings()
        self.fps, self.record = fps, record
        self._rate = Fraction(25)
        self._link: Link | None = None
        self._last = -1  # number of the newest clip, as viewers count
        self._offset: int | None = 0  # from the sender's numbers to those; None: to be found
        self._delays: deque[float] = deque(maxlen=_BASELINE)
        self._live = asyncio.Event()
        self._holding: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def sender(self) -> Link | None:
        """The link to the present sender."""
        return self._link

    async def live(self) -> None:
        """Wait until there is a stream to view."""
        await self._live.wait()

    async def receive(self, link: Link) -> ReceiveSummary:
        """Take a sender's stream; whoever sent before is hung up.

        Raises:
            StreamError: the sender was gone before its stream began.
            CorruptError: its header makes no sense.
        """
        before, self._link = self._link, link
        if before is not None:
            await before.close()
        receiver = Receiver(link, _Ingest(self, link), self._settings.receive)
        try:
            summary = await receiver.run()
            if summary.ended and self._link is link:
                self._end()
            return summary
        finally:
            if self._link is link:
                self._link = None
                self._hold()

    async def view(self, link: Link, settings: ViewerSettings | None = None) -> None:
        """Serve a viewer from the next clip on, until it goes or the stream ends.

        Raises:
            StreamError: there is no stream, or the viewer went away.
        """
        viewer = Viewer(link, settings or self._settings.viewer)
        await self.serve(viewer)

    async def serve(self, viewer: Viewer) -> None:
        """As `view`, for a viewer that is there already."""
        if self.header is None:
            raise StreamError("there is no stream to view")
        self.viewers.add(viewer)
        try:
            await viewer.run(Header(int(time.time() * 1e6), self._last + 1, self.header))
        finally:
            self.viewers.discard(viewer)

    async def close(self) -> None:
        """Nothing is held any longer."""
        if self._holding is not None:
            self._holding.cancel()
            await asyncio.gather(self._holding, return_exceptions=True)

    def begin(self, header: bytes, rate: Fraction) -> None:
        """A stream of `rate` frames a second begins, or is continued."""
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
        if self.header is not None and header != self.header:
            self._end()
        self.resumed += self.header is not None
        self.header, self._rate = header, rate
        self._offset = None
        self._delays.clear()

    def publish(self, clip: ReceivedClip) -> None:
        """Hand a clip to every viewer."""
        if self.header is None:
            return
        if self._offset is None:
            behind = self._last + 1 - clip.number
            self._offset = (
                -(-behind // CLIP_NUMBER_PERIOD) * CLIP_NUMBER_PERIOD if behind > 0 else 0
            )
        number = clip.number + self._offset
        self._last = number
        # what a clip took longer than the fastest of late is its delay: no clocks are compared
        self._delays.append(self._loop.time() - clip.marker.sent / 1000)
        late = self._delays[-1] - min(self._delays)
        relayed = RelayedClip(
            number=number,
            header=self.header,
            source=clip,
            seconds=float(clip.frames / self._rate),
            age=clip.marker.age / 1000 + late,
            arrived=self._loop.time(),
        )
        for viewer in self.viewers:
            viewer.offer(relayed)
        self._live.set()

    def told(self, link: Link, what: Callable[..., None], *arguments: object) -> None:
        """Do `what` the stream of `link` asks for, unless another sender has taken its place."""
        if self._link is link:
            what(*arguments)

    def _end(self) -> None:
        """The stream is over."""
        for viewer in self.viewers:
            viewer.end()
        self.header = None
        self._live.clear()
        self._last = -1

    def _hold(self) -> None:
        if self.header is None:
            return

        async def wait() -> None:
            await asyncio.sleep(self._settings.hold)
            self._end()

        self._holding = asyncio.create_task(wait())


class _Ingest:
    """The sink of a sender's stream: hands clips from its worker thread to the event loop."""

    def __init__(self, relay: Relay, link: Link) -> None:
        self._relay, self._link = relay, link
        self._record = relay.record() if relay.record is not None else None
        self._loop = asyncio.get_running_loop()

    def start(self, header: bytes) -> None:
        """As `ClipSink.start`."""
        self._tell(self._relay.begin, header, self._relay.fps(header))
        if self._record is not None:
            self._record.start(header)

    def write(self, clip: ReceivedClip) -> None:
        """As `ClipSink.write`."""
        self._tell(self._relay.publish, clip)
        if self._record is not None:
            self._record.write(clip)

    def close(self) -> None:
        """As `ClipSink.close`."""
        if self._record is not None:
            self._record.close()

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        self._loop.call_soon_threadsafe(self._relay.told, self._link, what, *arguments)
