"""What reads bytes from strangers, as functions that raise nothing but `GistcastError`.

Where a checksum stands in the way it is made to fit, so that what lies behind it is reached. Each
function also asks of a result what must hold of any.
"""

from __future__ import annotations

import base64
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import google_crc32c
import numpy as np

from gistcast.codec.av1 import CODED_FRAMES, Sequence, split, structures
from gistcast.codec.decoder import Decoder
from gistcast.codec.errors import CorruptError, GistcastError
from gistcast.codec.file import decode_coded, read_gist, read_index
from gistcast.codec.header import Header, parse_header
from gistcast.codec.latent import decode_latent
from gistcast.codec.motion import CANVAS_LIMIT, get_motion
from gistcast.codec.packet import (
    LATENT,
    RESIDUAL,
    TEXT,
    VIDEO,
    Chunk,
    Packet,
    parse_packet,
    put_varint,
)
from gistcast.codec.rangecoder import FlagDecoder
from gistcast.codec.residual import ResidualDecoder
from gistcast.codec.tables import load_tables
from gistcast.codec.text import MAX_TEXT, decode_text, dictionary, encode_text
from gistcast.codec.video import decode
from gistcast.codec.videocoder import Model, unpack
from gistcast.stream.assemble import Assembler, Limits, ReceivedClip
from gistcast.stream.fragment import xor_messages
from gistcast.stream.messages import (
    ClipMarker,
    Copied,
    Cut,
    End,
    Kind,
    Parity,
    Piece,
    parse_message,
)
from gistcast.stream.messages import Header as StreamHeader
from gistcast.stream.network.sdp import first_candidate, with_candidate
from gistcast.stream.signalling.trickle import ice_ufrag, parse_fragment

GOLDEN = Path(__file__).parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))

from toy import ToyGist  # noqa: E402

HEAD = Header(16, 12, Fraction(25), 8).to_bytes()
MAX_PIXELS = 4096
_SIZES = ((1, 1, 1), (8, 12, 16), (4, 5, 9), (3, 1, 7), (2, 17, 2), (8, 16, 16), (7, 33, 18))


def sealed(data: bytes, start: int, header: bytes) -> bytes:
    """Packets from `start` on with checksums that fit, as far as they can be told apart."""
    out, at = bytearray(data), start
    while at < len(out):
        try:
            _, at = parse_packet(bytes(out), at, header)
        except CorruptError as error:
            if error.field != "crc32c" or error.offset is None:
                break
            crc = google_crc32c.value(header + bytes(out[at : error.offset]))
            out[error.offset : error.offset + 4] = crc.to_bytes(4, "little")
            at = error.offset + 4
    return bytes(out)


def header(data: bytes) -> None:
    """A stream header; what was read is written and read again."""
    parsed, end = parse_header(data)
    assert end <= len(data)
    assert parse_header(parsed.to_bytes())[0] == parsed


def packet(data: bytes) -> None:
    """A packet, its checksum made to fit."""
    parsed, end = parse_packet(sealed(data, 0, HEAD), 0, HEAD)
    assert end <= len(data)
    assert parse_packet(parsed.to_bytes(HEAD), 0, HEAD)[0] == parsed


def file(data: bytes) -> None:
    """A file: as it is, and with checksums that fit."""
    _, start = parse_header(data)
    for version in (data, sealed(data, start, data[:start])):
        with suppress(GistcastError):
            parsed = read_gist(version)
            numbers = [clip.number for clip in parsed.clips]
            assert numbers == sorted(set(numbers))
            parsed.losses()
            read_index(version)


def clips(data: bytes) -> None:
    """A file with checksums that fit, decoded."""
    _, start = parse_header(data)
    parsed = read_gist(sealed(data, start, data[:start]))
    decoder = Decoder(parsed.header_bytes, ToyGist(), max_pixels=MAX_PIXELS)
    for coded in parsed.clips[:3]:
        decoded = decode_coded(decoder, coded, coded.packets)
        assert decoded.clip.y.shape[1:] == (parsed.header.height, parsed.header.width)
        assert decoded.step >= 0


def text(data: bytes) -> None:
    """A text layer."""
    assert len(decode_text(data).encode()) <= MAX_TEXT


def latent(data: bytes) -> None:
    """A latent layer."""
    assert np.abs(decode_latent(data, _frequencies())).max() <= _frequencies().shape[1] // 2


