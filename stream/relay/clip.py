"""A clip on its way through the relay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gistcast.codec.packet import RESIDUAL, Packet
from gistcast.stream.assemble import ReceivedClip


@dataclass(frozen=True)
class RelayedClip:
    """A clip for all viewers.

    Attributes:
        number: as viewers count; the packets' own modulo 256.
        header: the coded stream's.
        source: as it came.
        seconds: how long it lasts.
        age: seconds from the capture of its last frame to `arrived`.
        arrived: when the relay had it, on the loop's clock.
    """

    number: int
    header: bytes
    source: ReceivedClip
    seconds: float
    age: float
    arrived: float

    def packets(self, residual_layers: int | None = None) -> Sequence[Packet]:
        """Layers in ascending order, without gaps; so many residual ones at most."""
        packets = self.source.packets
        if residual_layers is None:
            return packets
        described = sum(packet.layer < RESIDUAL for packet in packets)
        return packets[: described + residual_layers]
