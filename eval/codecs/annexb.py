"""H.264, H.265 and H.266 byte streams reduced to what a decoder needs (ITU-T, Annex B)."""

from __future__ import annotations

from collections.abc import Iterator

_START = b"\0\0\1"

_H264_SEI, _H264_DELIMITER = 6, 9
_H265_DELIMITER, _H265_PREFIX_SEI, _H265_SUFFIX_SEI = 35, 39, 40
_H266_DELIMITER, _H266_PREFIX_SEI, _H266_SUFFIX_SEI = 20, 23, 24


def nal_units(stream: bytes) -> Iterator[bytes]:
    """NAL units without start codes and trailing zero bytes."""
    start = stream.find(_START)
    while start >= 0:
        end = stream.find(_START, start + 3)
        unit = stream[start + 3 : end if end >= 0 else len(stream)]
        yield unit.rstrip(b"\0") if end >= 0 else unit
        start = end


def strip_h264(packet: bytes) -> bytes:
    """Drop SEI and delimiters (x264 writes 667 bytes about itself); short start codes."""
    dropped = (_H264_SEI, _H264_DELIMITER)
    return b"".join(_START + u for u in nal_units(packet) if u[0] & 0x1F not in dropped)


def strip_h265(packet: bytes) -> bytes:
    """Drop SEI and delimiters; short start codes."""
    dropped = (_H265_DELIMITER, _H265_PREFIX_SEI, _H265_SUFFIX_SEI)
    return b"".join(_START + u for u in nal_units(packet) if u[0] >> 1 & 0x3F not in dropped)


def strip_h266(packet: bytes) -> bytes:
    """Drop SEI and delimiters; short start codes."""
    dropped = (_H266_DELIMITER, _H266_PREFIX_SEI, _H266_SUFFIX_SEI)
    return b"".join(_START + u for u in nal_units(packet) if u[1] >> 3 not in dropped)
