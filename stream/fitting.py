"""What of a clip is sent, and how well protected: packets -> messages that fit the link.

budget --> whole layers from the first on, as many as fit with headers and protection
loss   --> parity messages and copies of the base
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gistcast.codec.packet import RESIDUAL, Packet
from gistcast.stream.congestion import MESSAGE_HEADERS
from gistcast.stream.fragment import MARKER_ROOM, ClipMessages, cut_clip
from gistcast.stream.messages import MAX_MESSAGE

_MARKER = 20  # bytes of a CLIP marker around its packets, about
_FRAMING = 12  # bytes around a piece or a parity over pieces, at most
_PIECE = MAX_MESSAGE - _FRAMING


@dataclass(frozen=True)
class Protection:
    """Against loss.

    Attributes:
        parity: a parity message after every so many; 0: none.
        copies: of the CLIP marker and the base in it.
    """

    parity: int = 0
    copies: int = 0


#: From which loss on how much is protected; chosen so that a fifth of the messages lost leaves
#: nine clips of ten whole (docs/streaming.md, section 6).
_BY_LOSS = (
    (0.3, Protection(parity=2, copies=2)),
    (0.12, Protection(parity=4, copies=1)),
    (0.02, Protection(parity=0, copies=1)),
)
_LONG = 0.2  #: seconds of a round trip, of which hardly two pass until a clip is due


def protection_for(loss: float, round_trip: float = 0.0) -> Protection:
    """What pays at a share of lost messages; more where few can be sent again in time.

    Args:
        loss: 0 to 1.
        round_trip: seconds.
    """
    levels = [level for least, level in _BY_LOSS if loss >= least]
    if not levels:
        return Protection()
    stronger = len(_BY_LOSS) - len(levels) - 1
    return _BY_LOSS[max(0, stronger)][1] if round_trip > _LONG else levels[0]


@dataclass(frozen=True)
class Fitted:
    """A clip's messages as they are to be sent.

    Attributes:
        packets: that are in them.
        messages: cut, parity included.
        copies: of the marker.
        wire_bytes: all of it with headers down to IP, about.
    """

    packets: Sequence[Packet]
    messages: ClipMessages
    copies: int
    wire_bytes: int


def fit_clip(
    packets: Sequence[Packet], header: bytes, protection: Protection, budget: int | None
) -> Fitted:
    """The first layers of a clip, as many as the budget allows.

    Text, latent and the base always go: without them there is nothing to draw, and a link that
    does not carry them carries no video.

    Args:
        packets: layers in ascending order, at least one.
        header: the stream's.
        budget: bytes on the wire; None: everything goes.
    """
    least = 1 + sum(packet.layer < RESIDUAL for packet in packets)
    count = len(packets)
    while True:
        fitted = _cut(packets[:count], header, protection)
        if budget is None or fitted.wire_bytes <= budget or count <= least:
            return fitted
        count -= 1


def withheld(fitted: Fitted) -> Fitted:
    """The announcement of a clip alone: its layers have their names and are missing."""
    nothing = ClipMessages(b"", [], [], 0, 0, fitted.messages.layers, 0)
    return Fitted((), nothing, 0, _MARKER + MESSAGE_HEADERS)


def _cut(packets: Sequence[Packet], header: bytes, protection: Protection) -> Fitted:
    cut = cut_clip(packets, header, protect=protection.parity)
    marker = _MARKER + len(cut.inline)
    markers = 1 + protection.copies
    messages = len(cut.control) + len(cut.residual)
    size = markers * marker + sum(map(len, cut.control)) + sum(map(len, cut.residual))
    size += MESSAGE_HEADERS * (markers + messages)
    return Fitted(packets, cut, protection.copies, size)


def packet_bytes(budget: int, protection: Protection) -> int:
    """Bytes of packets that an encoder may make for a budget on the wire: the most that fit."""
    low, high = 0, max(0, budget)
    while low < high:
        middle = (low + high + 1) // 2
        if _wire_bytes(middle, protection) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def _wire_bytes(size: int, protection: Protection) -> int:
    """What a clip of `size` bytes of packets costs, as `_cut` counts it."""
    inline = min(size, MARKER_ROOM)
    markers = (1 + protection.copies) * (_MARKER + inline + MESSAGE_HEADERS)
    pieces = math.ceil((size - inline) / _PIECE)
    each = math.ceil((size - inline) / pieces) if pieces else 0
    parities = math.ceil(pieces / protection.parity) if protection.parity else 0
    framed = each + _FRAMING + MESSAGE_HEADERS
    return markers + (pieces + parities) * framed
