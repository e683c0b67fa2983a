"""The sending side of a stream: clips from a source, cut into messages, paced onto a link.

source (worker thread) -> coded clips, at most two waiting -> fitted to the link -> pacing -> link
link -> receiver reports -> congestion, window, end
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from gistcast.codec.errors import CorruptError, UsageError
from gistcast.codec.packet import Packet
from gistcast.stream.congestion import Congestion
from gistcast.stream.fitting import (
    Fitted,
    Protection,
    fit_clip,
    packet_bytes,
    protection_for,
    withheld,
)
from gistcast.stream.link import ChannelName, Link, StreamError
from gistcast.stream.messages import (
    SPREAD_MARGIN,
    ClipMarker,
    End,
    Header,
    Ping,
    Report,
    parse_message,
)
from gistcast.stream.outgoing import Outgoing
from gistcast.stream.sent import Fit, SendSummary

_DUE = 1.0  # of a clip's duration: no piece of it leaves later, for the next one is coming
_HELP = 0.5  # seconds after that in which lost pieces are sent again
_LATEST = 2.0  # of the longest clip's duration: what the link takes longer for stays behind
_LEAST_LATEST = 0.5  # seconds of that
_MOST_WITHHELD = 3  # clips in a row of which nothing goes
_UNPROMISED = 10_000  # ms: spread of a sender that keeps no clock


@dataclass(frozen=True)
class SourceClip:
    """A clip to be sent.

    Attributes:
        frames: frames in the clip.
        seconds: how long it lasts.
        code: makes its packets, layers in ascending order; called once, in the worker thread,
            with the bytes that the link has for them (None: as many as it likes). More than that
            may come; layers that do not fit stay behind.
    """

    frames: int
    seconds: float
    code: Callable[[int | None], Sequence[Packet]]


class ClipSource(Protocol):
    """Where the sender's clips come from. Iterated and coded in one worker thread."""

    @property
    def header(self) -> bytes:
        """The coded stream's header."""

    @property
    def first(self) -> int:
        """Number of the first clip."""

    def __iter__(self) -> Iterator[SourceClip]: ...


@dataclass(frozen=True)
class SendSettings:
    """How to send.

    Attributes:
        realtime: send each clip when its last frame would have been captured; else as fast as
            the receiver keeps up.
        rate: most bits a second; when adapting, all headers included.
        adapt: in real time, follow the link: pace, cut layers and protect by what is reported.
        protect: a parity message after every `protect` residual messages; 0: none; None: by the
            loss, when adapting.
        base_copies: further copies of each clip's marker and the base in it; None as above.
        window: clips that may be under way when not in real time.
        high_water: bytes in the channels' buffers at which sending waits.
        silence: seconds without a report or an acknowledgement after which the receiver is taken
            for gone.
        ping: seconds without a message after which the receiver is told that there is a sender.
    """

    realtime: bool = True
    rate: float = 8e6
    adapt: bool = True
    protect: int | None = None
    base_copies: int | None = None
    window: int = 16
    high_water: int = 32 << 10
    silence: float = 20.0
    ping: float = 2.0

    def __post_init__(self) -> None:
        if not self.rate >= 1000:
            raise UsageError(f"a rate is at least 1000 bits a second, not {self.rate}")
        if not 0 <= (self.protect or 0) <= 255:
            raise UsageError(f"protect lies between 0 and 255, not {self.protect}")
        if not 0 <= (self.base_copies or 0) <= 8:
            raise UsageError(f"base copies: 0 to 8, not {self.base_copies}")
        if self.window < 1 or self.high_water < 1 or min(self.silence, self.ping) <= 0:
            raise UsageError("window, high water, silence and ping must be positive")


@dataclass(frozen=True)
class _Coded:
    """A clip ready to go; `captured`, and since when it is `ready`, are loop times."""

    clip: SourceClip
    packets: Sequence[Packet]
    captured: float
    ready: float


def coding_thread() -> ThreadPoolExecutor:
    """The thread in which a source is read and coded."""
    return ThreadPoolExecutor(1, thread_name_prefix="gistcast-encode")


