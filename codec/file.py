"""`.gist` files: a stream header and packets one after the other, with an optional seek index.

    header  packet*  [index chunk]

The index is a convenience: everything in it can be found again by walking the packets. After
damage the reader looks for the next offset at which a packet passes its CRC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gistcast.codec.clip import MAX_PIXELS, Clip
from gistcast.codec.decoder import DecodedClip, Decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import CorruptError
from gistcast.codec.header import MAJOR, Header, parse_header
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import (
    CLIP_NUMBER_PERIOD,
    INDEX_CHUNK,
    Chunk,
    Packet,
    get_varint,
    kind_of,
    layer_name,
    parse_packet,
    put_varint,
)
from gistcast.codec.protocol import GistModel, Refiner, Viewer

#: Bytes that a reader may run through CRCs, in a whole file, looking for the next sound packet.
_RESYNC_WORK = 64 << 20
_FOOTER = 8  # u32 size of the index chunk, then its CRC32C


@dataclass
class CodedClip:
    """Packets of one clip as they stand in a file.

    Attributes:
        number: clip number, unwrapped.
        offset: of the first packet in the file.
        packets: in file order.
        size: bytes of all packets, headers included.
        version: of the format.
    """

    number: int
    offset: int
    packets: list[Packet] = field(default_factory=list)
    size: int = 0
    version: int = MAJOR

    @property
    def pts(self) -> int | None:
        """Presentation time of the first frame where a packet says it, in frames."""
        return next((p.pts for p in self.packets if p.pts is not None), None)

    @property
    def layers(self) -> list[int]:
        """Numbers of the layers that are there, in order."""
        return sorted({p.layer for p in self.packets})

    @property
    def complete(self) -> bool:
        """Whether every layer up to the one marked last is there."""
        layers = self.layers
        last = {p.layer for p in self.packets if p.last}
        kinds = [kind_of(layer, self.version) for layer in layers]
        places = [(kind, number) for kind, number in kinds if number is not None]
        runs = {kind: [n for k, n in places if k == kind] for kind, _ in places}
        whole = all(numbers == list(range(len(numbers))) for numbers in runs.values())
        return bool(last) and max(last) == layers[-1] and whole


@dataclass
class GistFile:
    """A parsed `.gist` file.

    Attributes:
        header_bytes, header: the stream header.
        clips: in order.
        damage: (offset, message) of every stretch that could not be read.
        other_bytes: bytes of chunks that belong to no clip (the index, unknown ones).
        size: bytes of the file.
    """

    header_bytes: bytes
    header: Header
    clips: list[CodedClip]
    damage: list[tuple[int, str]]
    other_bytes: int
    size: int

    @property
    def missing(self) -> list[tuple[int, int]]:
        """Runs of clips that are not there, (first, last), before the last one that is."""
        runs, expected = [], 0
        for clip in self.clips:
            if clip.number > expected:
                runs.append((expected, clip.number - 1))
            expected = clip.number + 1
        return runs

    def losses(self) -> list[str]:
        """What is not there or cannot be read, one line each; empty for a sound file.

        A file that ends between two clips looks sound, unless it has lost its index.
        """
        lines = [f"damage at byte {offset}: {message}" for offset, message in self.damage]
        for first, last in self.missing:
            lines.append(f"clip {first}" + (f" to {last}" if last > first else "") + " missing")
        for clip in self.clips:
            if not clip.complete:
                names = ", ".join(layer_name(k, clip.version) for k in clip.layers)
                lines.append(f"clip {clip.number} has only {names}")
        return lines


def index_chunk(sizes: list[int], header: bytes) -> bytes:
    """The seek index: clip count, bytes of each clip, and the chunk's own size at its end."""
    body = put_varint(len(sizes)) + b"".join(map(put_varint, sizes))
    total = 0
    while True:  # the size counts itself, and its own varint length
        payload = body + total.to_bytes(4, "little")
        data = Chunk(INDEX_CHUNK, payload).to_bytes(header)
        if len(data) == total:
            return data
        total = len(data)


def read_index(data: bytes) -> list[int] | None:
    """Offsets of the clips from the index at the end of a file, or None if there is none."""
    _, start = parse_header(data)
    if len(data) < start + _FOOTER:
        return None
    size = int.from_bytes(data[-_FOOTER:-4], "little")
    if not _FOOTER <= size <= len(data) - start:
        return None
    try:
        chunk, end = parse_packet(data, len(data) - size, data[:start])
        if not isinstance(chunk, Chunk) or chunk.kind != INDEX_CHUNK or end != len(data):
            return None
        count, at = get_varint(chunk.payload, 0, len(chunk.payload), "index")
        offsets = [start]
        for _ in range(count):
            length, at = get_varint(chunk.payload, at, len(data), "index")
            offsets.append(offsets[-1] + length)
    except CorruptError:
        return None
    fits = at == len(chunk.payload) - 4 and offsets[-1] == len(data) - size
    return offsets[:-1] if fits else None


