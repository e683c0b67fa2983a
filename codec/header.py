"""The stream header: what every packet of a stream needs to be read.

    "GST"  version:1  flags:1  width:varint  height:varint  rate:1 [num:varint den:varint]
    [seed:varint]  tables:4  [model:1  weights:4]

`version` is major (high nibble) and minor (low nibble): a reader refuses majors that it does not
know, and a newer minor only adds chunks that it may skip. Versions 1 and 2 are read, and no longer
written. The header has no CRC of its own: every packet's CRC32C covers it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from gistcast.codec.clip import CLIP_FRAMES, MAX_SIDE, check_geometry
from gistcast.codec.errors import CorruptError, LimitError, ModelError, UsageError
from gistcast.codec.packet import get_varint, put_varint
from gistcast.codec.tables import Tables, load_tables
from gistcast.codec.text import dictionary

MAGIC = b"GST"
MAJOR, MINOR = 3, 0  #: of the streams that are written
READABLE = (1, 2, 3)  #: majors that are read
MAX_SEED = (1 << 32) - 1

#: Frame rates that cost one byte; append only. Code 0 is followed by numerator and denominator.
RATES = tuple(
    Fraction(*r)
    for r in (
        (24, 1), (25, 1), (30, 1), (50, 1), (60, 1), (24000, 1001), (30000, 1001), (60000, 1001),
        (10, 1), (12, 1), (15, 1), (20, 1), (5, 1), (8, 1), (1, 1), (2997, 100), (23976, 1000),
    )
)  # fmt: skip

_SEED, _MODEL = 0x04, 0x08
_KNOWN_FLAGS = 0x0F


def residual_tables(version: int) -> Tables:
    """The tables of a major version's residual."""
    return load_tables(1 if version < 3 else 2)


@lru_cache(maxsize=3)
def tables_hash(version: int = MAJOR) -> bytes:
    """First four bytes of SHA-256 over the residual tables' hash and the text dictionary."""
    return hashlib.sha256(residual_tables(version).hash + dictionary()).digest()[:4]


@dataclass(frozen=True)
class Header:
    """Fields of a stream header.

    Attributes:
        width, height: of a frame, in luma samples.
        fps: frames a second; the time base of `pts` is its inverse.
        clip_frames: 8, 16 or 32.
        seed: from which the decoder's randomness is counted.
        model_id: the gist model that the stream was coded with; 0 for none.
        weights: hash of the model's weights.
        tables: hash of residual tables and text dictionary.
        version: major version of the format; decides what layers mean.
    """

    width: int
    height: int
    fps: Fraction
    clip_frames: int = 32
    seed: int = 0
    model_id: int = 0
    weights: bytes = b"\0\0\0\0"
    tables: bytes = b""
    version: int = MAJOR

    def __post_init__(self) -> None:
        check_geometry(1, self.height, self.width)
        if self.clip_frames not in CLIP_FRAMES:
            raise UsageError(f"a clip has 8, 16 or 32 frames, not {self.clip_frames}")
        if not 0 < self.fps <= 1000 or self.fps.denominator > 1_000_000:
            raise UsageError(f"frame rate out of range: {self.fps}")
        if not 0 <= self.seed <= MAX_SEED:
            raise UsageError(f"seed must be 0..{MAX_SEED}")
        if self.version not in READABLE:
            raise UsageError(f"format version {self.version} is not known")

    def to_bytes(self) -> bytes:
        """Serialise."""
        flags = CLIP_FRAMES.index(self.clip_frames)
        flags |= (_SEED if self.seed else 0) | (_MODEL if self.model_id else 0)
        out = MAGIC + bytes([self.version << 4 | MINOR, flags])
        out += put_varint(self.width) + put_varint(self.height)
        if self.fps in RATES:
            out += bytes([RATES.index(self.fps) + 1])
        else:
            out += b"\0" + put_varint(self.fps.numerator) + put_varint(self.fps.denominator)
        if self.seed:
            out += put_varint(self.seed)
        out += self.tables or tables_hash(self.version)
        if self.model_id:
            out += bytes([self.model_id]) + self.weights
        return out


def _rate(data: bytes, offset: int) -> tuple[Fraction, int]:
    if offset >= len(data):
        raise CorruptError("header is truncated", field="rate", offset=offset)
    code = data[offset]
    if code > len(RATES):
        raise CorruptError(f"unknown frame rate code {code}", field="rate", offset=offset)
    if code:
        return RATES[code - 1], offset + 1
    numerator, at = get_varint(data, offset + 1, 10**9, "rate")
    denominator, at = get_varint(data, at, 10**6, "rate")
    if not numerator or not denominator:
        raise CorruptError("frame rate is zero", field="rate", offset=offset)
    return Fraction(numerator, denominator), at


def parse_header(data: bytes) -> tuple[Header, int]:
    """Header and its length in bytes.

    Raises:
        CorruptError: not a gistcast stream, truncated, or of an unknown major version.
        LimitError: a size beyond the format's limits.
    """
    if data[:3] != MAGIC:
        raise CorruptError("not a .gist stream", field="magic", offset=0)
    if len(data) < 5:
        raise CorruptError("header is truncated", field="version", offset=3)
    major, flags = data[3] >> 4, data[4]
    if major not in READABLE:
        raise CorruptError(
            f"stream version {major}.{data[3] & 15}, this is {MAJOR}.{MINOR}",
            field="version",
            offset=3,
        )
    if flags & ~_KNOWN_FLAGS or flags & 3 == 3:
        raise CorruptError(f"unknown flags {flags:#04x}", field="flags", offset=4)
    width, at = get_varint(data, 5, MAX_SIDE, "width")
    height, at = get_varint(data, at, MAX_SIDE, "height")
    fps, at = _rate(data, at)
    seed = 0
    if flags & _SEED:
        seed, at = get_varint(data, at, MAX_SEED, "seed")
    end = at + 4 + (5 if flags & _MODEL else 0)
    if end > len(data):
        raise CorruptError("header is truncated", field="tables", offset=at)
    model_id, weights = 0, b"\0\0\0\0"
    if flags & _MODEL:
        model_id, weights = data[at + 4], bytes(data[at + 5 : at + 9])
        if model_id == 0:
            raise CorruptError("model 0 is no model", field="model", offset=at + 4)
    try:
        header = Header(
            width,
            height,
            fps,
            CLIP_FRAMES[flags & 3],
            seed,
            model_id,
            weights,
            bytes(data[at : at + 4]),
            major,
        )
    except (UsageError, LimitError) as error:
        raise CorruptError(str(error), field="header", offset=5) from error
    return header, end


def check_tables(header: Header) -> None:
    """Raise `ModelError` unless the stream was coded with the tables of this version."""
    known = tables_hash(header.version)
    if header.tables != known:
        raise ModelError(
            f"the stream was coded with tables {header.tables.hex()}, "
            f"this version has {known.hex()}"
        )