class Sender:
    """Sends one source over one link.

    Args:
        link: to the receiver; stays open.
        source: the clips.
        settings: pacing and protection.
        worker: one thread to read and code in, for a source that outlives this sender; None: one
            of its own.
    """

    def __init__(
        self,
        link: Link,
        source: ClipSource,
        settings: SendSettings,
        *,
        worker: ThreadPoolExecutor | None = None,
    ) -> None:
        self.summary = SendSummary()
        self._link, self._source, self._settings = link, source, settings
        self._coded: asyncio.Queue[_Coded | None] = asyncio.Queue(maxsize=2)
        self._reported = asyncio.Event()
        self._owned = coding_thread() if worker is None else None
        self._worker = worker or self._owned
        self._loop = asyncio.get_running_loop()
        self._started = self._epoch = self._loop.time()
        self._end: int | None = None  # number of the message that says so
        self._longest = 0.0  # of the clips so far, seconds
        self._withheld = 0  # clips in a row
        adapting = settings.adapt and settings.realtime
        self._congestion = Congestion(settings.rate) if adapting else None
        self._out = Outgoing(
            link, self._congestion, rate=settings.rate, high_water=settings.high_water
        )

    async def run(self) -> SendSummary:
        """Send everything and wait until the receiver has written it.

        Raises:
            StreamError: the receiver went away.
            GistcastError: whatever the source raises.
        """
        try:
            await self._out.during(self._produce(), self._pump(), self._listen())
        finally:
            if self._owned is not None:
                self._owned.shutdown(wait=False, cancel_futures=True)
            self._update()
            self.summary.seconds = round(self._loop.time() - self._started, 3)
        return self.summary

    async def _produce(self) -> None:
        """Read and code clips, one at a time, at their cadence if that is asked for."""
        in_worker = self._loop.run_in_executor
        clips = await in_worker(self._worker, iter, self._source)
        due = self._loop.time()
        while (clip := await in_worker(self._worker, next, clips, None)) is not None:
            due += clip.seconds
            if self._settings.realtime:
                await asyncio.sleep(due - self._loop.time())
            captured = due if self._settings.realtime else self._loop.time()
            packets = await in_worker(self._worker, clip.code, self._limit(clip))
            if not packets:
                raise UsageError("the source made a clip without packets")
            if self._settings.realtime:
                self.summary.coded_ms.append(1000 * (self._loop.time() - captured))
            await self._coded.put(_Coded(clip, packets, captured, self._loop.time()))
        await self._coded.put(None)

    async def _pump(self) -> None:
        """Header, clips, end."""
        number = self._source.first
        self._epoch = self._loop.time()
        # before anything is coded: coding may take longer than a receiver waits
        header = Header(int(time.time() * 1e6), number, self._source.header)
        self._out.send(ChannelName.CONTROL, header.to_bytes())
        while (coded := await self._coded.get()) is not None:
            number = coded.packets[0].clip
            await self._window(number)
            await self._send_clip(number, coded)
            number += 1
        end = End(number, self._out.residual)
        self._end = self._out.send(ChannelName.CONTROL, end.to_bytes())

    async def _window(self, number: int) -> None:
        """Wait until the receiver is less than a window behind (not in real time)."""
        while not self._settings.realtime:
            report = self.summary.receiver
            written = report.clip if report else 0
            if self.summary.clips < self._settings.window or (
                number - written < self._settings.window
            ):
                return
            self._reported.clear()
            await self._reported.wait()

    def _limit(self, clip: SourceClip) -> int | None:
        """Bytes of packets that the link has for the next clip."""
        if self._congestion is None:
            return None
        self._out.observe()
        budget = self._congestion.budget(clip.seconds, self._loop.time())
        return packet_bytes(budget, self._protection())

    def _protection(self) -> Protection:
        settings = self._settings
        auto = Protection()
        if self._congestion:
            auto = protection_for(self._congestion.quiet_loss, self._out.round_trip)
        return Protection(
            auto.parity if settings.protect is None else settings.protect,
            auto.copies if settings.base_copies is None else settings.base_copies,
        )

    def _fit(self, coded: _Coded) -> Fitted:
        """The messages of a clip that the link has room for."""
        congestion, now = self._congestion, self._loop.time()
        self._out.observe()
        budget = congestion.budget(coded.clip.seconds, now) if congestion else None
        fitted = fit_clip(coded.packets, self._source.header, self._protection(), budget)
        if self._too_late(coded, fitted):
            fitted = withheld(fitted)
            self._withheld += 1
            self.summary.withheld += 1
        else:
            self._withheld = 0
        left = coded.packets[len(fitted.packets) :]
        self.summary.left_bytes += sum(len(p.to_bytes(self._source.header)) for p in left)
        if congestion is not None and budget is not None:
            fit = Fit(
                round(now - self._epoch, 3),
                int(congestion.capacity),
                round(congestion.queue, 4),
                round(congestion.quiet_loss, 4),
                budget,
                fitted.wire_bytes,
                len(fitted.packets),
                len(left),
            )
            self.summary.fits.append(fit)
        return fitted

    def _too_late(self, coded: _Coded, fitted: Fitted) -> bool:
        """Whether even what always goes would come so late that the clips behind it are better
        served without: the viewer holds one picture, and the link is free for what follows."""
        self._longest = max(self._longest, coded.clip.seconds)
        if self._congestion is None or self._withheld == _MOST_WITHHELD:
            return False
        now = self._loop.time()
        needs = 8 * fitted.wire_bytes / self._congestion.capacity
        through = now + self._congestion.backlog(now) + needs
        return through - coded.ready > max(_LEAST_LATEST, _LATEST * self._longest)

    async def _send_clip(self, number: int, coded: _Coded) -> None:
        fitted = self._fit(coded)
        cut = fitted.messages
        now = self._loop.time()
        late = max(0.0, now - coded.captured)
        marker = ClipMarker(
            clip=number,
            frames=coded.clip.frames,
            pts=coded.packets[0].pts,
            layers=cut.layers,
            messages=cut.numbered,
            sent=int((now - self._epoch) * 1000),
            age=int(late * 1000),
            spread=self._spread(fitted),
            packets=cut.inline,
        )
        due = now + _DUE * coded.clip.seconds if self._congestion else float("inf")
        await self._out.clip(marker, fitted, due, due + _HELP)
        self._count(coded, fitted, late)

    def _count(self, coded: _Coded, fitted: Fitted, late: float) -> None:
        summary = self.summary
        self._update()
        summary.clips += 1
        summary.frames += coded.clip.frames
        summary.packets += len(fitted.packets)
        summary.payload_bytes += fitted.messages.payload_bytes
        summary.media_seconds = round(summary.media_seconds + coded.clip.seconds, 6)
        if self._settings.realtime:
            summary.lag_seconds = round(max(summary.lag_seconds, late), 3)

    def _update(self) -> None:
        """What went out."""
        out, summary = self._out, self.summary
        summary.messages, summary.message_bytes = out.messages, out.message_bytes
        summary.resent, summary.cut = out.resent, out.cut

    def _spread(self, fitted: Fitted) -> int:
        if not self._settings.realtime:
            return _UNPROMISED
        return int(fitted.wire_bytes * 8000 / self._out.pace) + SPREAD_MARGIN

    def _heard_out(self) -> bool:
        """Whether the receiver is known to have had the end of the stream."""
        return self._end is not None and self._out.has_arrived(self._end)

    async def _listen(self) -> None:
        """Read reports until the receiver is done; keep a quiet link alive."""
        heard = self._loop.time()
        while True:
            try:
                data = await self._link.receive(self._settings.ping / 2)
            except StreamError:
                if self._heard_out():
                    return  # it hung up; its last report was lost
                raise
            now = self._loop.time()
            if data is None:
                heard = max(heard, self._out.heard)  # what acknowledges lives
                if now - heard > self._settings.silence:
                    if self._heard_out():
                        return
                    raise StreamError(f"no word from the receiver for {now - heard:.0f} s")
                if now - self._out.last_sent > self._settings.ping:
                    self._out.send(ChannelName.CONTROL, Ping().to_bytes())
                continue
            heard = now
            try:
                message = parse_message(data)
            except CorruptError:
                continue  # the receiver is not worth a crash
            if isinstance(message, Report):
                self.summary.receiver = message
                if self._congestion is not None:
                    self._congestion.reported(message, now)
                self._reported.set()
                if message.finished:
                    return
