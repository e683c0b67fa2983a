"""Video layers: AV1 taken apart and put back, prefixes, damage, and when they are chosen."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from gistcast.cli import main
from gistcast.codec import av1, video, videochoice
from gistcast.codec.av1 import FRAME, SHOW, UnsupportedError, obu, output, structures
from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.decoder import DecodedClip, Decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import CorruptError
from gistcast.codec.fade import fill, kept_frames
from gistcast.codec.file import decode_video, encode_video, read_gist
from gistcast.codec.header import Header
from gistcast.codec.media import VideoInfo, VideoWriter, frame_planes
from gistcast.codec.packet import RESIDUAL, VIDEO, VIDEO_LAYERS, Packet, kind_of
from gistcast.codec.videocoder import Model, pack, unpack

INFO = VideoInfo(64, 64, Fraction(25))


def psnr(a: Clip, b: Clip) -> float:
    error = np.square(clip_to_rgb(a).astype(float) - clip_to_rgb(b)).mean()
    return float(10 * np.log10(255**2 / error))


@pytest.fixture(scope="module")
def units(street: Clip) -> video.Units:
    """All frames of the street, about 2,000 bytes."""
    return video.encode(street, 32, 50, 4)


@pytest.fixture(scope="module")
def traffic(street: Clip) -> Clip:
    """Two pieces of a still street that cross it in opposite directions: no camera's motion."""
    planes = [np.repeat(plane[:1], 32, 0) for plane in street.planes]
    for t in range(32):
        for plane, unit in zip(planes, (2, 1, 1), strict=True):
            first, second = (plane[0, at * unit : (at + 9) * unit, : 9 * unit] for at in (2, 20))
            x, back = t // 2 * unit, (22 - t // 2) * unit
            plane[t, 3 * unit : 12 * unit, x : x + 9 * unit] = first
            plane[t, 18 * unit : 27 * unit, back : back + 9 * unit] = second
    return Clip(*planes)


@pytest.fixture(scope="module")
def payloads(units: video.Units) -> list[bytes]:
    found = [payload for _, payload in units.layers()]
    assert len(found) > 1
    return found


def _same(a: Clip, b: Clip) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a.planes, b.planes, strict=True))


def _decode(payloads: list[bytes], like: Clip) -> video.Video:
    return video.decode(payloads, like.frames, like.height, like.width)


@pytest.mark.parametrize(
    ("kept", "crf", "preset", "size"),
    [
        (1, 40, 4, 64),
        (2, 60, 6, 64),
        (4, 66, 4, 64),
        (8, 20, 8, 64),
        (16, 55, 4, 96),
        (32, 63, 6, 64),
    ],
)
def test_av1_comes_back_bit_for_bit(
    moving_clip: Callable[..., Clip], kept: int, crf: int, preset: int, size: int
) -> None:
    clip = moving_clip(32, 64, size)
    coded = video.encode(clip, kept, crf, preset)
    (payload,) = [pack(coded.units, coded.steps, coded.sequence, Model())]
    whole = [obu(*unit) for unit in coded.units]
    assert unpack(payload, coded.steps, coded.sequence, Model()) == whole
    assert len(payload) < sum(map(len, whole)) - 6 * kept  # of the headers
    decoded = _decode([p for _, p in coded.layers()], clip)
    assert decoded.units == tuple(whole)
    assert decoded.complete and list(decoded.times) == kept_frames(32, kept)
    assert psnr(decoded.clip, clip) > 15


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no scheduler to ask")
def test_encoding_leaves_the_threads_priority_alone(street: Clip) -> None:
    """SVT-AV1 takes real-time priority where it may, as root."""
    video.encode(street, 2, 60, 8)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_sequence_header_is_read_back() -> None:
    for size in ((16, 16), (64, 64), (65, 64), (1920, 1088), (66, 4096)):
        for tools in range(16):
            wanted = av1.Sequence(*size, tools)
            ((kind, payload),) = av1.split(wanted.to_obu())
            assert (kind, av1.parse_sequence(payload)) == (av1.SEQUENCE, wanted)


@pytest.mark.parametrize("shape", [(8, 33, 47), (9, 16, 16), (4, 90, 51), (3, 5, 9)])
def test_odd_sizes(moving_clip: Callable[..., Clip], shape: tuple[int, int, int]) -> None:
    clip = moving_clip(*shape)
    try:
        coded = video.encode(clip, 2, 20, 6)
    except UnsupportedError:
        assert min(shape[1:]) < 16  # SVT-AV1 may refuse what is that small
        return
    decoded = _decode([p for _, p in coded.layers()], clip)
    assert decoded.clip.y.shape == shape
    assert psnr(decoded.clip, clip) > 20


