"""The text layer: sentences in few bytes, against what clips are usually described with.

    UTF-8 --letters predicted from those before (`textmodel`)--> number of bytes, flags --+--> the
          --deflated against a dictionary of words-----------------------------------------+ shorter

The first byte tells them apart: bits 1 and 2 are both set for predicted letters, which no deflate
stream has (RFC 1951 reserves that block type). The dictionary is `codec/tables/text-1.txt`, the
samples that letters are predicted by are `codec/tables/text-2.txt`.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path

from gistcast.codec.errors import CorruptError, UsageError
from gistcast.codec.released import released_file
from gistcast.codec.textmodel import decode_letters, encode_letters

MAX_TEXT = 1000  #: bytes of UTF-8
SAMPLES = Path(__file__).parent / "tables" / "text-2.txt"
SAMPLES_HASH = "fd3ef59ab8ea563ac6f49deef0ab44f1559e7390ecdeb6d7679ebc9fb6f5f0cc"  #: SHA-256
_PREDICTED = 0b110
_LONG = 63  # lengths from here on are told in two bytes more


@lru_cache(maxsize=1)
def dictionary() -> bytes:
    """The dictionary; what is likelier stands nearer to its end."""
    return (Path(__file__).parent / "tables" / "text-1.txt").read_bytes().rstrip(b"\n")


@lru_cache(maxsize=1)
def _check_samples() -> None:
    released_file(SAMPLES, SAMPLES_HASH)


def encode_text(text: str) -> bytes:
    """Text -> layer bytes.

    Raises:
        UsageError: longer than 1000 bytes of UTF-8.
        ModelError: the samples are missing or not those of this version.
    """
    _check_samples()
    raw = text.encode()
    if len(raw) > MAX_TEXT:
        raise UsageError(f"a text has at most {MAX_TEXT} bytes, not {len(raw)}")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, dictionary())
    deflated = deflate.compress(raw) + deflate.flush()
    predicted = _head(len(raw)) + encode_letters(raw)
    return min(predicted, deflated, key=len)


def decode_text(data: bytes) -> str:
    """Layer bytes -> text.

    Raises:
        CorruptError: of neither form, not UTF-8, or more than 1000 bytes come out.
        ModelError: the samples are missing or not those of this version.
    """
    predicted = bool(data) and data[0] & _PREDICTED == _PREDICTED
    try:
        return (_letters(data) if predicted else _inflate(data)).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise CorruptError(f"text cannot be read: {error}", field="text") from error


def _head(length: int) -> bytes:
    """The number of bytes around the mark: five bits above it, one below, and two bytes if long."""
    short = min(length, _LONG)
    first = bytes([short >> 1 << 3 | _PREDICTED | short & 1])
    return first if short < _LONG else first + (length - _LONG).to_bytes(2, "big")


def _letters(data: bytes) -> bytes:
    _check_samples()
    length, at = data[0] >> 3 << 1 | data[0] & 1, 1
    if length == _LONG:
        if len(data) < 3:
            raise CorruptError("text ends early", field="text")
        length, at = length + int.from_bytes(data[1:3], "big"), 3
    if length > MAX_TEXT:
        raise CorruptError("text is too long", field="text")
    return decode_letters(data[at:], length)


def _inflate(data: bytes) -> bytes:
    inflate = zlib.decompressobj(-15, dictionary())
    raw = inflate.decompress(data, MAX_TEXT + 1)
    if len(raw) > MAX_TEXT:
        raise CorruptError("text is too long", field="text")
    if not inflate.eof or inflate.unused_data:
        raise CorruptError("text does not end where its layer does", field="text")
    return raw
