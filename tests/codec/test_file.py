"""Packets, headers and files: round trips, and every kind of damage to a real small file."""

from __future__ import annotations

import contextlib
import resource
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gistcast.codec.clip import Clip
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.errors import (
    CorruptError,
    GistcastError,
    LimitError,
    ModelError,
    UsageError,
)
from gistcast.codec.file import decode_video, encode_video, index_chunk, read_gist, read_index
from gistcast.codec.header import Header, parse_header
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import RESIDUAL, Chunk, Packet, get_varint, parse_packet, put_varint


@given(st.integers(0, 2**56))
def test_varint(value: int) -> None:
    data = put_varint(value)
    assert get_varint(b"x" + data, 1, 2**56, "f") == (value, 1 + len(data))


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x80\x00", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
)
def test_varint_refuses(data: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        get_varint(data, 0, 2**60, "here")
    assert caught.value.field == "here"
    assert caught.value.offset == 0


@given(
    st.integers(0, 2**40), st.integers(0, 15), st.binary(max_size=300), st.booleans(),
    st.none() | st.integers(1, 32), st.none() | st.integers(0, 2**50),
)  # fmt: skip
def test_packet(
    clip: int, layer: int, payload: bytes, last: bool, frames: int | None, pts: int | None
) -> None:
    packet = Packet(clip, layer, payload, last, frames, pts)
    data = packet.to_bytes(b"header")
    parsed, end = parse_packet(b"??" + data, 2, b"header")
    assert parsed == Packet(clip % 256, layer, payload, last, frames, pts)
    assert end == 2 + len(data)
    with pytest.raises(CorruptError, match="CRC32C"):
        parse_packet(data, 0, b"another header")


def test_overhead_around_a_clip() -> None:
    assert len(Packet(3, 2, bytes(500), True).to_bytes(b"")) - 500 <= 8
    assert len(Header(64, 64, Fraction(25)).to_bytes()) == 12
    biggest = Header(1920, 1080, Fraction(999, 1000), 8, 2**32 - 1, 7, b"1234")
    assert len(biggest.to_bytes()) <= 40


@given(
    st.integers(1, 1920), st.integers(1, 1088),
    st.fractions(Fraction(1, 10), 240, max_denominator=1001),
    st.sampled_from([8, 16, 32]), st.integers(0, 2**32 - 1), st.integers(0, 255),
)  # fmt: skip
def test_header(w: int, h: int, fps: Fraction, clip: int, seed: int, model: int) -> None:
    header = Header(w, h, fps, clip, seed, model, b"abcd" if model else b"\0\0\0\0", b"tabl")
    data = header.to_bytes()
    assert parse_header(data + b"rest") == (header, len(data))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "magic"),
        (b"RIFF....", "magic"),
        (b"GST\x10", "version"),
        (b"GST\x40\x02@@\x02abcd", "version"),
        (b"GST\x00\x02@@\x02abcd", "version"),
        (b"GST\x10\xf2@@\x02abcd", "flags"),
        (b"GST\x10\x02\xff\xff\x7f@\x02abcd", "width"),
        (b"GST\x10\x02\x80\x20\x80\x20\x02abcd", "header"),
        (b"GST\x10\x02@@\xc8abcd", "rate"),
        (b"GST\x10\x02@@\x00\x00\x01abcd", "rate"),
        (b"GST\x10\x02@@\x02abc", "tables"),
        (b"GST\x10\x02\x00@\x02abcd", "header"),
        (b"GST\x10\x0a@@\x02abcd\0wxyz", "model"),
    ],
)
def test_header_refuses(data: bytes, field: str) -> None:
    with pytest.raises(CorruptError) as caught:
        parse_header(data)
    assert caught.value.field == field


def test_geometry_is_checked_before_anything_is_allocated() -> None:
    with pytest.raises(LimitError):
        Header(4096, 4096, Fraction(25))


@pytest.fixture(scope="module")
def coded(street: Clip, info: VideoInfo) -> bytes:
    """Two clips of 8 frames in three layers, about 400 bytes, with an index."""
    small = EncodeSettings(clip_bytes=190, clip_frames=8, residual_layers=3)
    return encode_video([street[:8], street[8:16]], info, small, index=True)