def test_every_prefix_decodes(street: Clip, payloads: list[bytes]) -> None:
    prefixes = [_decode(payloads[:k], street) for k in range(1, len(payloads) + 1)]
    quality = [psnr(p.clip, street) for p in prefixes]
    assert quality == sorted(quality) and quality[0] > 15
    assert [p.complete for p in prefixes] == [False] * (len(payloads) - 1) + [True]
    assert [p.layers for p in prefixes] == list(range(1, len(payloads) + 1))
    for less in prefixes:  # frames that did not come fade between those that did
        shown = fill(less.clip.y[list(less.times)], less.times, street.frames)
        assert np.array_equal(shown, less.clip.y)
    assert [len(p.times) for p in prefixes] == sorted({len(p.times) for p in prefixes})


def test_every_frame_that_was_coded_comes_to_light() -> None:
    for (_, kept), steps in structures().items():
        assert output(steps) == (list(range(kept)), [])
        for stop in range(1, len(steps)):
            orders, late = output(steps[:stop])
            coded = {step.order for step in steps[:stop] if step.kind != SHOW}
            assert sorted(orders) == sorted(coded)
            assert all(step.kind == SHOW for step in late)


def test_a_prefix_shows_frames_of_the_whole(street: Clip) -> None:
    coded = video.encode(street, 32, 55, 4)
    steps = coded.steps
    whole = _decode([p for _, p in coded.layers()], street).clip
    for stop in (1, 2, 3, 7, 20):
        head = bytes([5 | coded.variant << 3 | coded.sequence.tools << 4, stop])
        body = pack(coded.units[:stop], steps[:stop], coded.sequence, Model())
        found = _decode([head + body], street)
        orders, _ = output(steps[:stop])
        assert not found.complete
        for order in orders:
            assert np.array_equal(found.clip.y[order], whole.y[order])


def test_fill_is_the_formula() -> None:
    rng = np.random.default_rng(1)
    planes = rng.integers(0, 256, (3, 2, 5), dtype=np.uint8)
    filled = video.fill(planes, [2, 5, 9], 12)
    for t in range(12):
        for at in np.ndindex(2, 5):
            p = [int(planes[(k, *at)]) for k in range(3)]
            if t <= 2:
                expected = p[0]
            elif t <= 5:
                expected = (p[0] * (5 - t) + p[1] * (t - 2) + 1) // 3
            elif t <= 9:
                expected = (p[1] * (9 - t) + p[2] * (t - 5) + 2) // 4
            else:
                expected = p[2]
            assert filled[(t, *at)] == expected


def test_other_decoders_agree(street: Clip, units: video.Units) -> None:
    """libaom, where the evaluation's FFmpeg is installed, gives the samples that dav1d gives."""
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    decoded = _decode([p for _, p in units.layers()], street)
    ivf = io.BytesIO()
    ivf.write(struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"AV01", 64, 64, 25, 1, 32, 0))
    pending, shown = units.sequence.to_obu(), 0
    for step, data in zip(units.steps, decoded.units, strict=True):
        pending += data
        if step.shown:
            pending = obu(av1.TEMPORAL_DELIMITER, b"") + pending
            ivf.write(struct.pack("<IQ", len(pending), shown) + pending)
            pending, shown = b"", shown + 1
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-c:v", "libaom-av1", "-f", "ivf"]
    command += ["-i", "-", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]
    done = subprocess.run(command, input=ivf.getvalue(), capture_output=True, check=True)
    raw = b"".join(
        b"".join(plane.tobytes() for plane in frame)
        for frame in zip(*decoded.clip.planes, strict=True)
    )
    assert done.stdout == raw


# --- damage ------------------------------------------------------------------------------------


def _clip_of(payloads: list[bytes], clip: Clip) -> tuple[bytes, list[Packet]]:
    header = Header(clip.width, clip.height, Fraction(25)).to_bytes()
    return header, [Packet(0, VIDEO + k, p) for k, p in enumerate(payloads)]


def _decoded(payloads: list[bytes], clip: Clip) -> DecodedClip:
    header, packets = _clip_of(payloads, clip)
    return Decoder(header).decode_clip(packets)


