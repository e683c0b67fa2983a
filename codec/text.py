"""The text layer: UTF-8, deflated against a fixed dictionary of what clips are described with.

Source: RFC 1951 (raw deflate); the dictionary is `codec/tables/text-1.txt`, hashed in the header.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path

from gistcast.codec.errors import CorruptError, UsageError

MAX_TEXT = 1000  #: bytes of UTF-8


@lru_cache(maxsize=1)
def dictionary() -> bytes:
    """The dictionary; what is likelier stands nearer to its end."""
    return (Path(__file__).parent / "tables" / "text-1.txt").read_bytes().rstrip(b"\n")


def encode_text(text: str) -> bytes:
    """Text -> layer bytes.

    Raises:
        UsageError: longer than 1000 bytes of UTF-8.
    """
    raw = text.encode()
    if len(raw) > MAX_TEXT:
        raise UsageError(f"a text has at most {MAX_TEXT} bytes, not {len(raw)}")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, dictionary())
    return deflate.compress(raw) + deflate.flush()


def decode_text(data: bytes) -> str:
    """Layer bytes -> text.

    Raises:
        CorruptError: not deflate, not UTF-8, or more than 1000 bytes come out.
    """
    inflate = zlib.decompressobj(-15, dictionary())
    try:
        raw = inflate.decompress(data, MAX_TEXT + 1)
        if len(raw) > MAX_TEXT:
            raise CorruptError("text is too long", field="text")
        if not inflate.eof or inflate.unused_data:
            raise CorruptError("text does not end where its layer does", field="text")
        return raw.decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise CorruptError(f"text cannot be read: {error}", field="text") from error
