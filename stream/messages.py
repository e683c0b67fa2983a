"""Messages: what one data-channel message holds, to bytes and back.

    HEADER    version:1  epoch:8  first:varint  stream header
    CLIP      clip, frames, pts + 1, layers, messages, sent, age, spread: varints  packets
    PACKETS   clip:1  seq:varint  whole packets, back to back
    FRAGMENT  clip:1  seq:varint  index:varint  count:varint  a piece of one packet
    PARITY    clip:1  first:varint  count:varint  XOR of (length:2 message) over the group
    END       next clip, messages: varints
    REPORT    finished:1  then varints, in the order of `Report`
    PING      nothing

Every message starts with its kind in one byte and is at most `MAX_MESSAGE` bytes long. Unknown
kinds and surplus bytes behind the fields of END, REPORT and PING are ignored, so that later
versions can add to them. `docs/streaming.md` is the reference; packets are those of
`gistcast.codec.packet` and pass through untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from enum import IntEnum

from gistcast.codec.clip import MAX_FRAMES
from gistcast.codec.errors import CorruptError, LimitError
from gistcast.codec.packet import MAX_LAYER, MAX_PTS, get_varint, put_varint

VERSION = 1
MAX_MESSAGE = 1100  #: bytes; larger messages are split by SCTP and lost by halves
MAX_STREAM_HEADER = 1024  #: bytes
MAX_CLIP = 1 << 40
MAX_CLIP_MESSAGES = 4096  #: fragments and bundles of one clip
MAX_MILLISECONDS = 1 << 40
MAX_COUNT = 1 << 56


class Kind(IntEnum):
    """First byte of a message."""

    HEADER = 1
    CLIP = 2
    PACKETS = 3
    FRAGMENT = 4
    PARITY = 5
    END = 6
    REPORT = 7
    PING = 8


@dataclass(frozen=True)
class Header:
    """Opens a stream.

    Attributes:
        epoch: microseconds since 1970 on the sender's clock; `sent` counts from here.
        first: number of the first clip that will follow (not 0 for a late joiner).
        stream_header: the coded stream's own header, as at the start of a `.gist` file.
    """

    epoch: int
    first: int
    stream_header: bytes

    def to_bytes(self) -> bytes:
        """Serialise.

        Raises:
            LimitError: the stream's header does not fit into a message.
        """
        if len(self.stream_header) > MAX_STREAM_HEADER:
            raise LimitError(f"a stream header has at most {MAX_STREAM_HEADER} bytes")
        head = bytes([Kind.HEADER, VERSION]) + self.epoch.to_bytes(8, "little")
        return head + put_varint(self.first) + self.stream_header


@dataclass(frozen=True)
class ClipMarker:
    """Announces a clip, reliably and before its residual layers.

    Attributes:
        clip: clip number, not wrapped.
        frames: frames in the clip.
        pts: presentation time, when it does not follow from the clip number.
        layers: bit k is set when layer k belongs to the clip.
        messages: PACKETS and FRAGMENT messages that follow for the clip (parity not counted).
        sent: when the marker was handed to the channel, in ms since the epoch.
        age: ms from the capture of the clip's last frame to `sent`.
        spread: ms within which the sender expects to have sent the clip's messages.
        packets: whole packets of the reliable layers, back to back, when they fit.
    """

    clip: int
    frames: int
    pts: int | None
    layers: int
    messages: int
    sent: int
    age: int
    spread: int
    packets: bytes

    def to_bytes(self) -> bytes:
        """Serialise."""
        pts = 0 if self.pts is None else self.pts + 1
        head = (self.clip, self.frames, pts, self.layers, self.messages)
        fields = _varints((*head, self.sent, self.age, self.spread))
        return bytes([Kind.CLIP]) + fields + self.packets


@dataclass(frozen=True)
class Packets:
    """Whole packets of one clip; `clip` is the number modulo 256, `seq` counts in the clip."""

    clip: int
    seq: int
    body: bytes

    def to_bytes(self) -> bytes:
        """Serialise."""
        return bytes([Kind.PACKETS, self.clip & 0xFF]) + put_varint(self.seq) + self.body


@dataclass(frozen=True)
class Fragment:
    """Piece `index` of `count` of a packet too big for one message; consecutive `seq`."""

    clip: int
    seq: int
    index: int
    count: int
    body: bytes

    def to_bytes(self) -> bytes:
        """Serialise."""
        fields = _varints((self.seq, self.index, self.count))
        return bytes([Kind.FRAGMENT, self.clip & 0xFF]) + fields + self.body


@dataclass(frozen=True)
class Parity:
    """XOR over the messages `first .. first + count - 1` of a clip: any one can be rebuilt."""

    clip: int
    first: int
    count: int
    body: bytes

    def to_bytes(self) -> bytes:
        """Serialise."""
        fields = _varints((self.first, self.count))
        return bytes([Kind.PARITY, self.clip & 0xFF]) + fields + self.body


@dataclass(frozen=True)
class End:
    """The stream is over: `clip` would be the next clip's number, `messages` were sent in all
    on the residual channel (emulated losses included)."""

    clip: int
    messages: int

    def to_bytes(self) -> bytes:
        """Serialise."""
        return bytes([Kind.END]) + _varints((self.clip, self.messages))


@dataclass(frozen=True)
class Report:
    """What the receiver tells the sender, every half second and after its last clip.

    Attributes:
        finished: all clips are written; the sender may hang up.
        clip: number of the first clip that is not written yet (the sender's window).
        messages, received_bytes: data-channel messages and their bytes so far, both channels.
        complete, partial, concealed: clips with all layers, some, and none.
        missing: announced messages that did not come in time, after repair by parity.
        recovered: messages rebuilt from parity.
    """

    finished: bool
    clip: int
    messages: int
    received_bytes: int
    complete: int
    partial: int
    concealed: int
    missing: int
    recovered: int

    def to_bytes(self) -> bytes:
        """Serialise."""
        finished, *counts = astuple(self)
        return bytes([Kind.REPORT, finished]) + _varints(counts)


@dataclass(frozen=True)
class Ping:
    """Keeps a quiet link from being taken for a dead one."""

    def to_bytes(self) -> bytes:
        """Serialise."""
        return bytes([Kind.PING])


Message = Header | ClipMarker | Packets | Fragment | Parity | End | Report | Ping


def parse_message(data: bytes) -> Message | None:
    """Read a message; None for a kind that this version does not know.

    Raises:
        CorruptError: empty, too long, truncated or out of range.
    """
    if not data or len(data) > MAX_MESSAGE:
        raise CorruptError(f"a message has 1 to {MAX_MESSAGE} bytes", field="message", offset=0)
    if data[0] in _DATA_KINDS:
        if len(data) < 2:
            raise CorruptError("message is truncated", field="clip", offset=1)
        return _DATA_KINDS[data[0]](data)
    reader = _CONTROL_KINDS.get(data[0])
    return reader(data) if reader else None


def _varints(values: Iterable[int]) -> bytes:
    return b"".join(put_varint(value) for value in values)


def _read(data: bytes, offset: int, fields: dict[str, int]) -> tuple[list[int], int]:
    """Varints named and limited by `fields` from `offset` on: (values, offset behind)."""
    values = []
    for name, limit in fields.items():
        value, offset = get_varint(data, offset, limit, name)
        values.append(value)
    return values, offset


def _header(data: bytes) -> Header:
    if len(data) < 11:
        raise CorruptError("message is truncated", field="epoch", offset=len(data))
    if data[1] != VERSION:
        raise CorruptError(f"stream protocol version {data[1]} is not supported", field="version")
    first, offset = get_varint(data, 10, MAX_CLIP, "first")
    header = data[offset:]
    if len(header) > MAX_STREAM_HEADER:
        raise CorruptError("stream header is too long", field="header", offset=offset)
    return Header(int.from_bytes(data[2:10], "little"), first, header)


def _clip(data: bytes) -> ClipMarker:
    limits = {"clip": MAX_CLIP, "frames": MAX_FRAMES, "pts": MAX_PTS + 1}
    limits |= {"layers": (1 << MAX_LAYER + 1) - 1, "messages": MAX_CLIP_MESSAGES}
    limits |= dict.fromkeys(("sent", "age", "spread"), MAX_MILLISECONDS)
    values, offset = _read(data, 1, limits)
    clip, frames, pts, layers, messages, sent, age, spread = values
    if not frames:
        raise CorruptError("a clip has at least one frame", field="frames")
    shown = pts - 1 if pts else None
    return ClipMarker(clip, frames, shown, layers, messages, sent, age, spread, data[offset:])


def _packets(data: bytes) -> Packets:
    seq, offset = get_varint(data, 2, MAX_CLIP_MESSAGES - 1, "seq")
    return Packets(data[1], seq, data[offset:])


def _fragment(data: bytes) -> Fragment:
    limits = dict.fromkeys(("seq", "index"), MAX_CLIP_MESSAGES - 1)
    (seq, index, count), offset = _read(data, 2, limits | {"count": MAX_CLIP_MESSAGES})
    if not index < count or index > seq:
        raise CorruptError(f"fragment {index} of {count} at {seq}", field="index", offset=2)
    if offset == len(data):
        raise CorruptError("fragment is empty", field="body", offset=offset)
    return Fragment(data[1], seq, index, count, data[offset:])


def _parity(data: bytes) -> Parity:
    limits = {"first": MAX_CLIP_MESSAGES - 1, "count": MAX_CLIP_MESSAGES}
    (first, count), offset = _read(data, 2, limits)
    if not count or first + count > MAX_CLIP_MESSAGES or len(data) - offset < 3:
        raise CorruptError("parity covers nothing", field="count", offset=2)
    return Parity(data[1], first, count, data[offset:])


def _end(data: bytes) -> End:
    (clip, messages), _ = _read(data, 1, {"clip": MAX_CLIP, "messages": MAX_COUNT})
    return End(clip, messages)


def _report(data: bytes) -> Report:
    if len(data) < 2 or data[1] > 1:
        raise CorruptError("finished is neither 0 nor 1", field="finished", offset=1)
    names = ("messages", "received_bytes", "complete", "partial", "concealed", "missing")
    limits = {"clip": MAX_CLIP} | dict.fromkeys((*names, "recovered"), MAX_COUNT)
    values, _ = _read(data, 2, limits)
    return Report(bool(data[1]), *values)


_DATA_KINDS: dict[int, Callable[[bytes], Message]] = {
    Kind.PACKETS: _packets,
    Kind.FRAGMENT: _fragment,
    Kind.PARITY: _parity,
}
_CONTROL_KINDS: dict[int, Callable[[bytes], Message]] = {
    Kind.HEADER: _header,
    Kind.CLIP: _clip,
    Kind.END: _end,
    Kind.REPORT: _report,
    Kind.PING: lambda _: Ping(),
}
