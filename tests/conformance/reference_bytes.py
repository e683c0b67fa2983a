"""Bytes of formats 1.0 and 2.0: varints, header, packets, files, and the range coder's flags.

Part of the second decoder; see `reference.py`. Numbers are sections of `docs/bitstream.md`.
"""

from __future__ import annotations

from typing import NamedTuple

RATE_CODES = 17
MASK = (1 << 64) - 1


class CorruptInputError(ValueError):
    """Bytes that are not what the document says."""


def need(condition: bool, what: str) -> None:
    """Raise `CorruptInputError` unless the condition holds."""
    if not condition:
        raise CorruptInputError(what)


def varint(data: bytes, at: int, limit: int) -> tuple[int, int]:
    """(value, next offset)."""
    value = shift = 0
    while True:
        need(at < len(data) and shift < 63, "varint is truncated")
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        need(value <= limit, "varint is too large")
        if byte < 128:
            need(byte > 0 or shift == 0, "varint is not in shortest form")
            return value, at
        shift += 7


def crc32c(data: bytes) -> int:
    """Castagnoli CRC, bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


class Header(NamedTuple):
    raw: bytes
    version: int
    width: int
    height: int
    clip_frames: int
    seed: int
    tables: bytes
    model: bytes  # id and weights hash, or nothing


def read_header(data: bytes) -> Header:
    """Section 3."""
    need(data[:3] == b"GST" and len(data) >= 5 and data[3] >> 4 in (1, 2, 3), "version")
    flags = data[4]
    need(flags < 16 and flags & 3 != 3, "unknown flags")
    width, at = varint(data, 5, 4096)
    height, at = varint(data, at, 4096)
    need(1 <= width * height <= 1920 * 1088 and at < len(data), "frame size")
    rate, at = data[at], at + 1
    need(rate <= RATE_CODES, "unknown frame rate")
    if rate == 0:
        numerator, at = varint(data, at, 10**9)
        denominator, at = varint(data, at, 10**6)
        need(0 < numerator <= 1000 * denominator, "frame rate out of range")
    seed = 0
    if flags & 4:
        seed, at = varint(data, at, (1 << 32) - 1)
    end = at + 4 + (5 if flags & 8 else 0)
    need(end <= len(data), "header is truncated")
    return Header(
        data[:end],
        data[3] >> 4,
        width,
        height,
        8 << (flags & 3),
        seed,
        data[at : at + 4],
        data[at + 4 : end],
    )


class Packet(NamedTuple):
    chunk: bool
    clip: int
    layer: int
    frames: int | None
    pts: int | None
    payload: bytes


def read_packet(data: bytes, at: int, header: bytes) -> tuple[Packet, int]:
    """Section 4: the packet or chunk at an offset, and the offset behind it."""
    start = at
    need(at + 2 <= len(data), "packet is truncated")
    kind, clip, frames, pts = data[at], 0, None, None
    if kind & 0x80:
        at += 1
    else:
        clip, at = data[at + 1], at + 2
        if kind & 0x20:
            frames, at = varint(data, at, 32)
            need(frames > 0, "no frames")
        if kind & 0x40:
            pts, at = varint(data, at, 1 << 56)
    length, at = varint(data, at, 1 << 20)
    end = at + length
    need(end + 4 <= len(data), "packet is truncated")
    sealed = crc32c(header + data[start:end]).to_bytes(4, "little")
    need(sealed == data[end : end + 4], "CRC32C does not match")
    return Packet(kind >= 0x80, clip, kind & 15, frames, pts, data[at:end]), end + 4


def read_clips(data: bytes) -> tuple[Header, list[tuple[int, list[Packet]]]]:
    """Section 5: the header, and number and packets of each clip."""
    header = read_header(data)
    clips: list[tuple[int, list[Packet]]] = []
    at = len(header.raw)
    while at < len(data):
        try:
            packet, at = read_packet(data, at, header.raw)
        except CorruptInputError:
            at += 1  # resynchronise
            continue
        if packet.chunk:
            continue
        previous = clips[-1][0] if clips else -1
        if not clips or previous % 256 != packet.clip:
            clips.append((previous + 1 + (packet.clip - previous - 1) % 256, []))
        clips[-1][1].append(packet)
    return header, clips


class RangeDecoder:
    """Section 7: flags from bytes; behind the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._low, self._range = 0, MASK
        self._point = self._word() << 32
        self._point |= self._word()

    def _word(self) -> int:
        four = self._data[self._at : self._at + 4]
        self._at += 4
        return int.from_bytes(four + bytes(4 - len(four)), "big")

    def flag(self, k: int) -> int:
        """One flag that is 1 with probability k / 65536."""
        scale = self._range >> 24
        quantile = ((self._point - self._low) & MASK) // scale
        need(quantile < 1 << 24, "entropy-coded data is damaged")
        split = 256 * (65536 - k) - (1 if k < 32768 else 0)
        flag = int(quantile >= split)
        if flag:
            self._low = (self._low + scale * split) & MASK
            self._range = scale * ((1 << 24) - split)
        else:
            self._range = scale * split
        if self._range < 1 << 32:
            self._low = (self._low << 32) & MASK
            self._range <<= 32
            self._point = (self._point << 32) & MASK | self._word()
        return flag
