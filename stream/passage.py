"""One passage of a video over an emulated link: which frames came, when, and what it cost.

frames, captured at their times --> sender ==emulated link==> receiver --> deliveries
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.codec.packet import TEXT
from gistcast.stream.assemble import Limits, ReceivedClip
from gistcast.stream.network import Emulator, Network
from gistcast.stream.receiver import ReceiveSettings
from gistcast.stream.sender import ClipSource, SendSettings
from gistcast.stream.sent import Fit
from gistcast.stream.session import receive, send
from gistcast.stream.sinks import ClipDecoder


@dataclass(frozen=True)
class Delivery:
    """A run of frames that became available at once.

    Attributes:
        first: number of its first frame in the source, from 0.
        clip: the frames, decoded.
        at: seconds after the capture of frame 0.
    """

    first: int
    clip: Clip
    at: float


@dataclass
class Passage:
    """What came of a video that was sent once.

    Attributes:
        deliveries: in order of arrival; frames that never came are in none.
        payload_bytes: of coded video handed to the transport, repairs left out.
        wire_bytes: all that the sender put on the link since the connection stood, headers down
            to IP and repairs included; back_bytes: the same of the receiver.
        late_ms: most that the emulator itself was late.
        fits: how clips were fitted to the link.
        notes: further figures of this codec.
    """

    deliveries: list[Delivery] = field(default_factory=list)
    payload_bytes: int = 0
    wire_bytes: int = 0
    back_bytes: int = 0
    late_ms: float = 0.0
    fits: list[Fit] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def count(self, emulator: Emulator, *, before: tuple[int, int]) -> None:
        """Take the emulator's counts; `before`: what had passed up and down by the start."""
        summary = emulator.summary
        self.wire_bytes = summary.up.bytes - before[0]
        self.back_bytes = summary.down.bytes - before[1]
        self.late_ms = summary.late_ms


class _Started:
    """A source that remembers when it was begun: capture counts from there."""

    def __init__(self, source: ClipSource) -> None:
        self.at = 0.0
        self._source = source
        self._loop = asyncio.get_running_loop()
        self.header, self.first = source.header, source.first

    def __iter__(self) -> Any:
        self.at = self._loop.time()
        return iter(self._source)


class _Arrivals:
    """A sink that keeps the clips as they came, with the time."""

    def __init__(self) -> None:
        self.header = b""
        self.clips: list[tuple[float, ReceivedClip]] = []
        self._loop = asyncio.get_running_loop()

    def start(self, header: bytes) -> None:
        """As `ClipSink.start`."""
        self.header = header

    def write(self, clip: ReceivedClip) -> None:
        """As `ClipSink.write`."""
        self.clips.append((self._loop.time(), clip))

    def close(self) -> None:
        """As `ClipSink.close`."""


async def pass_clips(
    source: ClipSource,
    network: Network,
    settings: SendSettings,
    make_decoder: Callable[[bytes], ClipDecoder],
    clock: Callable[[], float],
    *,
    deadline: float | None = None,
) -> Passage:
    """Send clips in real time, as `gistcast send` and `receive` do, through `network`.

    Decoding comes afterwards, so that it does not disturb the emulated network's timing; each
    clip is available when it came and those before it were decoded, plus the time its own
    decoding took. The decoder is warm by then, as a receiver's that opened it with the header.

    Args:
        source: the clips.
        network: between the two.
        settings: of the sender.
        make_decoder: opens the stream's header.
        clock: seconds, to time decoding with.
        deadline: of the receiver's `Limits`.

    Raises:
        GistcastError: no connection, or whatever the source raises.
    """
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    started, sink = _Started(source), _Arrivals()
    patience = ReceiveSettings(limits=Limits(deadline=deadline))
    receiving = asyncio.create_task(
        receive(sink, patience, wait=60, listening=url.set_result, progress=None)
    )
    try:
        sent = await send(started, await url, settings, network=network, progress=None)
        received = await receiving
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
    assert sent.network is not None  # it was named
    out = Passage(
        payload_bytes=sent.payload_bytes,
        wire_bytes=sent.network.stream_bytes,
        back_bytes=sent.network.down.bytes,
        late_ms=round(sent.network.late_ms, 1),
        fits=list(sent.fits),
        notes={
            name: getattr(received, name) for name in ("clips", "complete", "partial", "concealed")
        }
        | {"recovered": received.counters.recovered, "left_bytes": sent.left_bytes}
        | {"resent": sent.resent, "cut": sent.cut, "withheld": sent.withheld},
    )
    arrivals = [(at - started.at, clip) for at, clip in sink.clips]
    out.deliveries = _decoded(arrivals, make_decoder(sink.header), clock)
    return out


def _decoded(
    arrivals: Sequence[tuple[float, ReceivedClip]],
    decoder: ClipDecoder,
    clock: Callable[[], float],
) -> list[Delivery]:
    """What a viewer gets of the clips; one of which nothing can be drawn is none."""
    out, first, free = [], 0, 0.0
    for clip in [clip for _, clip in arrivals if clip.packets][:1]:  # loads networks
        with contextlib.suppress(GistcastError):
            decoder.decode_clip(clip.packets)
    for came, clip in arrivals:
        begun = clock()
        drawable = clip.packets and (clip.complete or clip.packets[-1].layer > TEXT)
        try:
            shown = decoder.decode_clip(clip.packets).clip if drawable else None
        except GistcastError:
            shown = None
        free = max(came, free) + clock() - begun
        if shown is not None:
            out.append(Delivery(first, shown, free))
        first += clip.frames
    return out
