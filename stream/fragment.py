"""The packets of a clip, cut into messages; parity over groups of them.

packets, back to back -> as much as fits into the CLIP marker, reliably
                      -> text and latent that do not: messages on the control channel
                      -> the rest: pieces of equal size on the channel that loses [-> parity]

A decoder uses layers up to the first gap, so nothing would be gained by pieces that end where
layers do; every message is full instead.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from gistcast.codec.errors import LimitError
from gistcast.codec.packet import RESIDUAL, Packet
from gistcast.stream.messages import (
    MAX_CLIP_MESSAGES,
    MAX_MESSAGE,
    Kind,
    Parity,
    Piece,
)

MARKER_ROOM = 1040  #: bytes of packets that travel inside the CLIP marker
_PIECE_HEAD = 4  # kind, clip, seq of up to two bytes
_PARITY_HEAD = 8  # kind, clip, first and count of up to two bytes each, the length's two


@dataclass(frozen=True)
class ClipMessages:
    """What a clip becomes on the wire.

    Attributes:
        inline: the beginning of the serialised packets, for the CLIP marker.
        control: further messages for the reliable channel.
        residual: messages for the channel that loses, parity included.
        numbered: messages with a sequence number, in `control` and `residual` together.
        needed: of `residual`, those at the front without which nothing can be drawn.
        layers: bit k is set when layer k is there.
        payload_bytes: bytes of the serialised packets.
    """

    inline: bytes
    control: list[bytes]
    residual: list[bytes]
    numbered: int
    needed: int
    layers: int
    payload_bytes: int


def cut_clip(packets: Sequence[Packet], header: bytes, *, protect: int = 0) -> ClipMessages:
    """Serialise the packets of one clip for the stream `header` and cut them into messages.

    Args:
        packets: layers in ascending order.
        header: the stream's header, which the packets' CRC covers.
        protect: add a parity message after every `protect` residual messages (0: none;
            1 sends everything twice).

    Raises:
        LimitError: the clip needs more than `MAX_CLIP_MESSAGES` messages.
    """
    clip = packets[0].clip if packets else 0
    reliable = b"".join(p.to_bytes(header) for p in packets if p.layer < RESIDUAL)
    lossy = b"".join(p.to_bytes(header) for p in packets if p.layer >= RESIDUAL)
    inline = reliable[:MARKER_ROOM]
    control = _pieces(clip, reliable[MARKER_ROOM:], 0, MAX_MESSAGE)
    # the marker travels anyway: what it takes along saves a message, and is not lost
    taken = max(0, MARKER_ROOM - len(reliable))
    inline += lossy[:taken]
    room = MAX_MESSAGE - (_PARITY_HEAD if protect else 0)
    residual = _pieces(clip, lossy[taken:], len(control), room)
    numbered = len(control) + len(residual)
    if numbered > MAX_CLIP_MESSAGES:
        raise LimitError(f"clip {clip} needs {numbered} messages; at most {MAX_CLIP_MESSAGES}")
    if protect:
        residual = _with_parity(clip, residual, len(control), protect)
    layers = sum(1 << layer for layer in {p.layer for p in packets})
    size = len(reliable) + len(lossy)
    needed = _holding(residual, _base_bytes(packets, header) - taken)
    return ClipMessages(inline, control, residual, numbered, needed, layers, size)


def _base_bytes(packets: Sequence[Packet], header: bytes) -> int:
    return next((len(p.to_bytes(header)) for p in packets if p.layer >= RESIDUAL), 0)


def _holding(messages: Sequence[bytes], size: int) -> int:
    """How many messages hold the first `size` bytes of what is in them, parity of theirs left
    out."""
    count = 0
    for data in messages:
        if size <= 0:
            break
        count += 1
        size -= 0 if data[0] == Kind.PARITY else len(data) - _PIECE_HEAD
    return count


def _pieces(clip: int, data: bytes, seq: int, room: int) -> list[bytes]:
    """Messages of at most `room` bytes and about equal size, numbered from `seq`."""
    count = math.ceil(len(data) / (room - _PIECE_HEAD))
    size = math.ceil(len(data) / count) if count else 1
    starts = range(0, len(data), size)
    return [Piece(clip, seq + k, data[at : at + size]).to_bytes() for k, at in enumerate(starts)]


def _with_parity(clip: int, messages: list[bytes], seq: int, group: int) -> list[bytes]:
    out: list[bytes] = []
    for at in range(0, len(messages), group):
        members = messages[at : at + group]
        out += members
        out.append(Parity(clip, seq + at, len(members), xor_messages(members)).to_bytes())
    return out


def xor_messages(messages: Iterable[bytes]) -> bytes:
    """XOR of the messages, each led by its length in two bytes and padded with zeros."""
    total, size = 0, 0
    for message in messages:
        framed = len(message).to_bytes(2, "little") + message
        total ^= int.from_bytes(framed, "little")
        size = max(size, len(framed))
    return total.to_bytes(size, "little")


def rebuild(parity: bytes, others: Iterable[bytes]) -> bytes | None:
    """The one message missing from a group, or None when the parity does not fit the rest."""
    framed = [parity]
    framed += [len(m).to_bytes(2, "little") + m for m in others]
    if max(map(len, framed)) > len(parity):
        return None
    total = 0
    for part in framed:
        total ^= int.from_bytes(part, "little")
    data = total.to_bytes(len(parity), "little")
    length = int.from_bytes(data[:2], "little")
    if not length or length > len(data) - 2 or any(data[2 + length :]):
        return None
    return data[2 : 2 + length]


class Parities:
    """The parities of one clip, and how many messages of each one's group are missing.

    Groups do not overlap, so that a message belongs to one at most, and what all of them can cost
    goes by the clip's messages, however many parities a peer sends.
    """

    def __init__(self) -> None:
        self._groups: list[Parity] = []  # in order of `first`
        self._missing: dict[Parity, int] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, parity: Parity) -> bool:
        return parity in self._missing

    def add(self, parity: Parity, messages: Container[int]) -> bool:
        """Take one; False, and it is not taken, where its group overlaps another's.

        Args:
            messages: sequence numbers at hand.
        """
        last = parity.first + parity.count - 1
        at = bisect_right(self._groups, last, key=lambda p: p.first)
        if at and self._groups[at - 1].first + self._groups[at - 1].count > parity.first:
            return False
        self._groups.insert(at, parity)
        group = range(parity.first, last + 1)
        self._missing[parity] = sum(seq not in messages for seq in group)
        return True

    def covering(self, seq: int) -> Parity | None:
        """The one whose group message `seq` is in."""
        at = bisect_right(self._groups, seq, key=lambda p: p.first)
        if at and seq < self._groups[at - 1].first + self._groups[at - 1].count:
            return self._groups[at - 1]
        return None

    def came(self, seq: int) -> None:
        """Message `seq` is at hand now."""
        if (parity := self.covering(seq)) is not None:
            self._missing[parity] -= 1

    def gone(self, seq: int) -> None:
        """Message `seq`, which came, is at hand no more."""
        if (parity := self.covering(seq)) is not None:
            self._missing[parity] += 1

    def lost(self, parity: Parity, messages: Container[int]) -> int | None:
        """The message that a parity can rebuild: the only one of its group that is missing."""
        if self._missing[parity] != 1:
            return None
        group = range(parity.first, parity.first + parity.count)
        return next(seq for seq in group if seq not in messages)
