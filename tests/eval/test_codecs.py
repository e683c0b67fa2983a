"""The standard codecs: what is counted decodes, and nothing else is counted."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.eval.codecs import STANDARD, spread, standard_codec
from gistcast.eval.codecs.annexb import nal_units, strip_h264, strip_h265
from gistcast.eval.codecs.ffmpeg import FfmpegCodec, frame_planes
from gistcast.eval.metrics.psnr import frame_mse, psnr_of_mse

FPS = Fraction(25)
codecs = pytest.mark.parametrize("codec", STANDARD, ids=lambda codec: codec.name)


def luma_psnr(a: Clip, b: Clip) -> float:
    return psnr_of_mse(float(frame_mse(a.y, b.y).mean()))


@codecs
def test_finer_points_cost_more_and_show_more(codec: FfmpegCodec, short_clip: Clip) -> None:
    coarse = codec.code(short_clip, FPS, codec.points[0])
    fine = codec.code(short_clip, FPS, codec.points[-1])
    assert 0 < coarse.bytes < fine.bytes
    assert luma_psnr(short_clip, coarse.decoded) + 3 < luma_psnr(short_clip, fine.decoded)
    assert luma_psnr(short_clip, fine.decoded) > 30
    assert coarse.encode_seconds > 0 and coarse.decode_seconds > 0


@codecs
def test_frames_come_back_in_order(codec: FfmpegCodec, clip: Clip) -> None:
    decoded = codec.code(clip, FPS, codec.points[-1]).decoded
    error = [[float(np.mean((a - b.astype(float)) ** 2)) for b in clip.y] for a in decoded.y]
    assert np.argmin(error, 1).tolist() == list(range(32))


@codecs
def test_the_same_clip_gives_the_same_bytes(codec: FfmpegCodec, short_clip: Clip) -> None:
    point = codec.points[2]
    assert codec.code(short_clip, FPS, point).payload == codec.code(short_clip, FPS, point).payload


@codecs
def test_one_key_frame_and_half_size_and_a_single_frame(codec: FfmpegCodec, clip: Clip) -> None:
    still = Clip(*(np.repeat(plane[:1], 8, 0) for plane in clip.planes))
    first, *rest = map(len, codec.code(still, FPS, codec.points[3]).payload)
    assert sum(rest) < first / 2  # repeats that are predicted cost next to nothing
    assert codec.code(still[:1], FPS, codec.points[3]).decoded.frames == 1
    small = Clip(still.y[:, :32, :32], still.u[:, :16, :16], still.v[:, :16, :16])
    assert codec.code(small, FPS, codec.points[3]).decoded.y.shape == (8, 32, 32)


def test_parameter_sets_once_and_no_information_about_the_encoder(short_clip: Clip) -> None:
    for name, shift, mask, kinds, sei in (
        ("x264", 0, 0x1F, {7, 8}, {6}),
        ("x265", 1, 0x3F, {32, 33, 34}, {39, 40}),
    ):
        coded = standard_codec(name).code(short_clip, FPS, 45)
        found = [u[0] >> shift & mask for packet in coded.payload for u in nal_units(packet)]
        assert not sei & set(found)
        assert all(found.count(kind) == 1 for kind in kinds)
        assert b"x26" not in b"".join(coded.payload)


def test_stripping_keeps_slices_and_shortens_start_codes() -> None:
    slice_, sei = b"\x65\x11\x22", b"\x06\x05\x10"
    stream = b"\0\0\0\1" + sei + b"\0\0\0\1" + slice_ + b"\0\0\1\x41\x01"
    assert list(nal_units(stream)) == [sei, slice_, b"\x41\x01"]
    assert strip_h264(stream) == b"\0\0\1" + slice_ + b"\0\0\1\x41\x01"
    prefix_sei = b"\x4e\x01\x05"
    assert strip_h265(b"\0\0\1" + prefix_sei + b"\0\0\1\x26\x01") == b"\0\0\1\x26\x01"
    assert strip_h264(b"no start code") == b""


def test_a_zero_byte_at_the_end_of_the_last_unit_is_kept() -> None:
    assert list(nal_units(b"\0\0\1\x65\x80\0")) == [b"\x65\x80\0"]


def test_failures_name_the_codec(short_clip: Clip) -> None:
    codec = FfmpegCodec("none", "no-such", "h264", lambda _: {}, bytes, (1,), "")
    with pytest.raises(GistcastError, match="none at 1 failed"):
        codec.code(short_clip, FPS, 1)
    with pytest.raises(UsageError, match="x266"):
        standard_codec("x266")


def test_settings_tell_everything_that_a_cache_key_needs() -> None:
    for codec in STANDARD:
        lines = [codec.settings(point) for point in codec.points]
        assert len(set(lines)) == len(lines)
        assert all(codec.encoder in line for line in lines)


def test_spread_takes_both_ends() -> None:
    assert spread((1, 2, 3, 4, 5, 6, 7), 3) == [1, 4, 7]
    assert spread((1, 2, 3), None) == spread((1, 2, 3), 9) == [1, 2, 3]
    assert spread((1, 2, 3), 1) == [1]
    with pytest.raises(UsageError):
        spread((1, 2), 0)


@pytest.mark.parametrize("name", ["x264", "x265"])
def test_the_counted_bytes_alone_are_a_stream_that_plays(name: str, short_clip: Clip) -> None:
    codec = standard_codec(name)
    coded = codec.code(short_clip, FPS, codec.points[2])
    stream = io.BytesIO(b"".join(coded.payload))
    with av.open(stream, format=codec.decoder) as container:
        frames = [frame_planes(frame)[0] for frame in container.decode(video=0)]
    assert (np.stack(frames) == coded.decoded.y).all()
