"""Whether a codec is measured fairly: properties of what it does, not of what it says.

    python -m gistcast.eval.fair x265 ./own_codec.py:CODEC

    probe clip --encode, decode, encode again--> complaints

The probe is a clip whose frames and quadrants are told apart by their mean colour, so that a frame
that was dropped, repeated or reordered and a colour matrix that was mixed up show in the figures.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.colour import rgb_to_clip
from gistcast.codec.errors import GistcastError
from gistcast.eval.codecs.annexb import nal_units
from gistcast.eval.codecs.base import REALTIME, Codec, Coded, Geometry

FPS = Fraction(25)
_SIDE, _FRAMES, _SHORT = 64, 10, 5
_TOLERANCE = 3.0  # levels that the mean of a quadrant may be off at the finest point
_PRIMARIES = ((210, 30, 40), (30, 210, 40), (40, 30, 210), (200, 200, 30))

_CONTAINERS = {
    b"DKIF": "IVF",
    b"\x1a\x45\xdf\xa3": "Matroska",
    b"RIFF": "AVI or WebP",
    b"YUV4MPEG2": "y4m",
    b"FLV": "Flash video",
}
_NAMES = (b"x264", b"x265", b"Lavc", b"Lavf", b"SVT-AV1", b"libaom", b"VVenC")

#: decoder -> byte, shift and mask of a NAL unit's type, types that nobody needs, those once
_NAL = {
    "h264": (0, 0, 0x1F, {6, 9, 10, 11, 12}, {7, 8}),
    "hevc": (0, 1, 0x3F, {35, 36, 37, 38, 39, 40}, {32, 33, 34}),
    "vvc": (1, 3, 0x1F, {20, 21, 22, 23, 24, 25}, {15, 16}),
}
#: libvpx holds frames back in one pass but does not use them: its alternative references need a
#: second pass, which mostly costs more than it wins on clips this small (docs/evaluation-codec.md)
_ONE_PASS = ("libvpx", "libvpx-vp9")
_SEQUENCE, _DELIMITER, _METADATA, _PADDING = 1, 2, 5, 15  # OBU types


def check_fair(codec: Codec) -> list[str]:
    """What is unfair about a codec, a sentence each; nothing where all is well.

    Raises:
        GistcastError: it cannot code the probe.
    """
    clip, other = probe(0), probe(1)
    fresh = copy.deepcopy(codec)
    coarse, fine = codec.points[len(codec.points) // 2], codec.points[-1]
    coded = codec.encode(clip, FPS, coarse)
    shown = codec.decode(coded, Geometry.of(clip))
    complaints = list(_bytes(codec, coded))
    complaints += _apart(codec, fresh, coded, clip, other, coarse, shown[min(shown)])
    complaints += _mode(codec, coded, clip, coarse)
    best = codec.decode(codec.encode(clip, FPS, fine), Geometry.of(clip))
    complaints += _pictures(clip, best[max(best)])
    return complaints


def probe(seed: int) -> Clip:
    """Ten frames of 64 x 64: saturated quadrants under a texture, each frame of another
    brightness, in no order."""
    rng = np.random.default_rng(seed)
    brightness = 0.45 + 0.55 * rng.permutation(_FRAMES) / (_FRAMES - 1)
    texture = np.kron(rng.uniform(-12, 12, (_SIDE // 4, _SIDE // 4, 1)), np.ones((4, 4, 1)))
    colours = np.array(_PRIMARIES, float).reshape(2, 2, 3)
    ground = np.kron(colours, np.ones((_SIDE // 2, _SIDE // 2, 1)))
    frames = [np.roll(texture, t, 1) + ground * b for t, b in enumerate(brightness)]
    return rgb_to_clip(np.clip(np.rint(frames), 0, 255).astype(np.uint8))


def _apart(
    codec: Codec, fresh: Codec, coded: Coded, clip: Clip, other: Clip, point: float, shown: Clip
) -> Iterator[str]:
    """Encoder and decoder share the packets and nothing else; clips share nothing."""
    between = codec.encode(other, FPS, point)
    like = Geometry.of(clip)
    again = fresh.decode(Coded(coded.packets, coded.times), like)
    if not any(_same(one, shown) for one in again.values()):
        yield "the decoder uses what the encoder kept, not only the packets"
    swapped = codec.decode(between, like)
    if any(_same(one, shown) for one in swapped.values()):
        yield "the decoder shows the same whatever packets it is given"
    if codec.encode(clip, FPS, point).packets != coded.packets:
        yield "a clip's packets depend on the clips before it, or on chance"


def _mode(codec: Codec, coded: Coded, clip: Clip, point: float) -> Iterator[str]:
    """A real-time codec must not know later frames; a delay-matched standard must use them."""
    start = codec.encode(clip[:_SHORT], FPS, point)
    causal = b"".join(coded.packets).startswith(b"".join(start.packets))
    one_pass = getattr(codec, "encoder", "") in _ONE_PASS
    if codec.mode == REALTIME and not causal:
        yield "a real-time codec looks ahead: packets change with the frames behind them"
    if codec.mode != REALTIME and causal and hasattr(codec, "encoder") and not one_pass:
        yield "a delay-matched encoder does not look ahead: is it set to zero latency?"


def _pictures(clip: Clip, shown: Clip) -> Iterator[str]:
    """At the finest point every frame comes back, in its place and in its colours."""
    if shown.y.shape != clip.y.shape:
        yield f"{shown.y.shape} came back of {clip.y.shape}"
        return
    luma = np.abs(_means(clip.y) - _means(shown.y))
    if luma.mean((1, 2)).max() > _TOLERANCE:
        yield "frames are dropped, repeated or out of order, or luma is shifted"
    chroma = [np.abs((_means(a) - _means(b)).mean(0)) for a, b in
              zip(clip.planes[1:], shown.planes[1:], strict=True)]  # fmt: skip
    if max(luma.mean(0).max(), *(plane.max() for plane in chroma)) > _TOLERANCE:
        yield "colours are shifted: another matrix or range than BT.709 limited"


def _bytes(codec: Codec, coded: Coded) -> Iterator[str]:
    """Nothing is counted that a decoder does not need."""
    payload = b"".join(coded.packets)
    for magic, name in _CONTAINERS.items():
        if any(packet.startswith(magic) for packet in coded.packets):
            yield f"a container is counted: {name}"
    if payload[4:8] == b"ftyp":
        yield "a container is counted: MP4"
    yield from (f"the encoder's name is counted: {n.decode()}" for n in _NAMES if n in payload)
    decoder = getattr(codec, "decoder", "")
    if decoder in _NAL:
        yield from _nal_complaints(decoder, coded)
    elif decoder == "libdav1d":
        yield from _obu_complaints(coded)
    elif decoder == "vp8" and coded.packets[0][3:6] != b"\x9d\x01\x2a":
        yield "packets do not begin with VP8 frames"
    elif decoder == "vp9" and any(packet[0] >> 6 != 2 for packet in coded.packets):
        yield "packets do not begin with VP9 frames"


def _nal_complaints(decoder: str, coded: Coded) -> Iterator[str]:
    at, shift, mask, needless, once = _NAL[decoder]
    if any(not packet.startswith(b"\0\0\1") for packet in coded.packets):
        yield "packets do not begin with start codes of three bytes"
    if any(b"\0\0\0\1" in packet for packet in coded.packets):
        yield "start codes of four bytes are counted"
    units = [unit for packet in coded.packets for unit in nal_units(packet)]
    kinds = [unit[at] >> shift & mask for unit in units]
    if found := sorted(needless & set(kinds)):
        yield f"NAL units that no decoder needs are counted (SEI, delimiters, filler): {found}"
    if any(kinds.count(kind) > 1 for kind in once):
        yield "parameter sets are counted more than once"


def _obu_complaints(coded: Coded) -> Iterator[str]:
    kinds = [kind for packet in coded.packets for kind in obu_types(packet)]
    if -1 in kinds:
        yield "packets are not made of OBUs"
    if found := sorted({_DELIMITER, _METADATA, _PADDING} & set(kinds)):
        yield f"OBUs that no decoder needs are counted: {found}"
    if kinds.count(_SEQUENCE) > 1:
        yield "sequence headers are counted more than once"


def obu_types(packet: bytes) -> Iterator[int]:
    """Types of a packet's OBUs (AV1 specification, 5.3); -1 where it is not made of them."""
    at = 0
    while at < len(packet):
        head = packet[at]
        at += 2 if head & 4 else 1  # an extension byte
        size = len(packet) - at
        if head & 2:  # has a size of its own, LEB128
            size, shift = 0, 0
            while at < len(packet) and shift < 56:
                size |= (packet[at] & 0x7F) << shift
                shift, at = shift + 7, at + 1
                if not packet[at - 1] & 0x80:
                    break
        if head & 0x81 or size > len(packet) - at:
            yield -1
            return
        yield head >> 3
        at += size


def _means(
    plane: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(T, 2, 2): the mean of each quadrant of each frame."""
    frames, height, width = plane.shape
    parts = plane.reshape(frames, 2, height // 2, 2, width // 2)
    return np.asarray(parts.mean((2, 4)), np.float64)


def _same(a: Clip, b: Clip) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a.planes, b.planes, strict=True))


def main(specs: list[str]) -> int:
    """Complaints about codecs by name, on standard output; how many there are."""
    from gistcast.eval.codecs.family import codecs_of

    found = 0
    for spec in specs:
        for codec in codecs_of(spec, (_SIDE, _SIDE), "cpu")[0]:
            try:
                complaints = check_fair(codec)
            except GistcastError as error:
                complaints = [str(error)]
            found += len(complaints)
            print(f"{codec.name} {codec.mode}".strip() + ":", "; ".join(complaints) or "fair")
    return found


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