class _Resync:
    """Looks for the next sound packet; all searches in a file share one bound on their work."""

    def __init__(self, data: bytes, header: bytes) -> None:
        self._data, self._header = data, header
        self._left = _RESYNC_WORK

    def after(self, offset: int) -> int:
        """The next offset behind `offset` at which a packet is sound, or the end of the data."""
        for at in range(offset + 1, len(self._data) - 5):
            try:
                parse_packet(self._data, at, self._header)
                return at
            except CorruptError as error:
                self._left -= (error.offset or at) - at + 8
                if self._left < 0:
                    break
        return len(self._data)


def read_gist(data: bytes) -> GistFile:
    """Parse a file: all that is whole, and where it is damaged.

    Raises:
        CorruptError: the header cannot be read, or no packet belongs to it.
    """
    header, offset = parse_header(data)
    header_bytes = bytes(data[:offset])
    parsed = GistFile(header_bytes, header, [], [], 0, len(data))
    resync = _Resync(data, header_bytes)
    while offset < len(data):
        try:
            packet, end = parse_packet(data, offset, header_bytes)
        except CorruptError as error:
            parsed.damage.append((offset, str(error)))
            offset = resync.after(offset)
            continue
        if isinstance(packet, Chunk):
            parsed.other_bytes += end - offset
        else:
            _append(parsed, packet, offset, end - offset)
        offset = end
    if parsed.damage and not parsed.clips and not parsed.other_bytes:
        raise CorruptError(
            f"no packet matches the header: {parsed.damage[0][1]}",
            field="packet",
            offset=parsed.damage[0][0],
        )
    return parsed


def _append(parsed: GistFile, packet: Packet, offset: int, size: int) -> None:
    clips = parsed.clips
    if not clips or clips[-1].number % CLIP_NUMBER_PERIOD != packet.clip:
        previous = clips[-1].number if clips else -1
        ahead = (packet.clip - previous - 1) % CLIP_NUMBER_PERIOD
        number = previous + 1 + ahead
        clips.append(CodedClip(number, offset, version=parsed.header.version))
    clips[-1].packets.append(packet)
    clips[-1].size += size


def encode_packets(
    clips: Iterable[Clip], encoder: Encoder, *, index: bool = False
) -> Iterator[bytes]:
    """A file piece by piece: the header, then each clip's packets, then the index."""
    yield encoder.header
    sizes = []
    for clip in clips:
        piece = b"".join(p.to_bytes(encoder.header) for p in encoder.encode_clip(clip))
        sizes.append(len(piece))
        yield piece
    if index:
        yield index_chunk(sizes, encoder.header)


def encode_video(
    clips: Iterable[Clip],
    info: VideoInfo,
    settings: EncodeSettings,
    model: GistModel | None = None,
    viewer: Viewer | None = None,
    *,
    index: bool = False,
) -> bytes:
    """Clips -> the bytes of a `.gist` file."""
    encoder = Encoder(info, settings, model, viewer)
    return b"".join(encode_packets(clips, encoder, index=index))


def decode_video(
    data: bytes,
    model: GistModel | None = None,
    refiner: Refiner | None = None,
    *,
    mode: str = "balanced",
    layers: str = "residual",
    max_pixels: int = MAX_PIXELS,
) -> Iterator[DecodedClip]:
    """The clips of a `.gist` file, in order.

    Args:
        layers: the last kind of layer to use: text, latent or residual.
        max_pixels: of a frame; see `Decoder`.

    Raises:
        CorruptError: the header cannot be read, or no packet belongs to it.
        LimitError: frames are larger than `max_pixels`.
        ModelError: the stream needs tables or a model that are not at hand.
    """
    parsed = read_gist(data)
    decoder = Decoder(parsed.header_bytes, model, refiner, mode, max_pixels=max_pixels)
    for coded in parsed.clips:
        packets = select_layers(coded.packets, layers)
        if packets:
            yield decode_coded(decoder, coded, packets)


def decode_coded(decoder: Decoder, coded: CodedClip, packets: list[Packet]) -> DecodedClip:
    """Decode a clip of a file; one that cannot be decoded becomes grey and says so."""
    try:
        return decoder.decode_clip(packets, coded.number)
    except CorruptError as error:
        return decoder.conceal(packets[0].frames or decoder.header.clip_frames, str(error))


def select_layers(packets: list[Packet], layers: str) -> list[Packet]:
    """The packets up to a kind of layer: text, latent or residual (all)."""
    highest = {"text": 0, "latent": 1, "residual": 15}[layers]
    return [p for p in packets if p.layer <= highest]
