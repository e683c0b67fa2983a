"""Packets: one layer of one clip each, the unit of loss in a file and on the wire.

    kind:1  clip:1  [frames:varint]  [pts:varint]  length:varint  payload  crc32c:4

`kind` is layer (bits 0-3), last layer of its clip (4), frames follows (5), pts follows (6);
bit 7 marks a chunk that is no clip layer (`kind length payload crc32c`, skipped when unknown).
The CRC covers the stream header too, so that a packet of another stream never passes.
The same bytes travel in `.gist` files and in WebRTC messages.
"""

from __future__ import annotations

from dataclasses import dataclass

import google_crc32c

from gistcast.codec.clip import MAX_FRAMES
from gistcast.codec.errors import CorruptError, UsageError

#: Layers; RESIDUAL + k is the k-th residual layer, VIDEO + k the k-th video layer. Version 1 has no
#: video: there, residual layers go up to MAX_LAYER.
TEXT, LATENT, RESIDUAL, VIDEO = 0, 1, 2, 12
MAX_LAYER = 15
RESIDUAL_LAYERS, VIDEO_LAYERS = VIDEO - RESIDUAL, MAX_LAYER + 1 - VIDEO
MAX_PAYLOAD = 1 << 20  #: bytes
MAX_PTS = 1 << 56
CLIP_NUMBER_PERIOD = 256  #: the wire carries clip numbers modulo this


def kind_of(layer: int, version: int) -> tuple[str, int | None]:
    """Name of a layer's kind, and its number among those of the kind (None: there is one)."""
    if layer < RESIDUAL:
        return ("text", "latent")[layer], None
    if version == 1 or layer < VIDEO:
        return "residual", layer - RESIDUAL
    return "video", layer - VIDEO


def layer_name(layer: int, version: int) -> str:
    """text, latent, residual.k or video.k."""
    kind, number = kind_of(layer, version)
    return kind if number is None else f"{kind}.{number}"


def kind_end(first: int, version: int) -> int:
    """Number behind the last layer of the kind that begins with `first`."""
    return VIDEO if version > 1 and first == RESIDUAL else MAX_LAYER + 1


_LAST, _HAS_FRAMES, _HAS_PTS, _CHUNK = 0x10, 0x20, 0x40, 0x80

#: Optional chunks that this version writes.
INDEX_CHUNK = 0x80


def put_varint(value: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, low ones first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def get_varint(data: bytes, offset: int, limit: int, field: str) -> tuple[int, int]:
    """Read an unsigned LEB128 of at most `limit`: (value, next offset).

    Raises:
        CorruptError: truncated, not in shortest form, or above `limit`.
    """
    value, shift = 0, 0
    for at in range(offset, min(len(data), offset + 9)):
        value |= (data[at] & 0x7F) << shift
        if value > limit:
            raise CorruptError(f"{field} exceeds {limit}", field=field, offset=offset)
        if not data[at] & 0x80:
            if data[at] == 0 and at > offset:
                raise CorruptError(f"{field} is not in shortest form", field=field, offset=offset)
            return value, at + 1
        shift += 7
    raise CorruptError(f"{field} is truncated", field=field, offset=offset)


@dataclass(frozen=True)
class Packet:
    """One layer of one clip.

    Attributes:
        clip: clip number, counted from 0 (as parsed: modulo 256; readers unwrap it).
        layer: TEXT, LATENT or RESIDUAL + k.
        payload: the layer's bytes.
        last: no further layer of this clip follows.
        frames: frames in the clip when it differs from the header's clip length.
        pts: presentation time of the first frame in units of the time base, when it does not
            follow from the clip number.
    """

    clip: int
    layer: int
    payload: bytes
    last: bool = False
    frames: int | None = None
    pts: int | None = None

    def to_bytes(self, header: bytes) -> bytes:
        """Serialise for the stream whose header is `header`."""
        _check_payload(self.payload)
        kind = self.layer | (_LAST if self.last else 0)
        kind |= _HAS_FRAMES if self.frames is not None else 0
        kind |= _HAS_PTS if self.pts is not None else 0
        head = bytes([kind, self.clip % CLIP_NUMBER_PERIOD])
        if self.frames is not None:
            head += put_varint(self.frames)
        if self.pts is not None:
            head += put_varint(self.pts)
        return _sealed(head + put_varint(len(self.payload)) + self.payload, header)


@dataclass(frozen=True)
class Chunk:
    """An optional chunk that belongs to no clip (the index, or one of a later version)."""

    kind: int
    payload: bytes

    def to_bytes(self, header: bytes) -> bytes:
        """Serialise for the stream whose header is `header`."""
        _check_payload(self.payload)
        head = bytes([self.kind]) + put_varint(len(self.payload))
        return _sealed(head + self.payload, header)


def _check_payload(payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD:
        raise UsageError(
            f"a layer of {len(payload)} bytes exceeds the format's {MAX_PAYLOAD}: "
            "use more layers, or a lower quality"
        )


def _sealed(body: bytes, header: bytes) -> bytes:
    crc: int = google_crc32c.value(header + body)
    return body + crc.to_bytes(4, "little")


def parse_packet(data: bytes, offset: int, header: bytes) -> tuple[Packet | Chunk, int]:
    """The packet at `offset`: (packet or chunk, offset behind it).

    Raises:
        CorruptError: truncated, malformed, or the CRC does not match. Nothing is allocated
            beyond the input's own length.
    """
    start = offset
    if offset + 2 > len(data):
        raise CorruptError("packet is truncated", field="kind", offset=offset)
    kind = data[offset]
    frames = pts = None
    if kind & _CHUNK:
        clip, offset = 0, offset + 1
    else:
        clip, offset = data[offset + 1], offset + 2
        if kind & _HAS_FRAMES:
            frames, offset = get_varint(data, offset, MAX_FRAMES, "frames")
            if frames == 0:
                raise CorruptError("a clip has at least one frame", field="frames", offset=start)
        if kind & _HAS_PTS:
            pts, offset = get_varint(data, offset, MAX_PTS, "pts")
    length, offset = get_varint(data, offset, MAX_PAYLOAD, "length")
    end = offset + length
    if end + 4 > len(data):
        raise CorruptError("packet is truncated", field="payload", offset=offset)
    body = bytes(data[start:end])
    if google_crc32c.value(header + body).to_bytes(4, "little") != data[end : end + 4]:
        raise CorruptError("CRC32C does not match", field="crc32c", offset=end)
    payload = bytes(data[offset:end])
    if kind & _CHUNK:
        return Chunk(kind, payload), end + 4
    return (
        Packet(clip, kind & 0x0F, payload, bool(kind & _LAST), frames, pts),
        end + 4,
    )