@lru_cache(maxsize=1)
def _frequencies() -> np.ndarray:
    return ToyGist().latent_frequencies


def motion(data: bytes) -> None:
    """The motion before a residual, and the canvas that it asks for."""
    found = get_motion(FlagDecoder(data))
    if found is not None:
        top, bottom, left, right = found.margins(8, 12, 16)
        assert min(top, bottom, left, right) >= 0
        assert (12 + top + bottom) * (16 + left + right) <= CANVAS_LIMIT * 12 * 16


def residual(data: bytes) -> None:
    """Residual layers: the first byte picks a size and tables, the second is the quantiser."""
    if len(data) < 3:
        return
    tables = load_tables(1 + (data[0] >> 7))
    decoder = ResidualDecoder(*_SIZES[data[0] % len(_SIZES)], tables, data[1])
    middle = 3 + (len(data) - 3) * (data[2] % 4) // 4
    if middle > 3:
        decoder.layer(data[3:middle], 1 + data[2] // 4)
    decoder.layer(data[middle:], 0)
    assert np.isfinite(decoder.symbols.points).all()


def units(data: bytes) -> None:
    """The AV1 of a video layer: each unit must say its own size and nothing else's."""
    if len(data) < 2:
        return
    steps = structures()[data[0] >> 3 & 1, CODED_FRAMES[(data[0] & 7) % len(CODED_FRAMES)]]
    sequence = Sequence(16 + 2 * (data[1] % 60), 16 + 2 * (data[1] // 4), data[0] >> 4)
    for unit in unpack(data[2:], steps, sequence, Model()):
        assert len(list(split(unit))) == 1


def video(data: bytes) -> None:
    """A video layer, through the native decoder: 32 frames of 18x16."""
    shown = decode([data], 32, 16, 18).clip
    assert shown.y.shape == (32, 16, 18)


def message(data: bytes) -> None:
    """A message of the stream; what was read is written and read again."""
    parsed = parse_message(data)
    if parsed is not None:
        assert parse_message(parsed.to_bytes()) == parsed


def deliver(collected: Assembler, data: bytes, now: float) -> list[ReceivedClip]:
    """Give an assembler one message, as a receiver does: what is ready then."""
    parsed = None
    with suppress(CorruptError):
        parsed = parse_message(data)
    if isinstance(parsed, ClipMarker):
        collected.mark(parsed, now)
    elif isinstance(parsed, Copied):
        collected.mark(parsed.marker, now, copy=True)
    elif isinstance(parsed, (Piece, Parity)):
        collected.take(parsed, data, now)
    elif isinstance(parsed, Cut):
        collected.cut(parsed, now)
    elif isinstance(parsed, End):
        collected.end(parsed, now)
    return collected.ready(now)


def assembler(data: bytes) -> None:
    """Messages, each led by the time since the one before and its length in two bytes."""
    limits = Limits(4, 5_000, 0.6, (None, 0.5)[data[0] & 1] if data else None)
    collected, now, at = Assembler(HEAD, 0, limits), 0.0, 1
    while at + 3 <= len(data):
        length = int.from_bytes(data[at + 1 : at + 3], "little")
        now += data[at] / 100
        done = collected.done
        for clip in deliver(collected, data[at + 3 : at + 3 + length], now):
            assert clip.number > done
            done = clip.number
            check_received(clip)
        at += 3 + length
        assert collected.done == done
        held = [pending.size for pending in collected._clips.values()]
        assert collected._held == sum(held) <= limits.total_bytes
        assert len(held) <= 3 * limits.clips
        due = collected.next_due()
        assert due is None or due > now
    for clip in collected.flush():
        check_received(clip)
    assert collected.next_due() is None


def check_received(clip: ReceivedClip) -> None:
    """What is handed out was sent like this, and announced."""
    layers = [p.layer for p in clip.packets]
    named = [k for k in range(16) if clip.marker.layers >> k & 1]
    assert layers == named[: len(layers)] and clip.complete == (layers == named)
    assert 0 <= clip.missing <= clip.marker.messages
    at = 0
    for expected in clip.packets:
        found, at = parse_packet(clip.data, at, HEAD)
        assert isinstance(found, Packet) and replace(found, clip=clip.number) == expected
    assert at == len(clip.data)


def fragment(data: bytes) -> None:
    """A trickle ICE body, and the user fragment of a description."""
    words = data.decode("utf-8", "replace")
    ice_ufrag(words)
    parse_fragment(words)


def candidate(data: bytes) -> None:
    """A session description whose candidates are read and replaced."""
    words = data.decode("utf-8", "replace")
    first_candidate(words)
    with_candidate(words, ("127.0.0.1", 9))


@dataclass(frozen=True)
class Target:
    """Attributes:
    run: raises on a finding.
    share: of ten million cases.
    batch: cases that may take two seconds together.
    seeds: to begin with.
    """

    run: Callable[[bytes], None]
    share: int
    batch: int
    seeds: Callable[[], list[bytes]]

    def __call__(self, data: bytes) -> None:
        """One case."""
        with suppress(GistcastError):
            self.run(data)


def _files() -> list[bytes]:
    names = ("flat-odd", "text-64", "latent-clips", "layers-64", "pan-clips", "short-48x80")
    paths = [GOLDEN / version / f"{name}.gist" for version in ("v2", "v3") for name in names]
    return [path.read_bytes() for path in paths]


def _small_files() -> list[bytes]:
    """Golden clips, first layers alone, under headers of small frames."""
    out = []
    for data in _files():
        parsed = read_gist(data)
        head = replace(parsed.header, width=16, height=12, seed=9).to_bytes()
        packets = [p for c in parsed.clips[:2] for p in c.packets[:4]]
        out.append(head + b"".join(p.to_bytes(head) for p in packets))
    for version in (2, 3):  # AV1 that fits, in one clip whole and in the next cut off
        head = Header(18, 16, Fraction(25), version=version).to_bytes()
        first, second = _videos()[2], _videos()[7]
        layers = [Packet(0, VIDEO, first, True), Packet(1, VIDEO, second[:40], True)]
        out.append(head + b"".join(p.to_bytes(head) for p in layers))
    return out + _wrong_files()


def _wrong_files() -> list[bytes]:
    """Sound packets under headers that do not fit them, and payloads that are none."""
    packets = [
        Packet(0, TEXT, b"\xff\xff"),
        Packet(0, LATENT, b"\xff" * 40),
        Packet(0, RESIDUAL, b""),
    ]
    own, others = Header(16, 12, Fraction(25), 8, 0, 255, b"toy1"), [Packet(0, VIDEO, b"")]
    return [
        head.to_bytes() + b"".join(p.to_bytes(head.to_bytes()) for p in clip)
        for head, clip in (
            (own, packets),
            (replace(own, weights=b"toy2"), packets),
            (replace(own, tables=b"none"), packets),
            (replace(own, width=512), packets),
            (own, [replace(p, frames=32) for p in packets]),
            (own, [packets[0], replace(packets[1], frames=3)]),
            (own, others),
        )
    ]


def _payloads(layers: range, version: str = "v[23]") -> list[bytes]:
    out = []
    for path in sorted(GOLDEN.glob(f"{version}/*.gist")):
        for clip in read_gist(path.read_bytes()).clips:
            out += [p.payload for p in clip.packets if p.layer in layers]
    return out


def _texts() -> list[bytes]:
    long = "a woman in a red coat walks a small dog along the street while a bus stops behind them"
    words = ("a man on a bicycle", "Ä", "x" * 900, "zwei Hunde auf dem Eis ❄", long)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, dictionary())
    too_long = deflate.compress(bytes(5000)) + deflate.flush()
    return [encode_text(word) for word in words] + _payloads(range(1)) + [too_long]


def _videos() -> list[bytes]:
    """Layers of AV1, 32 frames of 18x16: 1 to 32 of them kept, in both structures."""
    lines = (Path(__file__).parent / "av1-18x16.txt").read_text().split()
    return [base64.b64decode(line) for line in lines]


def _residuals() -> list[bytes]:
    """Layers of both editions of the tables."""
    older, newer = (_payloads(range(2, 12), version) for version in ("v2", "v3"))
    same = [b"\x81\x4c\3\0" + bytes([value]) * 200 for value in (0, 0x55, 0xFF)]
    huge = [bytes.fromhex(first + "2700f482c8f736") + bytes(20) for first in ("01", "81")]
    return (
        [b"\1\x4c" + p[:200] for p in older] + [b"\x85\x4c" + p[:200] for p in newer] + same + huge
    )


def _headers() -> list[bytes]:
    longest = Header(1920, 1080, Fraction(999, 1000), 8, 2**32 - 1, 7, b"1234", b"tabl")
    return [read_gist(data).header_bytes for data in _files()] + [longest.to_bytes()]


def _packets() -> list[bytes]:
    whole = Packet(300, 5, bytes(20), True, 7, 1 << 40)
    return [p.to_bytes(HEAD) for p in (whole, Packet(0, 0, b""), Packet(9, 2, b"\x4c\0"))]


def script(messages: list[bytes], step: int = 3) -> bytes:
    """For `assembler`: a message every `step` hundredths of a second."""
    return b"\1" + b"".join(bytes([step]) + len(m).to_bytes(2, "little") + m for m in messages)


def wire(number: int, sizes: tuple[int, ...], protect: int) -> list[bytes]:
    """A clip's messages, its marker first, each much smaller than a sender's."""
    packets = [Packet(number, k, bytes([k]) * size) for k, size in enumerate(sizes)]
    joined = Chunk(0x81, b"later").to_bytes(HEAD) * (number % 2)  # to be left out
    joined += b"".join(p.to_bytes(HEAD) for p in packets)
    bodies = [joined[at : at + 50] for at in range(60, len(joined), 50)]
    pieces = [Piece(number, seq, body).to_bytes() for seq, body in enumerate(bodies)]
    layers, sent = (1 << len(sizes)) - 1, 40 * number
    marker = ClipMarker(number, 8, None, layers, len(pieces), sent, 9, 100, joined[:60])
    out = [marker.to_bytes(), *pieces]
    for first in range(0, len(pieces), protect) if protect else ():
        group = pieces[first : first + protect]
        out.append(Parity(number, first, len(group), xor_messages(group)).to_bytes())
    return out


def _scripts() -> list[bytes]:
    whole = [m for n in range(4) for m in wire(n, (9, 30, 200, 150), n)]
    copies = [Copied(m).to_bytes() for m in map(parse_message, whole) if isinstance(m, ClipMarker)]
    ends = [Cut(3, 1).to_bytes(), End(4, 20).to_bytes()]
    small = [m for n in range(6) for m in wire(n, (0, 20, 40), 0)]
    return [script(m) for m in (whole, small, copies + whole[::-1], whole[::2] + ends)] + [
        script([*small, *copies, *ends], 90)
    ]


def _messages() -> list[bytes]:
    marker = ClipMarker(300, 32, 77, 0b111, 5, 1000, 40, 250, b"packets")
    known = [StreamHeader(1 << 50, 7, HEAD), marker, Piece(44, 4095, b"body")]
    others = [bytes([kind, 1, *range(1, 30)]) for kind in Kind]
    others.append(bytes([Kind.HEADER, 2]) + bytes(1050))  # more than a header may have
    return [m.to_bytes() for m in known] + others


_SDP = """v=0
o=- 1 2 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:0
a=ice-ufrag:abcd
a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host
a=candidate:2 1 UDP 1 fe80::1 5000 typ host generation 0
a=end-of-candidates
""".replace("\n", "\r\n").encode()

_MANY = b"a=mid:0\r\na=ice-ufrag:abcd\r\n" + 70 * b"a=candidate:1 1 udp 1 ::1 9 typ host\r\n"

#: name -> target. The cheap ones read most headers; the dear ones are behind them.
TARGETS = {
    "header": Target(header, 3_300_000, 1000, _headers),
    "packet": Target(packet, 3_000_000, 1000, _packets),
    "message": Target(message, 2_700_000, 1000, _messages),
    "assembler": Target(assembler, 300_000, 200, _scripts),
    "fragment": Target(
        fragment, 700_000, 1000, lambda: [_SDP, _SDP[_SDP.index(b"a=mid") :], _SDP[150:], _MANY]
    ),
    "candidate": Target(candidate, 200_000, 500, lambda: [_SDP]),
    "file": Target(file, 20_000, 50, _files),
    "text": Target(text, 30_000, 10, _texts),
    "latent": Target(latent, 40_000, 100, lambda: _payloads(range(1, 2))),
    "motion": Target(motion, 60_000, 100, lambda: [p[2:40] for p in _payloads(range(2, 3))]),
    "residual": Target(residual, 30_000, 50, _residuals),
    "units": Target(units, 40_000, 10, lambda: [p[:1] + b"\1" + p[2:] for p in _videos()]),
    "video": Target(video, 20_000, 10, _videos),
    "clips": Target(clips, 8_000, 5, _small_files),
}

assert RESIDUAL == 2 and VIDEO == 12 and put_varint(0) == b"\0"  # as the ranges above have it
