"""The standard codecs: what is counted decodes, and nothing else is counted."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.eval.codecs import STANDARD, Codec, Coded, Geometry, spread, standard_codecs
from gistcast.eval.codecs.annexb import nal_units, strip_h264, strip_h265, strip_h266
from gistcast.eval.codecs.ffmpeg import FfmpegCodec, frame_planes
from gistcast.eval.codecs.ivf import ivf_frames
from gistcast.eval.codecs.x265 import X265
from gistcast.eval.metrics.psnr import frame_mse, psnr_of_mse

FPS = Fraction(25)
codecs = pytest.mark.parametrize(
    "codec", STANDARD, ids=lambda codec: f"{codec.name}-{codec.mode}".strip("-")
)


def show(codec: Codec, coded: Coded, clip: Clip) -> Clip:
    return codec.decode(coded, Geometry.of(clip))[""]


def luma_psnr(a: Clip, b: Clip) -> float:
    return psnr_of_mse(float(frame_mse(a.y, b.y).mean()))


@codecs
def test_finer_points_cost_more_and_show_more(codec: Codec, short_clip: Clip) -> None:
    coarse = codec.encode(short_clip, FPS, codec.points[0])
    fine = codec.encode(short_clip, FPS, codec.points[-1])
    assert 0 < coarse.bytes < fine.bytes
    best = luma_psnr(short_clip, show(codec, fine, short_clip))
    assert luma_psnr(short_clip, show(codec, coarse, short_clip)) + 3 < best
    assert best > 30
    assert coarse.seconds > 0


@codecs
def test_frames_come_back_in_order(codec: Codec, clip: Clip) -> None:
    decoded = show(codec, codec.encode(clip, FPS, codec.points[-1]), clip)
    error = [[float(np.mean((a - b.astype(float)) ** 2)) for b in clip.y] for a in decoded.y]
    assert np.argmin(error, 1).tolist() == list(range(32))


@codecs
def test_the_same_clip_gives_the_same_bytes(codec: Codec, short_clip: Clip) -> None:
    point = codec.points[2]
    first, second = (codec.encode(short_clip, FPS, point) for _ in range(2))
    assert first.packets == second.packets


@codecs
def test_one_key_frame_and_half_size_and_a_single_frame(codec: Codec, clip: Clip) -> None:
    still = Clip(*(np.repeat(plane[:1], 8, 0) for plane in clip.planes))
    point = codec.points[3]
    one = codec.encode(still[:1], FPS, point)
    assert show(codec, one, still[:1]).frames == 1
    # repeats are predicted: eight key frames would cost eight times as much
    assert codec.encode(still, FPS, point).bytes < 8 * one.bytes / 2
    small = Clip(still.y[:, :32, :32], still.u[:, :16, :16], still.v[:, :16, :16])
    assert show(codec, codec.encode(small, FPS, point), small).y.shape == (8, 32, 32)


def test_parameter_sets_once_and_no_information_about_the_encoder(short_clip: Clip) -> None:
    for name, shift, mask, kinds, sei in (
        ("x264", 0, 0x1F, {7, 8}, {6}),
        ("x265", 1, 0x3F, {32, 33, 34}, {39, 40}),
    ):
        coded = standard_codecs(name)[0].encode(short_clip, FPS, 45)
        found = [u[0] >> shift & mask for packet in coded.packets for u in nal_units(packet)]
        assert not sei & set(found)
        assert all(found.count(kind) == 1 for kind in kinds)
        assert b"x26" not in b"".join(coded.packets)


def test_stripping_keeps_slices_and_shortens_start_codes() -> None:
    slice_, sei = b"\x65\x11\x22", b"\x06\x05\x10"
    stream = b"\0\0\0\1" + sei + b"\0\0\0\1" + slice_ + b"\0\0\1\x41\x01"
    assert list(nal_units(stream)) == [sei, slice_, b"\x41\x01"]
    assert strip_h264(stream) == b"\0\0\1" + slice_ + b"\0\0\1\x41\x01"
    prefix_sei = b"\x4e\x01\x05"
    assert strip_h265(b"\0\0\1" + prefix_sei + b"\0\0\1\x26\x01") == b"\0\0\1\x26\x01"
    delimiter, picture = b"\x00\xa1\x18", b"\x00\x39\x80"
    assert strip_h266(b"\0\0\1" + delimiter + b"\0\0\1" + picture) == b"\0\0\1" + picture
    assert strip_h264(b"no start code") == b""


def test_a_zero_byte_at_the_end_of_the_last_unit_is_kept() -> None:
    assert list(nal_units(b"\0\0\1\x65\x80\0")) == [b"\x65\x80\0"]


def test_failures_name_the_codec(short_clip: Clip) -> None:
    codec = FfmpegCodec("none", "no-such", "h264", lambda _: {}, bytes, (1,), "")
    with pytest.raises(GistcastError, match="none at 1 failed"):
        codec.encode(short_clip, FPS, 1)
    with pytest.raises(UsageError, match="x266"):
        standard_codecs("x266")


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


@pytest.mark.parametrize("name", ["x264", "x265", "vvenc"])
def test_the_counted_bytes_alone_are_a_stream_that_plays(name: str, short_clip: Clip) -> None:
    codec = standard_codecs(name)[0]
    coded = codec.encode(short_clip, FPS, codec.points[2])
    stream = io.BytesIO(b"".join(coded.packets))
    with av.open(stream, format={"vvenc": "vvc"}.get(name, codec.decoder)) as container:
        frames = list(container.decode(video=0))
    shown = show(codec, coded, short_clip)
    assert len(frames) == shown.frames
    if name != "vvenc":  # which has ten bits
        assert (np.stack([frame_planes(frame)[0] for frame in frames]) == shown.y).all()


@pytest.mark.parametrize(("side", "ctu"), [(32, 16), (64, 32), (96, 64), (256, 64)])
def test_no_coding_tree_unit_of_x265_spans_the_frame(side: int, ctu: int) -> None:
    """With units of 64 pixels, x265 drifts on clips of 64 x 64."""
    adapt = X265.adapt
    assert adapt is not None
    assert adapt.options(X265.options(30), side)["x265-params"].endswith(f":ctu={ctu}")


def test_missing_frames_are_told(short_clip: Clip) -> None:
    codec = standard_codecs("x264")[0]
    coded = codec.encode(short_clip, FPS, 40)
    less = Coded(coded.packets[:4], coded.times[:4])
    with pytest.raises(GistcastError, match="lost frames"):
        codec.decode(less, Geometry.of(short_clip))


def test_ivf_gives_frames_and_times() -> None:
    frame = struct.pack("<IQ", 3, 7) + b"abc"
    assert ivf_frames(bytes(32) + frame + frame) == ((b"abc", b"abc"), (7, 7))