@pytest.fixture(scope="module")
def sketches(coded: bytes) -> list[Clip]:
    return [d.clip for d in decode_video(coded)]


def _same(a: Clip, b: Clip) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a.planes, b.planes, strict=True))


def test_index(coded: bytes) -> None:
    assert read_index(coded) == [c.offset for c in read_gist(coded).clips]
    assert read_index(coded[:-1]) is None


def test_index_is_optional(coded: bytes) -> None:
    parsed = read_gist(coded)
    bare = coded[: parsed.clips[-1].offset + parsed.clips[-1].size]
    again = read_gist(bare)
    assert [c.packets for c in again.clips] == [c.packets for c in parsed.clips]
    sizes = [c.size for c in parsed.clips]
    assert bare + index_chunk(sizes, parsed.header_bytes) == coded


def test_unknown_chunks_are_skipped(coded: bytes, sketches: list[Clip]) -> None:
    parsed = read_gist(coded)
    at = parsed.clips[1].offset
    strange = Chunk(0xF3, b"from the future").to_bytes(parsed.header_bytes)
    clips = list(decode_video(coded[:at] + strange + coded[at:]))
    assert all(_same(d.clip, s) for d, s in zip(clips, sketches, strict=True))


def test_every_truncation(coded: bytes, sketches: list[Clip]) -> None:
    ends = [c.offset + c.size for c in read_gist(coded).clips]
    for length in range(len(coded)):
        started = time.monotonic()
        try:
            decoded = list(decode_video(coded[:length]))
        except GistcastError:
            assert length < ends[0]
            continue
        whole = sum(end <= length for end in ends)
        assert len(decoded) >= whole
        for index in range(whole):
            assert _same(decoded[index].clip, sketches[index])
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_every_byte_flipped(coded: bytes, sketches: list[Clip], flip: int) -> None:
    parsed = read_gist(coded)
    for at in range(len(coded)):
        damaged = bytearray(coded)
        damaged[at] ^= flip
        try:
            found = read_gist(bytes(damaged))
        except GistcastError:
            assert at < parsed.clips[0].offset
            continue
        assert found.damage
        touched = [c.offset <= at < c.offset + c.size for c in parsed.clips]
        by_number = {c.number: c.packets for c in found.clips}
        for clip, hit in zip(parsed.clips, touched, strict=True):
            if not hit:
                assert by_number[clip.number] == clip.packets


def test_flipped_files_decode(coded: bytes, sketches: list[Clip]) -> None:
    for at in range(0, len(coded), 7):
        damaged = bytearray(coded)
        damaged[at] ^= 0x10
        try:
            decoded = list(decode_video(bytes(damaged)))
        except GistcastError:
            continue
        assert all(d.clip.y.shape == (8, 64, 64) for d in decoded)


def test_payload_damage_behind_a_good_crc(coded: bytes) -> None:
    """A hostile sender can make CRCs match: the decoder must survive any payload."""
    parsed = read_gist(coded)
    rng = np.random.default_rng(0)
    for _ in range(60):
        packets = []
        for packet in parsed.clips[0].packets:
            payload = bytearray(packet.payload)
            payload[rng.integers(len(payload))] = rng.integers(256)
            packets.append(Packet(packet.clip, packet.layer, bytes(payload), packet.last))
        data = parsed.header_bytes + b"".join(p.to_bytes(parsed.header_bytes) for p in packets)
        for decoded in decode_video(data):
            assert decoded.clip.y.shape == (8, 64, 64)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_files(tail: bytes) -> None:
    head = Header(64, 64, Fraction(25)).to_bytes()
    for data in (tail, head + tail):
        with contextlib.suppress(GistcastError):
            list(decode_video(data))


def test_resync_work_is_bounded() -> None:
    head = Header(64, 64, Fraction(25)).to_bytes()
    evil = head + b"\x02\x00\xff\xff\x3f" * 200_000  # every offset claims a megabyte
    started = time.monotonic()
    with pytest.raises(CorruptError):
        read_gist(evil)
    assert time.monotonic() - started < 20


