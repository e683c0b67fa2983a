"""The packets of a clip, cut and bundled into messages; parity over groups of them.

packets -> reliable layers: into the CLIP marker, or messages on the control channel
        -> residual layers: small ones bundled, big ones cut -> messages [-> parity]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gistcast.codec.errors import LimitError
from gistcast.codec.packet import RESIDUAL, Packet
from gistcast.stream.messages import (
    MAX_CLIP_MESSAGES,
    MAX_MESSAGE,
    Fragment,
    Kind,
    Packets,
    Parity,
)

MARKER_ROOM = 1000  #: bytes of reliable packets that travel inside the CLIP marker
_PACKETS_HEAD = 4  # kind, clip, seq of up to two bytes
_FRAGMENT_HEAD = 8  # the same, index and count of up to two bytes each
_PARITY_HEAD = 8  # kind, clip, first and count of up to two bytes each, the length's two


@dataclass(frozen=True)
class ClipMessages:
    """What a clip becomes on the wire.

    Attributes:
        inline: serialised reliable packets for the CLIP marker (empty when they do not fit).
        control: further messages for the reliable channel.
        residual: messages for the channel that loses, parity included.
        numbered: messages with a sequence number, in `control` and `residual` together.
        layers: bit k is set when layer k is there.
        payload_bytes: bytes of the serialised packets.
    """

    inline: bytes
    control: list[bytes]
    residual: list[bytes]
    numbered: int
    layers: int
    payload_bytes: int


def cut_clip(
    packets: Sequence[Packet], header: bytes, *, protect: int = 0, base_copies: int = 0
) -> ClipMessages:
    """Serialise the packets of one clip for the stream `header` and cut them into messages.

    Args:
        packets: layers in ascending order.
        header: the stream's header, which the packets' CRC covers.
        protect: add a parity message after every `protect` residual messages (0: none;
            1 sends everything twice).
        base_copies: send the first residual layer so many more times, each in another message.

    Raises:
        LimitError: the clip needs more than `MAX_CLIP_MESSAGES` messages.
    """
    clip = packets[0].clip if packets else 0
    reliable = [p.to_bytes(header) for p in packets if p.layer < RESIDUAL]
    lossy = [p.to_bytes(header) for p in packets if p.layer >= RESIDUAL]
    inline, control = b"".join(reliable), list[bytes]()
    if len(inline) > MARKER_ROOM:
        inline, control = b"", _cut(clip, reliable, 0, MAX_MESSAGE)
    room = MAX_MESSAGE - (_PARITY_HEAD if protect else 0)
    residual = _cut(clip, lossy, len(control), room)
    if lossy and len(lossy[0]) <= room - _PACKETS_HEAD:
        _repeat(clip, lossy[0], residual, len(control), room, base_copies)
    numbered = len(control) + len(residual)
    if numbered > MAX_CLIP_MESSAGES:
        raise LimitError(f"clip {clip} needs {numbered} messages; at most {MAX_CLIP_MESSAGES}")
    if protect:
        residual = _with_parity(clip, residual, len(control), protect)
    layers = sum(1 << layer for layer in {p.layer for p in packets})
    size = sum(map(len, reliable)) + sum(map(len, lossy))
    return ClipMessages(inline, control, residual, numbered, layers, size)


def _cut(clip: int, packets: Iterable[bytes], seq: int, room: int) -> list[bytes]:
    """Messages of at most `room` bytes, numbered from `seq`: small packets share a message
    (a prefix of layers gains nothing from its parts arriving apart), big ones are cut."""
    out: list[bytes] = []
    bundle = b""
    for packet in packets:
        if bundle and len(bundle) + len(packet) > room - _PACKETS_HEAD:
            out.append(Packets(clip, seq + len(out), bundle).to_bytes())
            bundle = b""
        if len(packet) <= room - _PACKETS_HEAD:
            bundle += packet
            continue
        size = room - _FRAGMENT_HEAD
        pieces = [packet[at : at + size] for at in range(0, len(packet), size)]
        for index, piece in enumerate(pieces):
            number = seq + len(out)
            out.append(Fragment(clip, number, index, len(pieces), piece).to_bytes())
    if bundle:
        out.append(Packets(clip, seq + len(out), bundle).to_bytes())
    return out


def _repeat(
    clip: int, base: bytes, messages: list[bytes], seq: int, room: int, copies: int
) -> None:
    """Put copies of a packet into the last messages that have room for it, or into new ones.

    Only bundles take one: behind the piece of another packet it could not be told apart. The
    first message has the original.
    """
    hosts = list(range(len(messages) - 1, 0, -1))
    for _ in range(copies):
        while hosts and not (
            messages[hosts[0]][0] == Kind.PACKETS and len(messages[hosts[0]]) + len(base) <= room
        ):
            hosts.pop(0)
        if hosts:
            messages[hosts.pop(0)] += base
        else:
            messages.append(Packets(clip, seq + len(messages), base).to_bytes())


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
