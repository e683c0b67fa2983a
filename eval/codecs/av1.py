"""What the AV1 encoders share."""

from __future__ import annotations

COUNTED = "OBUs with the sequence header once, no temporal delimiters, no container"

_TEMPORAL_DELIMITER = b"\x12\x00"  # AV1 specification, 5.3.1: containers leave it out


def strip_obus(packet: bytes) -> bytes:
    """A temporal unit without its delimiter."""
    return packet.removeprefix(_TEMPORAL_DELIMITER)
