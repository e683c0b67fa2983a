"""Messages back into clips, whatever arrives: no socket, no clock of its own, no exceptions.

    CLIP markers (ordered, reliable) ---> queue of pending clips --- complete or due ---> clips
    COPY of a marker, PIECE, PARITY (any order, some never) ---^

A pending clip is handed out, in order, as soon as every layer that its marker names is there, or
when it is due: `grace` after the last that can be hoped for. A clip known by a copy alone waits
for the markers before it, for there may be clips that nobody has heard of. Everything that a
peer can make grow is bounded by `Limits`.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, field, replace

from gistcast.codec.errors import CorruptError
from gistcast.codec.packet import CLIP_NUMBER_PERIOD, RESIDUAL, Chunk, Packet, parse_packet
from gistcast.stream.fragment import Parities, rebuild
from gistcast.stream.messages import (
    ClipMarker,
    Cut,
    End,
    Parity,
    Piece,
    parse_message,
)

_WAYS = 64  # clips over which the shortest way is remembered
_OVERHEAD = 256  # bytes a held message costs beyond its own
_PACKET_HEAD = 24  # bytes in which the fields before a packet's payload end


@dataclass(frozen=True)
class Limits:
    """Bounds on what is held for clips that are not handed out yet.

    Attributes:
        clips: pending clips; beyond that the oldest is handed out as it stands.
        total_bytes: message bytes held in all; beyond that data messages are refused.
        grace: seconds to wait for messages that are late or asked for again, once later ones
            have arrived.
        deadline: seconds behind the capture of its last frame, and the shortest way that any of
            late had here, at which a clip is handed out if anything of it can be drawn; None:
            not before it is due. What a player with a fixed delay has for the network.
    """

    clips: int = 64
    total_bytes: int = 16 << 20
    grace: float = 0.6
    deadline: float | None = None


@dataclass(frozen=True)
class ReceivedClip:
    """A clip as it came out of the network.

    Attributes:
        number: clip number, not wrapped.
        frames: frames in the clip (known even when no packet arrived).
        pts: presentation time, when it does not follow from the number.
        packets: the longest unbroken run of layers from the first on; clip numbers unwrapped.
        data: the bytes of `packets`, exactly as they were sent.
        complete: every layer that was sent is in `packets`.
        marker: the announcement, with the sender's clock.
        missing: announced messages that did not come.
    """

    number: int
    frames: int
    pts: int | None
    packets: list[Packet]
    data: bytes
    complete: bool
    marker: ClipMarker
    missing: int


@dataclass
class Counters:
    """What the assembler saw: packets that count, and messages.

    `refused` were over a limit, `late` came after their clip, `missing` were announced and never
    came, `recovered` were rebuilt from parity.
    """

    packets: int = 0
    malformed: int = 0
    duplicates: int = 0
    late: int = 0
    refused: int = 0
    missing: int = 0
    recovered: int = 0


@dataclass
class _Pending:
    """A clip being collected.

    Attributes:
        messages: by sequence number.
        packets: by layer, with their bytes.
        joined: the bytes behind those packets, up to message `next`, the first that is missing.
        broken: what follows is no packet.
        cut: fewer messages follow than were announced.
    """

    messages: dict[int, bytes] = field(default_factory=dict)
    parities: Parities = field(default_factory=Parities)
    packets: dict[int, tuple[Packet, bytes]] = field(default_factory=dict)
    joined: bytes = b""
    next: int = 0
    broken: bool = False
    size: int = 0
    marker: ClipMarker | None = None
    cut: bool = False
    due: float = float("inf")
    deadline: float = float("inf")

    @property
    def layers(self) -> int:
        """Bits of the layers at hand."""
        return sum(1 << layer for layer in self.packets)

    def complete(self) -> bool:
        """Every layer that the marker names is here."""
        return self.marker is not None and not self.marker.layers & ~self.layers

    def all_came(self) -> bool:
        """Nothing more is to come."""
        cut_off = self.cut and self.marker is not None and self.next == self.marker.messages
        return cut_off or self.complete()

    def waits_until(self) -> float:
        """When it is to be handed out, complete or not."""
        drawable = max(self.packets, default=0) >= RESIDUAL
        return min(self.due, self.deadline) if drawable else self.due

    def tail_arrived(self) -> bool:
        """The last announced message came: whatever is missing is late or lost."""
        return self.marker is not None and self.marker.messages - 1 in self.messages


def _cost(message: Piece | Parity, data: bytes) -> int:
    """Bytes that a message takes while it is held: a piece is joined, and kept for parity."""
    return _OVERHEAD + len(data) * (2 if isinstance(message, Piece) else 1)


class Assembler:
    """Collects the messages of one stream into clips.

    Args:
        header: the stream's header, which the packets' CRC covers.
        first: number of the first clip to expect.
        limits: bounds and waiting times.
    """

    def __init__(self, header: bytes, first: int = 0, limits: Limits | None = None) -> None:
        self.counters = Counters()
        self.ended = False
        self._header = header
        self._limits = limits or Limits()
        self._clips: dict[int, _Pending] = {}
        self._order: list[int] = []  # announced, not handed out
        self._newest = first - 1  # newest announced clip
        self._certain = first - 1  # newest clip whose marker itself came: none is missing before
        self._done = first - 1  # newest clip handed out
        self._held = 0
        self._ways: deque[float] = deque(maxlen=_WAYS)  # clock here less clock there, delay added

    @property
    def done(self) -> int:
        """Number of the newest clip that was handed out."""
        return self._done

    def mark(self, marker: ClipMarker, now: float, *, copy: bool = False) -> None:
        """Take a CLIP marker, or a copy of one, and the packets it carries."""
        if not copy:
            if marker.clip <= self._certain:
                self.counters.malformed += 1
                return
            self._certain = marker.clip
        pending = self._clips.get(marker.clip)
        if marker.clip <= self._done or (pending is not None and pending.marker is not None):
            self.counters.duplicates += 1
            return
        if pending is None:
            pending = self._clips[marker.clip] = _Pending()
        self._soon([n for n in self._order if n < marker.clip], now)  # those have been sent
        pending.marker = marker
        pending.due = now + marker.spread / 1000 + self._limits.grace
        self._ways.append(now - marker.sent / 1000)
        if self._limits.deadline is not None:
            captured = (marker.sent - marker.age) / 1000 + min(self._ways)
            pending.deadline = captured + self._limits.deadline
        self._newest = max(self._newest, marker.clip)
        insort(self._order, marker.clip)
        pending.joined = marker.packets
        self._join(pending, marker.clip)
        if pending.tail_arrived():
            self._soon([marker.clip], now)
        if len(self._order) > self._limits.clips:
            self._certain = max(self._certain, self._order[0])
            self._clips[self._order[0]].due = now

    def take(self, message: Piece | Parity, data: bytes, now: float) -> None:
        """Take a data message, parsed and as it was (`data`)."""
        number = self._unwrap(message.clip)
        if number <= self._done:
            self.counters.late += 1
            return
        pending = self._room_for(number, _cost(message, data))
        if pending is None:
            self.counters.refused += 1
        elif isinstance(message, Parity):
            self._add_parity(pending, number, message, data)
        elif message.seq in pending.messages:
            self.counters.duplicates += 1
        elif pending.marker and message.seq >= pending.marker.messages:
            self.counters.malformed += 1
        else:
            self._keep(pending, number, message, data)
            if (parity := pending.parities.covering(message.seq)) is not None:
                self._repair(pending, number, parity)
        if pending and pending.tail_arrived():
            self._soon([number], now)

    def cut(self, message: Cut, now: float) -> None:
        """Take the word that a clip ends sooner than it was announced."""
        pending = self._clips.get(message.clip)
        if pending is None or pending.marker is None or message.clip <= self._done:
            self.counters.late += 1
            return
        if message.messages >= pending.marker.messages:
            self.counters.malformed += 1
            return
        for seq in range(message.messages, pending.marker.messages):
            if pending.messages.pop(seq, None) is not None:
                pending.parities.gone(seq)
        pending.marker = replace(pending.marker, messages=message.messages)
        pending.cut = True
        self._soon([message.clip], now)

    def end(self, message: End, now: float) -> None:
        """Take the end of the stream: what is missing gets `grace` more."""
        del message  # its counts are statistics
        self.ended = True
        self._certain = self._newest
        self._soon(self._order, now)

    def ready(self, now: float) -> list[ReceivedClip]:
        """Clips to hand out now, in order."""
        out = []
        while self._order and not self._blocked():
            pending = self._clips[self._order[0]]
            if not pending.all_came() and pending.waits_until() > now:
                break
            out.append(self._hand_out())
        return out

    def flush(self) -> list[ReceivedClip]:
        """Every announced clip, as it stands (the link is gone)."""
        return [self._hand_out() for _ in range(len(self._order))]

    def next_due(self) -> float | None:
        """When `ready` should be asked again, even if nothing arrives; None: no clip waits."""
        if not self._order or self._blocked():
            return None
        return self._clips[self._order[0]].waits_until()

    def _blocked(self) -> bool:
        """Whether clips may be missing before the next one."""
        return self._order[0] > max(self._certain, self._done + 1)

    def _soon(self, numbers: list[int], now: float) -> None:
        for number in numbers:
            pending = self._clips[number]
            pending.due = min(pending.due, now + self._limits.grace)

    def _room_for(self, number: int, size: int) -> _Pending | None:
        """The clip to put `size` bytes into, or None when a limit forbids it."""
        if not self._fits(size):
            return None
        if number not in self._clips:
            if len(self._clips) >= 2 * self._limits.clips:
                return None
            self._clips[number] = _Pending()
        return self._clips[number]

    def _fits(self, size: int) -> bool:
        return self._held + size <= self._limits.total_bytes

    def _charge(self, pending: _Pending, size: int) -> None:
        pending.size += size
        self._held += size

    def _unwrap(self, clip: int) -> int:
        """The clip number nearest to the one expected next that is `clip` modulo 256."""
        expected = self._newest + 1
        half = CLIP_NUMBER_PERIOD // 2
        return expected + (clip - expected + half) % CLIP_NUMBER_PERIOD - half

    def _keep(self, pending: _Pending, number: int, message: Piece, data: bytes) -> None:
        pending.messages[message.seq] = data
        pending.parities.came(message.seq)
        self._charge(pending, _cost(message, data))
        self._join(pending, number)

    def _join(self, pending: _Pending, number: int) -> None:
        """Add the messages that now follow without a gap, and take the packets in them."""
        while pending.marker is not None and pending.next in pending.messages:
            piece = parse_message(pending.messages[pending.next])
            assert isinstance(piece, Piece)  # nothing else is kept
            if not pending.broken:
                pending.joined += piece.body
            pending.next += 1
        if pending.marker is not None and not pending.broken:
            self._take_packets(pending, number)

    def _take_packets(self, pending: _Pending, number: int) -> None:
        assert pending.marker is not None
        complete = pending.next == pending.marker.messages
        body, offset = pending.joined, 0
        while offset < len(body):
            start = offset
            try:
                packet, offset = parse_packet(body, offset, self._header)
            except CorruptError as error:
                cut_off = error.field == "payload" or len(body) - start < _PACKET_HEAD
                if complete or not cut_off:
                    pending.broken, offset = True, len(body)
                    self.counters.malformed += 1
                break
            if isinstance(packet, Chunk):
                continue
            if packet.clip != number % CLIP_NUMBER_PERIOD:
                self.counters.malformed += 1
            elif packet.layer not in pending.packets:
                self.counters.packets += 1
                unwrapped = replace(packet, clip=number)
                pending.packets[packet.layer] = (unwrapped, body[start:offset])
        pending.joined = body[offset:]

    def _add_parity(self, pending: _Pending, number: int, parity: Parity, data: bytes) -> None:
        if parity in pending.parities:
            self.counters.duplicates += 1
        elif not pending.parities.add(parity, pending.messages):
            self.counters.refused += 1
        else:
            self._charge(pending, _cost(parity, data))
            self._repair(pending, number, parity)

    def _repair(self, pending: _Pending, number: int, parity: Parity) -> None:
        """Rebuild the one message of a group that is missing."""
        lost = pending.parities.lost(parity, pending.messages)
        if lost is None or (pending.marker and lost >= pending.marker.messages):
            return
        group = range(parity.first, parity.first + parity.count)
        data = rebuild(parity.body, [pending.messages[seq] for seq in group if seq != lost])
        try:
            message = parse_message(data) if data else None
        except CorruptError:
            message = None
        if data is None or not isinstance(message, Piece) or message.seq != lost:
            self.counters.malformed += 1
            return
        if not self._fits(_cost(message, data)):
            self.counters.refused += 1
            return
        self.counters.recovered += 1
        self._keep(pending, number, message, data)

    def _hand_out(self) -> ReceivedClip:
        number = self._order.pop(0)
        pending = self._clips[number]
        marker = pending.marker
        assert marker is not None  # only announced clips are in the order
        missing = marker.messages - sum(seq < marker.messages for seq in pending.messages)
        self.counters.missing += missing
        packets, data = [], []
        for layer in range(marker.layers.bit_length()):
            if not marker.layers >> layer & 1:
                continue
            if layer not in pending.packets:
                break
            packet, raw = pending.packets[layer]
            packets.append(packet)
            data.append(raw)
        complete = pending.complete()
        self._done = number
        for passed in [n for n in self._clips if n <= number]:
            self._held -= self._clips.pop(passed).size
        return ReceivedClip(
            number, marker.frames, marker.pts, packets, b"".join(data), complete, marker, missing
        )
