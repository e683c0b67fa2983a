"""A stream that outlives its links: one source and one sink over several, one after the other.

source -> Continued -> Sender 0 ... link lost, back off, WHIP anew ... Sender 1: HEADER, next clip
sink <- Continuation <- Receiver 0 ...      another session      ... Receiver 1: gap held, next clip
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, TypeVar

from gistcast.codec.errors import CorruptError, GistcastError
from gistcast.codec.header import parse_header
from gistcast.codec.packet import Packet
from gistcast.stream.assemble import ReceivedClip
from gistcast.stream.receiver import ClipSink
from gistcast.stream.sender import ClipSource, SourceClip

_SOON, _LATEST = 0.25, 2.0  # seconds before the first attempt, and between later ones at most
_MOST_HELD = 256  # clips of a gap that are concealed; what is missing beyond that is left out
_AHEAD = 16  # clips by which a sender may be ahead of the clock
_MOST = ("lag_seconds",)  # of summaries: not added up
_Summary = TypeVar("_Summary")


def waits() -> Iterator[float]:
    """Seconds between attempts to connect again: doubling, and not all senders' at once."""
    wait = _SOON
    while True:
        yield wait * random.uniform(0.5, 1.0)
        wait = min(2 * wait, _LATEST)


class Continued:
    """A `ClipSource` that goes on where the sender before left off.

    A clip that was read and not coded is coded for the next sender. One that was coded and had
    not left is lost, as one that had not arrived.

    Args:
        source: is iterated once.
    """

    def __init__(self, source: ClipSource) -> None:
        self.first = source.first  #: number of the next clip
        self._source = source
        self._clips: Iterator[SourceClip] | None = None
        self._read: SourceClip | None = None  # and not coded

    @property
    def header(self) -> bytes:
        """As `ClipSource.header`."""
        return self._source.header

    def __iter__(self) -> Iterator[SourceClip]:
        if self._clips is None:
            self._clips = iter(self._source)
        while (clip := self._read or next(self._clips, None)) is not None:
            self._read = clip
            yield replace(clip, code=partial(self._code, clip))

    def _code(self, clip: SourceClip, limit: int | None) -> Sequence[Packet]:
        self._read = None
        packets = clip.code(limit)
        if packets:
            self.first = packets[0].clip + 1
        return packets


class Continuation:
    """A `ClipSink` that takes the streams of several receivers for one.

    A sender that was started again counts its clips anew; they are numbered on behind those
    before, their bytes too, so that a file of them stays one stream.

    Args:
        sink: gets all of it: started once, closed by `finish`.
    """

    def __init__(self, sink: ClipSink) -> None:
        self._sink = sink
        self._header: bytes | None = None
        self._last: ReceivedClip | None = None  # as it was handed on
        self._number = -1  # of the last one, as its sender counts
        self._shift = 0  # from the sender's numbers to ours
        self._fresh = False  # nothing came from this receiver yet
        self._at = 0.0  # when the last one came

    def start(self, header: bytes) -> None:
        """As `ClipSink.start`.

        Raises:
            GistcastError: this is another stream than the one before.
        """
        self._fresh = True
        if self._header is None:
            self._header = header
            self._sink.start(header)
        elif header != self._header:
            raise GistcastError("the sender came back with another stream")

    def write(self, clip: ReceivedClip) -> None:
        """As `ClipSink.write`; clips that were lost with a link are concealed before it.

        Raises:
            GistcastError: the stream has not begun, or is finished.
        """
        header = self._header
        if header is None:
            raise GistcastError(f"clip {clip.number} came without a stream")
        if self._last is not None and clip.number <= self._number:
            self._shift = self._last.number + 1 - clip.number
        self._number = clip.number
        if self._shift:
            clip = _renumbered(clip, self._shift, header)
        if self._last is not None and self._fresh:
            lost = self._most_lost(header, self._last)
            first = max(self._last.number + 1, clip.number - lost)
            for number in range(first, clip.number):
                self._sink.write(_lost(self._last, number))
        self._last, self._fresh, self._at = clip, False, time.monotonic()
        self._sink.write(clip)

    def close(self) -> None:
        """A receiver is done; there may be another one."""

    def finish(self) -> None:
        """Nothing more comes."""
        if self._header is not None:
            self._header = None
            self._sink.close()

    def _most_lost(self, header: bytes, last: ReceivedClip) -> int:
        """Clips that there was time for since the last one: numbers may leap for other reasons."""
        try:
            fps = parse_header(header)[0].fps
        except CorruptError:
            return _MOST_HELD
        passed = (time.monotonic() - self._at) * float(fps) / max(1, last.frames)
        return min(_MOST_HELD, int(passed) + _AHEAD)


def _lost(before: ReceivedClip, number: int) -> ReceivedClip:
    """A clip of which nothing came, as long as the one before it."""
    return replace(before, number=number, pts=None, packets=[], data=b"", complete=False, missing=0)


def _renumbered(clip: ReceivedClip, shift: int, header: bytes) -> ReceivedClip:
    """A clip with another number, in its packets, too; its time moves with the number."""
    try:
        later = shift * parse_header(header)[0].clip_frames
    except CorruptError:
        later = 0
    packets = [
        replace(p, clip=p.clip + shift, pts=None if p.pts is None else p.pts + later)
        for p in clip.packets
    ]
    data = b"".join(packet.to_bytes(header) for packet in packets)
    pts = None if clip.pts is None else clip.pts + later
    return replace(clip, number=clip.number + shift, pts=pts, packets=packets, data=data)


def joined(first: _Summary, then: _Summary) -> _Summary:
    """A summary of two streams that are one: counts added, histories one behind the other, and
    for the rest what the later one has."""
    out: Any = replace(then)  # type: ignore[type-var]
    for field in fields(then):  # type: ignore[arg-type]
        old, new = getattr(first, field.name), getattr(then, field.name)
        setattr(out, field.name, _join(field.name, old, new))
    result: _Summary = out
    return result


def _join(name: str, old: Any, new: Any) -> Any:
    if isinstance(new, bool):
        return new
    if isinstance(new, (int, float)):
        return max(old, new) if name in _MOST else round(old + new, 6)
    if isinstance(new, deque):
        return deque([*old, *new], new.maxlen)
    if is_dataclass(new) and name == "counters":
        return joined(old, new)
    return old if new is None else new