def test_mutated_payloads(street: Clip, payloads: list[bytes]) -> None:
    """Behind a good checksum: every one is decoded or concealed, none takes long."""
    rng = np.random.default_rng(7)
    refused = 0
    for trial in range(300):
        data = [bytearray(p) for p in payloads]
        at = int(rng.integers(len(data)))
        for _ in range(int(rng.integers(1, 4))):
            data[at][int(rng.integers(len(data[at])))] ^= int(rng.integers(1, 256))
        if trial % 3 == 0:
            del data[at][int(rng.integers(1, len(data[at]))) :]
        started = time.monotonic()
        decoded = _decoded([bytes(p) for p in data], street)
        assert time.monotonic() - started < 10
        assert decoded.clip.y.shape == street.y.shape
        refused += bool(decoded.damage)
    assert refused > 30


def test_random_payloads(street: Clip) -> None:
    rng = np.random.default_rng(8)
    for trial in range(100):
        head = bytes([trial % 6 | trial % 2 << 3 | trial % 16 << 4, 0])
        decoded = _decoded([head + rng.bytes(int(rng.integers(0, 200)))], street)
        assert decoded.clip.y.shape == street.y.shape


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b"", "video"),
        (b"\x06\0", "structure"),
        (b"\x07\0abc", "structure"),
        (b"\x05", "steps"),
        (b"\x05\x7f", "steps"),
        (b"\x05\0" + b"\xff" * 60, "video"),
    ],
)
def test_malformed(payload: bytes, field: str) -> None:
    with pytest.raises(CorruptError) as caught:
        video.decode([payload], 32, 64, 64)
    assert caught.value.field == field


def test_more_frames_than_the_clip_has(payloads: list[bytes]) -> None:
    with pytest.raises(CorruptError, match="of 16 frames"):
        video.decode(payloads, 16, 64, 64)


def test_a_bad_layer_leaves_those_before(street: Clip, payloads: list[bytes]) -> None:
    bad = _decoded([payloads[0], b"\xff\xff", *payloads[2:]], street)
    assert bad.damage and bad.video is not None
    assert _same(bad.sketch, _decode(payloads[:1], street).clip)
    gap = Decoder(Header(64, 64, Fraction(25)).to_bytes())
    rest = gap.decode_clip([p for p in _clip_of(payloads, street)[1] if p.layer != VIDEO])
    assert rest.video is None and np.all(rest.sketch.y == 128)


def test_version_1_has_no_video(payloads: list[bytes], street: Clip) -> None:
    assert kind_of(VIDEO, 1) == ("residual", VIDEO - RESIDUAL)
    assert kind_of(VIDEO, 2) == ("video", 0) and kind_of(VIDEO - 1, 2) == ("residual", 9)
    header = replace(Header(64, 64, Fraction(25)), version=1).to_bytes()
    decoded = Decoder(header).decode_clip(_clip_of(payloads, street)[1])
    assert decoded.video is None


