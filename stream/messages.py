"""Messages: what one data-channel message holds, to bytes and back.

    HEADER    version:1  epoch:8  first:varint  stream header
    CLIP      clip, frames, pts + 1, layers, messages, sent, age, spread: varints  packets
    PIECE     clip:1  seq:varint  what follows of the clip's packets
    PARITY    clip:1  first:varint  count:varint  XOR of (length:2 message) over the group
    END       next clip, messages: varints
    REPORT    finished:1  then varints, in the order of `Report`, arrivals last
    PING      nothing
    COPY      as CLIP
    CUT       clip, messages: varints

Every message starts with its kind in one byte and is at most `MAX_MESSAGE` bytes long. Unknown
kinds and surplus bytes behind the fields of END, REPORT, PING and CUT are ignored, so that later
versions can add to them. `docs/streaming.md` is the reference; packets are those of
`gistcast.codec.packet` and pass through untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, field, replace
from enum import IntEnum

from gistcast.codec.clip import MAX_FRAMES
from gistcast.codec.errors import CorruptError, LimitError
from gistcast.codec.packet import MAX_LAYER, MAX_PTS, get_varint, put_varint

VERSION = 2
MAX_MESSAGE = 1100  #: bytes; larger messages are split by SCTP and lost by halves
MAX_STREAM_HEADER = 1024  #: bytes
MAX_CLIP = 1 << 40
MAX_CLIP_MESSAGES = 4096  #: pieces of one clip
MAX_MILLISECONDS = 1 << 40
MAX_COUNT = 1 << 56
MAX_ARRIVALS = 128  #: of a report; older ones are left out
SPREAD_MARGIN = 250  #: ms of a marker's spread that are for delays of the sender's own
TICKS = 10_000  #: of arrival times, a second


class Kind(IntEnum):
    """First byte of a message."""

    HEADER = 1
    CLIP = 2
    PIECE = 3
    PARITY = 5
    END = 6
    REPORT = 7
    PING = 8
    COPY = 9
    CUT = 11


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
        messages: PIECE messages that follow for the clip (parity not counted).
        sent: when the marker was handed to the channel, in ms since the epoch.
        age: ms from the capture of the clip's last frame to `sent`.
        spread: ms within which the sender expects to have sent the clip's messages.
        packets: the clip's packets, back to back; what does not fit goes on in PIECE messages.
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
class Piece:
    """Piece `seq` of what follows the CLIP marker; `clip` is the number modulo 256."""

    clip: int
    seq: int
    body: bytes

    def to_bytes(self) -> bytes:
        """Serialise."""
        return bytes([Kind.PIECE, self.clip & 0xFF]) + put_varint(self.seq) + self.body


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
class Copied:
    """A CLIP marker on the channel that loses, where it waits for none before it: there may be
    clips that nobody has heard of."""

    marker: ClipMarker

    def to_bytes(self) -> bytes:
        """Serialise."""
        return bytes([Kind.COPY]) + self.marker.to_bytes()[1:]


@dataclass(frozen=True)
class Arrival:
    """When a message came.

    Attributes:
        clip: number modulo 256.
        index: 0 for the CLIP marker, 1 + seq for PIECE.
        ticks: on the receiver's own clock, in units of 1 / TICKS s.
    """

    clip: int
    index: int
    ticks: int


@dataclass(frozen=True)
class Report:
    """What the receiver tells the sender, about once a second and after its last clip.

    Attributes:
        finished: all clips are written; the sender may hang up.
        clip: number of the first clip that is not written yet (the sender's window).
        messages, received_bytes: data-channel messages and their bytes so far, both channels.
        complete, partial, concealed: clips with all layers, some, and none.
        missing: announced messages that did not come in time, after repair by parity.
        recovered: messages rebuilt from parity.
        assembled: number of the first clip that is still waited for.
        arrivals: since the report before, in order of time.
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
    assembled: int = 0
    arrivals: tuple[Arrival, ...] = field(default=(), kw_only=True)

    def to_bytes(self) -> bytes:
        """Serialise."""
        finished, *counts = astuple(replace(self, arrivals=()))[:-1]
        out = bytes([Kind.REPORT, finished]) + _varints((*counts, len(self.arrivals)))
        before = 0
        for arrival in self.arrivals:
            out += bytes([arrival.clip & 0xFF]) + _varints((arrival.index, arrival.ticks - before))
            before = arrival.ticks
        return out


@dataclass(frozen=True)
class Cut:
    """The clip ends sooner than it was announced: `messages` PIECE messages are all of it, for
    the link had no room for more in time."""

    clip: int
    messages: int

    def to_bytes(self) -> bytes:
        """Serialise."""
        return bytes([Kind.CUT]) + _varints((self.clip, self.messages))


@dataclass(frozen=True)
class Ping:
    """Keeps a quiet link from being taken for a dead one."""

    def to_bytes(self) -> bytes:
        """Serialise."""
        return bytes([Kind.PING])


Message = Header | ClipMarker | Copied | Cut | Piece | Parity | End | Report | Ping


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


def _piece(data: bytes) -> Piece:
    seq, offset = get_varint(data, 2, MAX_CLIP_MESSAGES - 1, "seq")
    if offset == len(data):
        raise CorruptError("piece is empty", field="body", offset=offset)
    return Piece(data[1], seq, data[offset:])


def _parity(data: bytes) -> Parity:
    limits = {"first": MAX_CLIP_MESSAGES - 1, "count": MAX_CLIP_MESSAGES}
    (first, count), offset = _read(data, 2, limits)
    if not count or first + count > MAX_CLIP_MESSAGES or len(data) - offset < 3:
        raise CorruptError("parity covers nothing", field="count", offset=2)
    return Parity(data[1], first, count, data[offset:])


def _cut(data: bytes) -> Cut:
    (clip, messages), _ = _read(data, 1, {"clip": MAX_CLIP, "messages": MAX_CLIP_MESSAGES})
    return Cut(clip, messages)


def _end(data: bytes) -> End:
    (clip, messages), _ = _read(data, 1, {"clip": MAX_CLIP, "messages": MAX_COUNT})
    return End(clip, messages)


def _report(data: bytes) -> Report:
    if len(data) < 2 or data[1] > 1:
        raise CorruptError("finished is neither 0 nor 1", field="finished", offset=1)
    names = ("messages", "received_bytes", "complete", "partial", "concealed", "missing")
    limits = {"clip": MAX_CLIP} | dict.fromkeys((*names, "recovered"), MAX_COUNT)
    limits |= {"assembled": MAX_CLIP, "arrivals": MAX_ARRIVALS}
    (*values, count), offset = _read(data, 2, limits)
    return Report(bool(data[1]), *values, arrivals=_arrivals(data, offset, count))


def _arrivals(data: bytes, offset: int, count: int) -> tuple[Arrival, ...]:
    out, ticks = [], 0
    for _ in range(count):
        if offset >= len(data):
            raise CorruptError("message is truncated", field="arrivals", offset=offset)
        clip = data[offset]
        limits = {"index": MAX_CLIP_MESSAGES, "ticks": MAX_COUNT}
        (index, delta), offset = _read(data, offset + 1, limits)
        ticks += delta
        out.append(Arrival(clip, index, ticks))
    return tuple(out)


_DATA_KINDS: dict[int, Callable[[bytes], Message]] = {
    Kind.PIECE: _piece,
    Kind.PARITY: _parity,
}
_CONTROL_KINDS: dict[int, Callable[[bytes], Message]] = {
    Kind.HEADER: _header,
    Kind.CLIP: _clip,
    Kind.END: _end,
    Kind.REPORT: _report,
    Kind.PING: lambda _: Ping(),
    Kind.CUT: _cut,
    Kind.COPY: lambda data: Copied(_clip(data)),
}
