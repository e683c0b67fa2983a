"""A receiver's sink for the page: decodes clips, puts them on the timeline, writes the history."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gistcast.codec.clip import Clip
from gistcast.codec.header import MAJOR
from gistcast.codec.packet import Packet, kind_of
from gistcast.stream.assemble import ReceivedClip
from gistcast.stream.receiver import ReceiveSummary
from gistcast.stream.sinks import ClipDecoder, DecodedClip, StreamFields, VideoSink
from gistcast.stream.web.history import History
from gistcast.stream.web.timeline import Timeline, pictures

MAIN = "gistcast"  #: the view of what was received
_CACHED = 64  # decoded clips that are kept: a looped video is decoded once


@dataclass(frozen=True)
class Beside:
    """What is shown beside a clip.

    Attributes:
        views: clips of as many frames, by the view's name.
        scores: PSNR in dB, by the view's name.
    """

    views: Mapping[str, Clip]
    scores: Mapping[str, float]


class Player:
    """A `ClipSink`. Its methods run in the receiver's worker thread.

    Args:
        make_decoder: opens a stream header for a refine mode.
        timeline, history: where it all goes.
        refine: the mode; may be changed at any time.
        beside: what is shown beside a clip, by its number and the clip as it was drawn.
    """

    def __init__(
        self,
        make_decoder: Callable[[bytes, str], ClipDecoder],
        timeline: Timeline,
        history: History,
        *,
        refine: str = "balanced",
        beside: Callable[[int, Clip], Beside | None] | None = None,
    ) -> None:
        self.refine = refine
        self.summary: ReceiveSummary | None = None  #: of the receiver that feeds this
        self._make_decoder, self._beside = make_decoder, beside
        self._timeline, self._history = timeline, history
        self._video = VideoSink(self._open, lambda _: _Last(self))
        self._decoder: _Switched | None = None
        self._drawn: Clip | None = None
        self._rate = 25.0
        self._loop = asyncio.get_running_loop()
        self._media = 0.0  # seconds of video so far

    def start(self, header: bytes) -> None:
        """As `ClipSink.start`."""
        self._video = VideoSink(self._open, lambda _: _Last(self))
        self._video.start(header)

    def write(self, clip: ReceivedClip) -> None:
        """As `ClipSink.write`."""
        before = time.monotonic()
        self._video.write(clip)
        drawn = self._drawn
        assert drawn is not None
        beside = self._beside(clip.number, drawn) if self._beside is not None else None
        views = {MAIN: pictures(drawn)}
        for name, other in (beside.views if beside else {}).items():
            views[name] = pictures(other)
        seconds = clip.frames / self._rate
        self._media += seconds
        record = {
            "at": round(self._media, 3),
            "number": clip.number,
            "seconds": round(seconds, 4),
            "layers": _sizes(clip.packets),
            "state": _state(clip),
            "missing": clip.missing,
            "decode_ms": round((time.monotonic() - before) * 1e3, 1),
            "delay_ms": self._delay(),
            "psnr": {k: round(v, 2) for k, v in (beside.scores if beside else {}).items()},
        }
        self._loop.call_soon_threadsafe(self._timeline.add, views, seconds)
        self._loop.call_soon_threadsafe(self._history.add, record)

    def close(self) -> None:
        """As `ClipSink.close`."""
        self._video.close()

    def warm(self, header: bytes, clips: Sequence[Sequence[Packet]]) -> None:
        """Decode clips that are going to come, so that they are at hand when they do. For a
        stream that has not begun; in any thread."""
        self._decoder = _Switched(header, self._make_decoder, lambda: self.refine)
        for packets in clips:
            self._decoder.decode_clip(packets)

    def drawn(self, clip: Clip) -> None:
        """What became of the clip that is being written."""
        self._drawn = clip

    def _delay(self) -> float | None:
        """Milliseconds from the last message of a clip to having it whole, the newest known."""
        times = self.summary.network_ms if self.summary is not None else None
        return round(times[-1], 1) if times else None

    def _open(self, header: bytes) -> ClipDecoder:
        if self._decoder is None or self._decoder.stream != header:
            self._decoder = _Switched(header, self._make_decoder, lambda: self.refine)
        self._rate = float(self._decoder.header.fps)
        return self._decoder


class _Last:
    """A `ClipWriter` that hands on what it is given."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def write(self, clip: Clip) -> None:
        self._player.drawn(clip)

    def close(self) -> None:
        return


class _Switched:
    """A decoder for each refine mode, and the clips that were decoded lately: the same bytes in
    the same mode draw the same picture."""

    def __init__(
        self, header: bytes, make: Callable[[bytes, str], ClipDecoder], mode: Callable[[], str]
    ) -> None:
        self.stream, self._make, self._mode = header, make, mode
        self._decoders: dict[str, ClipDecoder] = {}
        self._cache: OrderedDict[tuple[object, ...], DecodedClip] = OrderedDict()

    @property
    def header(self) -> StreamFields:
        return self._decoder(self._mode()).header

    def _decoder(self, mode: str) -> ClipDecoder:
        if mode not in self._decoders:
            self._decoders[mode] = self._make(self.stream, mode)
        return self._decoders[mode]

    def decode_clip(self, packets: Sequence[Packet]) -> DecodedClip:
        mode = self._mode()
        key = (mode, *((p.layer, p.payload) for p in packets))
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        decoded = self._cache[key] = self._decoder(mode).decode_clip(packets)
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return decoded


def _sizes(packets: Sequence[Packet]) -> dict[str, int]:
    """Bytes by layer."""
    sizes: dict[str, int] = {}
    for packet in packets:
        kind, number = kind_of(packet.layer, MAJOR)
        name = kind if number is None else f"{kind} {number}"
        sizes[name] = sizes.get(name, 0) + len(packet.payload)
    return sizes


def _state(clip: ReceivedClip) -> str:
    if not clip.packets:
        return "skipped" if clip.data else "concealed"  # by the receiver, to keep up
    return "whole" if clip.complete else "partial"
