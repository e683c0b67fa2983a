"""Unfair settings are caught: each test makes a codec unfair in one way and reads the complaint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.eval.cache import Cache
from gistcast.eval.codecs import STANDARD, Coded, Geometry
from gistcast.eval.codecs.executable import ExecutableCodec
from gistcast.eval.codecs.ffmpeg import FfmpegCodec
from gistcast.eval.codecs.svtav1 import SVT_AV1
from gistcast.eval.codecs.vp9 import VP9
from gistcast.eval.codecs.x264 import X264, X264_REALTIME
from gistcast.eval.codecs.x265 import X265
from gistcast.eval.fair import check_fair, obu_types, probe

Decoded = Mapping[str, Clip]


@pytest.mark.parametrize(
    "codec", STANDARD, ids=lambda codec: f"{codec.name}-{codec.mode}".strip("-")
)
def test_the_standard_codecs_are_fair(codec: FfmpegCodec | ExecutableCodec) -> None:
    if isinstance(codec, ExecutableCodec):
        pytest.importorskip("imageio_ffmpeg")
    assert check_fair(codec) == []


@dataclass
class Unfair:
    """x264's real-time mode, the fastest there is, with one thing changed."""

    name: str = "unfair"
    mode: str = "realtime"
    counted: str = "as x264"
    uses_text: bool = False
    points: tuple[float, ...] = (40.0, 18.0)
    before: Callable[[Clip], Clip] = lambda clip: clip
    after: Callable[[Clip], Clip] = lambda clip: clip

    def settings(self, point: float) -> str:
        return X264_REALTIME.settings(point)

    def encode(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        return X264_REALTIME.encode(self.before(clip), fps, point)

    def decode(self, coded: Coded, like: Geometry) -> Decoded:
        return {"": self.after(X264_REALTIME.decode(coded, like)[""])}


def complaint(codec: Any) -> str:
    return "; ".join(check_fair(codec))


def test_what_is_changed_here_is_fair_otherwise() -> None:
    assert complaint(Unfair()) == ""


@pytest.mark.parametrize(
    ("magic", "name"),
    [
        (b"DKIF\0\0\x20\0", "IVF"),
        (b"\x1a\x45\xdf\xa3\x01", "Matroska"),
        (b"\0\0\0\x1cftypisom", "MP4"),
    ],
)
def test_container_bytes(magic: bytes, name: str) -> None:
    codec = replace(VP9, strip=lambda packet: magic + packet)

    class Undone(type(codec)):  # type: ignore[misc]
        def decode(self, coded: Coded, like: Geometry) -> Decoded:
            packets = tuple(packet.removeprefix(magic) for packet in coded.packets)
            return dict(VP9.decode(replace(coded, packets=packets), like))

    found = complaint(Undone(**vars(codec)))
    assert f"a container is counted: {name}" in found


def test_sei_and_long_start_codes() -> None:
    found = complaint(replace(X264, strip=bytes))  # as x264 writes it
    assert "(SEI, delimiters, filler): [6]" in found
    assert "the encoder's name is counted: x264" in found
    assert "start codes of three bytes" in found


def test_parameter_sets_again_and_again() -> None:
    def options(point: float) -> dict[str, str]:
        plain = X265.options(point)
        return plain | {"x265-params": plain["x265-params"] + ":keyint=2:repeat-headers=1"}

    assert "parameter sets are counted more than once" in complaint(replace(X265, options=options))


def test_temporal_delimiters() -> None:
    assert "OBUs that no decoder needs are counted: [2]" in complaint(replace(SVT_AV1, strip=bytes))


def test_zero_latency_in_the_delay_matched_arm() -> None:
    found = complaint(replace(X264_REALTIME, mode=""))
    assert found == "a delay-matched encoder does not look ahead: is it set to zero latency?"


def test_look_ahead_in_the_real_time_arm() -> None:
    assert "a real-time codec looks ahead" in complaint(replace(X264, mode="realtime"))


def test_other_colour_matrix() -> None:
    """BT.601's luma from BT.709's planes, as a wrong conversion would make it."""

    def as_bt601(clip: Clip) -> Clip:
        up = [np.repeat(np.repeat(p.astype(float) - 128, 2, 1), 2, 2) for p in clip.planes[1:]]
        luma = clip.y + 0.101 * up[0] + 0.196 * up[1]
        return Clip(np.clip(np.rint(luma), 0, 255).astype(np.uint8), clip.u, clip.v)

    assert "colours are shifted" in complaint(Unfair(after=as_bt601))
    swapped = Unfair(after=lambda clip: Clip(clip.y, clip.v, clip.u))
    assert "colours are shifted" in complaint(swapped)


def test_full_range() -> None:
    def stretched(clip: Clip) -> Clip:
        luma = np.clip(np.rint((clip.y.astype(float) - 16) * 255 / 219), 0, 255)
        return Clip(luma.astype(np.uint8), clip.u, clip.v)

    assert "luma is shifted" in complaint(Unfair(after=stretched))


@pytest.mark.parametrize(
    "frames",
    [[0, 0, 2, 2, 4, 4, 6, 6, 8, 8], [0, 1, 2, 3, 4, 5, 6, 7, 9, 8], [0] * 10],
    ids=["dropped", "reordered", "frozen"],
)
def test_frames_that_are_not_sent(frames: list[int]) -> None:
    def pick(clip: Clip) -> Clip:
        at = [frame for frame in frames if frame < clip.frames]
        return Clip(clip.y[at], clip.u[at], clip.v[at])

    assert "frames are dropped, repeated or out of order" in complaint(Unfair(after=pick))


def test_frames_that_are_missing() -> None:
    assert "came back of" in complaint(Unfair(after=lambda clip: clip[:-1]))


class Remembers(Unfair):
    """The decoder shows what the encoder saw."""

    def encode(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        self.seen = clip
        return super().encode(clip, fps, point)

    def decode(self, coded: Coded, like: Geometry) -> Decoded:
        return {"": getattr(self, "seen", super().decode(coded, like)[""])}


def test_a_decoder_that_is_fed_something_else() -> None:
    assert "uses what the encoder kept" in complaint(Remembers())


class Swapped(Unfair):
    """A cache that returns the first payload for every clip."""

    def decode(self, coded: Coded, like: Geometry) -> Decoded:
        self.first = getattr(self, "first", coded)
        return super().decode(self.first, like)


def test_a_cache_that_mixes_up_payloads() -> None:
    assert "shows the same whatever packets it is given" in complaint(Swapped())


class Learns(Unfair):
    """Each clip is coded at a quantiser that depends on how many were coded before."""

    coded = 0

    def encode(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        self.coded += 1
        return super().encode(clip, fps, point + self.coded)


def test_clips_that_know_of_others() -> None:
    assert "depend on the clips before it" in complaint(Learns())


def test_the_cache_gives_back_what_was_counted(short_clip: Clip) -> None:
    coded = X264.encode(short_clip, Fraction(25), 40)
    cache = Cache(None)
    cache.keep_payload("key", coded)
    again = cache.payload("key")
    assert again is not None and again.packets == coded.packets and again.bytes == coded.bytes
    like = Geometry.of(short_clip)
    shown = X264.decode(coded, like)[""], X264.decode(again, like)[""]
    assert np.array_equal(shown[0].y, shown[1].y)


def test_the_probe_tells_frames_apart() -> None:
    means = np.sort(probe(0).y.mean((1, 2)))
    assert np.diff(means).min() > 4
    assert not np.array_equal(probe(0).y, probe(1).y)


def test_obu_types() -> None:
    # delimiter, sequence header of 3 bytes, frame of 2 bytes with an extension
    packet = bytes([0x12, 0, 0x0A, 3, 1, 2, 3, 0x36, 0, 2, 9, 9])
    assert list(obu_types(packet)) == [2, 1, 6]
    assert list(obu_types(b"\x12\x05\0")) == [-1] == list(obu_types(b"\xff\xff"))
