"""The receiving side of a stream: messages from a link, assembled into clips, given to a sink.

link -> assembler -> backlog -> sink (worker thread: decode, write)
reports <- counts
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from gistcast.codec.errors import CorruptError, UsageError
from gistcast.codec.packet import CLIP_NUMBER_PERIOD
from gistcast.stream.assemble import Assembler, Counters, Limits, ReceivedClip
from gistcast.stream.link import ChannelName, Link, StreamError
from gistcast.stream.messages import (
    MAX_ARRIVALS,
    TICKS,
    Arrival,
    ClipMarker,
    Copied,
    Cut,
    End,
    Header,
    Parity,
    Piece,
    Report,
    parse_message,
)
from gistcast.stream.sent import percentiles

_REPORT_SECONDS = 1.0  # at least, between reports of clips that had it hard
_CALM_SECONDS = 2.0  # the same where the link was quick and lost nothing
_QUIET_SECONDS = 5.0  # at most, between reports of anything
_QUICK_SECONDS = 0.1  # from a clip's first message to its last: more, and the link is the limit
_REPORT_CLIPS = 4  # written, for a sender that waits for them
_EARLY_MESSAGES = 512
_DELAYS = 1024  # clips whose delays are kept: 22 minutes


class ClipSink(Protocol):
    """Where received clips go. Called from one worker thread, in this order."""

    def start(self, header: bytes) -> None:
        """The stream begins; `header` is the coded stream's own.

        Raises:
            GistcastError: the header makes no sense, or its model is not at hand.
        """

    def write(self, clip: ReceivedClip) -> None:
        """The next clip; with no packets at all it is to be concealed."""

    def close(self) -> None:
        """Nothing more comes. Called exactly once if `start` was, whatever happened."""


@dataclass(frozen=True)
class ReceiveSettings:
    """How to receive.

    Attributes:
        limits: of the assembler.
        backlog: clips that may wait for the sink; beyond that the oldest waiting is concealed
            instead of decoded (`overrun`), so that the picture keeps up with the sender.
        silence: seconds without any message after which the sender is taken for gone.
    """

    limits: Limits = field(default_factory=Limits)
    backlog: int = 32
    silence: float = 20.0

    def __post_init__(self) -> None:
        if self.backlog < 1 or not self.silence > 0:
            raise UsageError("backlog and silence must be positive")


@dataclass
class ReceiveSummary:
    """What was received.

    Attributes:
        ended: the sender's end of stream came, and everything before it was written.
        complete, partial, concealed: clips with all their layers, some of them, and none.
        overrun: complete or partial clips that the sink was too slow to decode.
        payload_bytes: of the packets handed to the sink.
        messages, message_bytes: what the data channels delivered.
        counters: the assembler's (`missing`: announced messages that never came).
        overflowed: messages lost between the network and this program.
        network_ms: from sending a clip's first message to having it whole (or giving up);
        drawn_ms: from having a clip to having it decoded and written, waiting included.
        written_ms: from the capture of its last frame to having it written. It and network_ms
            compare the clocks of two machines unless there is only one.
    """

    ended: bool = False
    clips: int = 0
    frames: int = 0
    complete: int = 0
    partial: int = 0
    concealed: int = 0
    overrun: int = 0
    payload_bytes: int = 0
    messages: int = 0
    message_bytes: int = 0
    seconds: float = 0.0
    overflowed: int = 0
    counters: Counters = field(default_factory=Counters)
    network_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_DELAYS))
    drawn_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_DELAYS))
    written_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_DELAYS))

    def to_json(self) -> dict[str, Any]:
        """For `--json`; delays as p50, p95 and p98."""
        out: dict[str, Any] = {"role": "receiver", **asdict(self)}
        counters: dict[str, Any] = out.pop("counters")
        for name in ("network_ms", "drawn_ms", "written_ms"):
            out[name] = percentiles(out[name])
        return out | counters

    def line(self) -> str:
        """For the terminal."""
        return (
            f"{self.clips} clips: {self.complete} complete, {self.partial} partial, "
            f"{self.concealed} concealed; {self.message_bytes} bytes"
        )


class Receiver:
    """Receives one stream from one link.

    Args:
        link: to the sender; stays open.
        sink: takes the clips.
        settings: limits and patience.
    """

    def __init__(self, link: Link, sink: ClipSink, settings: ReceiveSettings) -> None:
        self.summary = ReceiveSummary()
        self._link, self._sink, self._settings = link, sink, settings
        self._assembler: Assembler | None = None
        self._early: list[bytes] = []
        self._epoch = 0.0  # the sender's, seconds since 1970
        self._backlog: deque[tuple[float, ReceivedClip]] = deque()  # since when each waits
        self._more = asyncio.Event()
        self._over = False  # nothing will be added to the backlog
        self._next = 0  # first clip not written
        self._unreported = 0  # clips written
        self._arrivals: deque[Arrival] = deque(maxlen=MAX_ARRIVALS)  # not reported
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="gistcast-decode")
        self._loop = asyncio.get_running_loop()
        self._started = self._reported = self._loop.time()
        self._last_report = b""
        self._fresh = self._hard = False  # a clip was handed on since the last report, and how

    async def run(self) -> ReceiveSummary:
        """Receive until the end of the stream, or until the sender is gone.

        A sender that vanishes is no error: what came is written, and `ended` stays False.

        Raises:
            StreamError: the sender was gone before a stream began.
            GistcastError: whatever the sink raises.
        """
        consumer: asyncio.Task[None] | None = None
        try:
            header = await self._await_header()
            consumer = asyncio.create_task(self._consume(header))
            ended = await self._collect(consumer)
            self._over = True
            self._more.set()
            await self._finish(consumer)
            self.summary.ended = ended
            self._report(finished=True)
        finally:
            if consumer is not None:
                consumer.cancel()
                await asyncio.gather(consumer, return_exceptions=True)
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._update()
            self.summary.seconds = round(self._loop.time() - self._started, 3)
        return self.summary

    async def _await_header(self) -> Header:
        until = self._loop.time() + self._settings.silence
        while (left := until - self._loop.time()) > 0:
            data = await self._link.receive(left)
            message = self._parse(data) if data is not None else None
            if isinstance(message, Header):
                self._epoch = message.epoch / 1e6
                self._next = message.first
                self._assembler = Assembler(
                    message.stream_header, message.first, self._settings.limits
                )
                self._early_messages()
                return message
            if data is not None and len(self._early) < _EARLY_MESSAGES:
                self._early.append(data)  # the header may have been overtaken
        raise StreamError("the sender never began a stream")

    async def _collect(self, consumer: asyncio.Task[None]) -> bool:
        """Assemble until the end (True) or until the sender is gone (False)."""
        assembler = self._assembler
        assert assembler is not None
        heard = self._loop.time()
        while not consumer.done():
            now = self._loop.time()
            self._hand_over(assembler.ready(now))
            if assembler.ended and assembler.next_due() is None:
                return True
            if self._report_due(now):
                self._report()
            if now - heard > self._settings.silence:
                break
            wait = _REPORT_SECONDS / 4
            if (due := assembler.next_due()) is not None:
                wait = min(wait, max(0.0, due - now) + 0.001)
            try:
                data = await self._link.receive(wait)
            except StreamError:
                break
            if data is not None:
                heard = self._loop.time()
                self._feed(data, heard)
        self._hand_over(assembler.flush())
        return False

    def _early_messages(self) -> None:
        early, self._early = self._early, []
        for data in early:
            self._feed(data, self._loop.time(), counted=True)

    def _parse(self, data: bytes, *, counted: bool = False) -> object:
        """The message, or None for one that cannot be used."""
        if not counted:
            self.summary.messages += 1
            self.summary.message_bytes += len(data)
        try:
            return parse_message(data)
        except CorruptError:
            if self._assembler is not None:
                self._assembler.counters.malformed += 1
            return None

    def _feed(self, data: bytes, now: float, *, counted: bool = False) -> None:
        assembler = self._assembler
        assert assembler is not None
        message = self._parse(data, counted=counted)
        if isinstance(message, ClipMarker):
            self._arrived(message.clip, 0, now)
            assembler.mark(message, now)
        elif isinstance(message, Copied):
            assembler.mark(message.marker, now, copy=True)
        elif isinstance(message, (Piece, Parity)):
            if isinstance(message, Piece):
                self._arrived(message.clip, 1 + message.seq, now)
            assembler.take(message, data, now)
        elif isinstance(message, Cut):
            assembler.cut(message, now)
        elif isinstance(message, End):
            assembler.end(message, now)

    def _arrived(self, clip: int, index: int, now: float) -> None:
        ticks = int((now - self._started) * TICKS)
        self._arrivals.append(Arrival(clip % CLIP_NUMBER_PERIOD, index, ticks))

    def _report_due(self, now: float) -> bool:
        """Whether it is time: behind a clip, at most once a second, since every report costs its
        acknowledgement on the way up; more rarely while all is well; and where clips are slow in
        coming."""
        since = now - self._reported
        if since < _REPORT_SECONDS or since >= _QUIET_SECONDS:
            return since >= _QUIET_SECONDS
        if self._fresh and (self._hard or since >= _CALM_SECONDS):
            return True
        oldest = self._arrivals[0].ticks / TICKS if self._arrivals else now
        return now - self._started - oldest > _CALM_SECONDS

    def _was_hard(self, clip: ReceivedClip) -> bool:
        """Whether the sender should hear of it soon: something was lost or took its time."""
        wire = clip.number % CLIP_NUMBER_PERIOD
        ticks = [arrival.ticks for arrival in self._arrivals if arrival.clip == wire]
        return bool(clip.missing) or (bool(ticks) and ticks[-1] - ticks[0] > _QUICK_SECONDS * TICKS)

    def _hand_over(self, clips: list[ReceivedClip]) -> None:
        for clip in clips:
            self._fresh, self._hard = True, self._hard or self._was_hard(clip)
            summary = self.summary
            summary.clips += 1
            summary.frames += clip.frames
            summary.complete += clip.complete
            summary.partial += not clip.complete and bool(clip.packets)
            summary.concealed += not clip.complete and not clip.packets
            summary.payload_bytes += len(clip.data)
            sent = self._epoch + clip.marker.sent / 1000
            summary.network_ms.append((time.time() - sent) * 1000)
            self._backlog.append((self._loop.time(), clip))
            if len(self._backlog) > self._settings.backlog:
                self._conceal_oldest()
            self._more.set()

    def _conceal_oldest(self) -> None:
        for index, (since, waiting) in enumerate(self._backlog):
            if waiting.packets:
                self._backlog[index] = since, replace(waiting, packets=[])
                self.summary.overrun += 1
                return

    async def _consume(self, header: Header) -> None:
        """Feed the sink from the backlog, in the worker thread."""
        in_worker = self._loop.run_in_executor
        try:
            await in_worker(self._worker, self._sink.start, header.stream_header)
            while True:
                while self._backlog:
                    since, clip = self._backlog.popleft()
                    await in_worker(self._worker, self._sink.write, clip)
                    self.summary.drawn_ms.append(1000 * (self._loop.time() - since))
                    self._written(clip)
                if self._over:
                    return
                self._more.clear()
                await self._more.wait()
        finally:
            # the worker runs one thing after another: close comes behind a cancelled write
            await asyncio.shield(in_worker(self._worker, self._sink.close))

    def _written(self, clip: ReceivedClip) -> None:
        captured = self._epoch + (clip.marker.sent - clip.marker.age) / 1000
        self.summary.written_ms.append((time.time() - captured) * 1000)
        self._next = clip.number + 1
        self._unreported += 1
        if self._unreported >= _REPORT_CLIPS:
            self._report()

    async def _finish(self, consumer: asyncio.Task[None]) -> None:
        """Wait for the sink, reporting meanwhile so that the sender stays."""
        while not consumer.done():
            await asyncio.wait([consumer], timeout=_REPORT_SECONDS)
            self._report()
        consumer.result()

    def _update(self) -> None:
        self.summary.overflowed = self._link.overflowed
        if self._assembler is not None:
            self.summary.counters = self._assembler.counters

    def _report(self, *, finished: bool = False) -> None:
        """Tell the sender how it goes; a sender that is gone needs no report."""
        self._update()
        self._unreported, self._reported = 0, self._loop.time()
        self._fresh = self._hard = False
        arrivals = tuple(self._arrivals)
        self._arrivals.clear()
        summary = self.summary
        report = Report(
            finished=finished,
            clip=self._next,
            messages=summary.messages,
            received_bytes=summary.message_bytes,
            complete=summary.complete,
            partial=summary.partial,
            concealed=summary.concealed,
            missing=summary.counters.missing,
            recovered=summary.counters.recovered,
            assembled=self._assembler.done + 1 if self._assembler else 0,
            arrivals=arrivals,
        )
        self._last_report = report.to_bytes()
        with contextlib.suppress(StreamError):
            self._link.send(ChannelName.CONTROL, self._last_report)

    def repeat(self) -> None:
        """The last report once more, where it waits for none that was lost.

        Raises:
            StreamError: the sender has hung up.
        """
        self._link.send(ChannelName.RESIDUAL, self._last_report)