def test_other_tables_are_refused(coded: bytes) -> None:
    parsed = read_gist(coded)
    other = Header(64, 64, Fraction(25), 8, tables=b"none")
    data = other.to_bytes() + b"".join(
        p.to_bytes(other.to_bytes()) for p in parsed.clips[0].packets
    )
    with pytest.raises(ModelError, match="tables"):
        list(decode_video(data))


def test_missing_model_is_named(coded: bytes) -> None:
    parsed = read_gist(coded)
    other = Header(64, 64, Fraction(25), 8, model_id=200, weights=b"\1\2\3\4")
    data = other.to_bytes() + b"".join(
        p.to_bytes(other.to_bytes()) for p in parsed.clips[0].packets
    )
    with pytest.raises(ModelError, match="200:01020304"):
        list(decode_video(data))


def test_resync_work_is_shared_by_all_gaps() -> None:
    head = Header(64, 64, Fraction(25)).to_bytes()
    gap = b"\x02\x00\xff\xff\x3f" * 11 + Chunk(0xF0, b"").to_bytes(head)
    started = time.monotonic()
    read_gist(head + gap * 17_000)
    assert time.monotonic() - started < 20


def test_a_clip_that_contradicts_itself_is_concealed(coded: bytes, sketches: list[Clip]) -> None:
    parsed = read_gist(coded)
    head = parsed.header_bytes
    first, second, third = parsed.clips[0].packets
    packets = [first, replace(second, frames=3), third, *parsed.clips[1].packets]
    decoded = list(decode_video(head + b"".join(p.to_bytes(head) for p in packets)))
    assert decoded[0].damage and np.all(decoded[0].clip.y == 128)
    assert _same(decoded[1].clip, sketches[1])


def test_what_no_reader_would_take_is_not_written() -> None:
    with pytest.raises(UsageError, match="more layers"):
        Packet(0, 2, bytes((1 << 20) + 1)).to_bytes(b"")


def test_text_does_not_disturb_a_residual(street: Clip, info: VideoInfo) -> None:
    """Without a latent the residual stands on grey, whatever the text would draw."""

    class Loud:
        model_id, weights_hash = 9, b"loud"
        latent_frequencies = np.array([[1, 32766, 1]], np.uint16)

        def describe(self, clip: Clip) -> np.ndarray:
            return np.ones(1, np.int32)

        def gist(
            self, latent: object, text: object, *, frames: int, height: int, width: int, **_: object
        ) -> tuple:
            rng = np.random.default_rng(0)
            luma = rng.uniform(0, 255, (frames, height, width)).astype(np.float32)
            return luma, luma[:, ::2, ::2], luma[:, ::2, ::2]

    small = EncodeSettings(quality=40, text="noise", latent="auto")
    plain = EncodeSettings(quality=40, text="noise")
    data = encode_video([street], info, small, Loud())  # type: ignore[arg-type]
    (decoded,) = decode_video(data, Loud())  # type: ignore[arg-type]
    (expected,) = decode_video(encode_video([street], info, plain))
    assert decoded.latent is None and _same(decoded.clip, expected.clip)


def _empty_clip(width: int, height: int) -> bytes:
    """A stream whose one residual says nothing: 23 bytes, whatever the size."""
    head = Header(width, height, Fraction(25)).to_bytes()
    return head + Packet(0, RESIDUAL, b"\x4c\0", True).to_bytes(head)


def test_larger_frames_than_the_reader_wants_are_refused() -> None:
    data = _empty_clip(321, 200)
    assert len(list(decode_video(data, max_pixels=321 * 200))) == 1
    with pytest.raises(LimitError, match="321x200"):
        list(decode_video(data, max_pixels=321 * 200 - 1))


def test_an_empty_residual_costs_no_more_than_its_frames() -> None:
    data = _empty_clip(1920, 1080)
    assert len(data) == 23
    before, started = _peak(), time.process_time()
    (decoded,) = decode_video(data)
    assert time.process_time() - started < 5  # 0.3 here; to transform so many zeros takes 5.3
    assert decoded.clip.y.shape == (32, 1080, 1920) and np.all(decoded.clip.y == 128)
    assert not decoded.damage and decoded.residual_layers == 1
    assert _peak() - before < 4 * decoded.clip.y.size  # 1.5 here; it was 24


def _peak() -> int:
    """Most bytes that this process ever had in memory."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
