"""IVF: a header of 32 bytes, then frames behind 12 bytes of length and time each."""

from __future__ import annotations

import struct

_HEADER = 32


def ivf_frames(data: bytes) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """Frames and their times, without any of IVF's own bytes."""
    frames, times, at = [], [], _HEADER
    while at < len(data):
        size, when = struct.unpack_from("<IQ", data, at)
        at += 12
        frames.append(data[at : at + size])
        times.append(when)
        at += size
    return tuple(frames), tuple(times)