def test_another_encoder_is_no_error(traffic: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SVT-AV1 is missing or does what the format cannot say, the residual is sent."""

    def fails(*_: object, **__: object) -> None:
        raise UnsupportedError("no")

    assert any(p.layer >= VIDEO for p in _packets(traffic, clip_bytes=1500))
    monkeypatch.setattr(videochoice, "encode", fails)
    assert all(p.layer < VIDEO for p in _packets(traffic, clip_bytes=1500))


def test_bytes_can_be_spread_evenly(street: Clip) -> None:
    """The key frame, which all others refer to, then has a coarser quantiser beside theirs."""
    favour = []
    for even in (False, True):
        units = video.encode(street, 8, 50, 6, even=even)
        key, all_of_them = Model(), Model()
        pack(units.units[:1], units.steps[:1], units.sequence, key)
        pack(units.units, units.steps, units.sequence, all_of_them)
        favour.append(all_of_them.mean_quantiser - key.mean_quantiser)
        made = video.decode([p for _, p in units.layers()], 32, *street.y.shape[1:])
        assert made.complete and made.kept == 8
    assert favour[0] > favour[1] > 0


def test_small_clips_are_not_deblocked(street: Clip) -> None:
    """What SVT-AV1 would spend on smoothing the edges of small frames goes into the frames."""
    units = video.encode(street, 4, 50, 6)
    step, model = units.steps[0], Model()
    pack(units.units[:1], [step], units.sequence, model)
    assert model.expected("loop_filter_y0", step) == model.expected("loop_filter_y1", step) == 0


def test_units_that_do_not_fit_the_structure(units: video.Units) -> None:
    for other in (
        replace(units, variant=1),
        replace(units, kept=16),
        replace(units, units=((FRAME, b"\x10"), *units.units[1:])),
        replace(units, units=tuple(reversed(units.units))),
    ):
        with pytest.raises(UnsupportedError):
            other.layers()


# --- choice ------------------------------------------------------------------------------------


def _packets(clip: Clip, **settings: object) -> list[Packet]:
    info = VideoInfo(clip.width, clip.height, Fraction(25))
    return Encoder(info, EncodeSettings(**settings)).encode_clip(clip)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [1100, 1800])
def test_budgets_hold_and_video_wins(traffic: Clip, budget: int) -> None:
    quality = {}
    for mode, without in (("off", frozenset({"video"})), ("auto", frozenset[str]())):
        encoder = Encoder(INFO, EncodeSettings(clip_bytes=budget, without=without))
        packets = encoder.encode_clip(traffic)
        used = sum(len(p.to_bytes(encoder.header)) for p in packets)
        assert 0.95 * budget <= used <= budget
        assert (packets[0].layer == VIDEO) == (mode == "auto")
        decoded = Decoder(encoder.header).decode_clip(packets)
        assert decoded.damage == ()
        quality[mode] = psnr(decoded.clip, traffic)
    assert quality["auto"] > quality["off"] + 0.3


def test_when_it_is_not_tried(traffic: Clip) -> None:
    for settings in (
        {"clip_bytes": 1500, "preset": "fast"},
        {"clip_bytes": 1500, "without": frozenset({"video"})},
        {"clip_bytes": 1500, "residual_layers": 2},
        {"clip_bytes": 150},
    ):
        assert all(p.layer < VIDEO for p in _packets(traffic, **settings))


def test_quality_stays_monotonic_across_the_switch(traffic: Clip) -> None:
    points = []
    for q in range(5, 100, 15):
        data = encode_video([traffic], INFO, EncodeSettings(quality=q))
        plain = EncodeSettings(quality=q, without=frozenset({"video"}))
        assert len(data) <= len(encode_video([traffic], INFO, plain))
        (decoded,) = decode_video(data)
        points.append((len(data), psnr(decoded.clip, traffic), decoded.video is not None))
    assert {found for *_, found in points} == {False, True}
    assert [p[0] for p in points] == sorted(p[0] for p in points)
    assert [p[1] for p in points] == sorted(p[1] for p in points)


def test_command_line_counts_it(
    traffic: Clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, coded = tmp_path / "in.y4m", tmp_path / "out.gist"
    writer = VideoWriter(source, INFO)
    writer.write(traffic)
    writer.close()
    main(["encode", str(source), "-o", str(coded), "--clip-bytes", "1500", "--json"])
    facts = json.loads(capsys.readouterr().out)
    parsed = read_gist(coded.read_bytes())
    assert facts["layers"]["video"] == sum(len(p.payload) for p in parsed.clips[0].packets)
    assert (facts["clips"], facts["video_clips"]) == (1, 1)
    assert facts["bytes"] == sum(facts["layers"].values())
    main(["info", str(coded), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["video_clips"] == 1 and facts["clips"][0]["sketch"] == "video"
    assert facts["clips"][0]["layers"][0]["layer"] == "video.0"
    assert facts["clips"][0]["layers"][0]["coded_frames"] in av1.CODED_FRAMES
    assert facts["clips"][0]["complete"] and parsed.clips[0].complete


def test_a_file_without_a_middle_layer_is_incomplete(street: Clip, payloads: list[bytes]) -> None:
    header, packets = _clip_of(payloads, street)
    packets[-1] = replace(packets[-1], last=True)
    whole = header + b"".join(p.to_bytes(header) for p in packets)
    assert read_gist(whole).clips[0].complete
    part = header + b"".join(p.to_bytes(header) for p in packets[1:])
    assert not read_gist(part).clips[0].complete
    assert len(payloads) <= VIDEO_LAYERS


def test_native_frames_are_those_of_the_encoder(units: video.Units, street: Clip) -> None:
    """Putting headers back changes nothing: dav1d gives what it gives for SVT-AV1's own packets."""
    context = av.CodecContext.create("libdav1d", "r")
    context.thread_count = 1
    frames = []
    for index, unit in enumerate(units.units):
        head = units.sequence.to_obu() if index == 0 else b""
        frames += context.decode(av.Packet(head + obu(*unit)))
    frames += context.decode(None)
    decoded = _decode([p for _, p in units.layers()], street)
    for frame, luma in zip(frames, decoded.clip.y, strict=True):
        assert np.array_equal(frame_planes(frame)[0], luma)
