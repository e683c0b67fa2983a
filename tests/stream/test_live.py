"""An encoder that keeps to the clock: which way it takes, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import RESIDUAL, VIDEO
from gistcast.stream.live import Ladder, LiveEncoder, ways_up_to

INFO = VideoInfo(32, 32, Fraction(25))
SMALL = VideoInfo(16, 16, Fraction(25))  # where it matters which way is taken, not what it makes
SECONDS = 8 / 25
MakeClip = Callable[..., Clip]


def climb(ladder: Ladder, share: float, clips: int) -> list[int]:
    """The way of each clip, all of which take the same share of their time."""
    ways = []
    for _ in range(clips):
        ways.append(ladder.at)
        ladder.took(share)
    return ways


def test_a_step_up_needs_eight_clips_that_leave_time_for_it() -> None:
    ladder = Ladder([1, 4, 2])
    assert climb(ladder, 0.24, 9) == [0] * 8 + [1]
    assert climb(ladder, 0.51, 30) == [1] * 30  # twice as long would be too long
    assert climb(ladder, 0.49, 9) == [1] * 8 + [2]  # the longest of the last eight counts
    assert climb(ladder, 0.01, 30) == [2] * 30  # the top


def test_a_late_clip_is_followed_at_once_and_as_far_as_it_takes() -> None:
    for share, way in ((1.0, 3), (1.1, 2), (1.9, 2), (2.1, 1), (7.9, 1), (8.1, 0), (99.0, 0)):
        ladder = Ladder([1, 4, 4, 2])
        ladder.at = 3
        ladder.took(share)
        assert ladder.at == way


def test_what_failed_is_tried_again_more_and_more_rarely() -> None:
    ladder, waits = Ladder([1, 2]), []
    for _ in range(7):
        wait = 0
        while not ladder.at:
            ladder.took(0.4)
            wait += 1
        waits.append(wait)
        ladder.took(1.5)
    assert waits == [8, 16, 32, 64, 128, 128, 128]
    climb(ladder, 0.4, 300)
    assert ladder.at == 1  # and lasts
    ladder.took(1.5)
    assert climb(ladder, 0.4, 9)[-1] == 1  # so that it is soon tried again


class Clock:
    """Every clip takes so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._now, self._running = 0.0, False

    def __call__(self) -> float:
        if self._running:
            self._now += self.seconds
        self._running = not self._running
        return self._now


def live(clock: Clock, info: VideoInfo = INFO, **settings: object) -> LiveEncoder:
    return LiveEncoder(info, EncodeSettings(clip_frames=8, **settings), clock=clock)


def test_an_encoder_without_time_searches_nothing_and_one_with_time_climbs(
    moving_clip: MakeClip,
) -> None:
    clip = moving_clip(8, 16, 16)
    slow = live(Clock(SECONDS), SMALL, bitrate=12e3)
    quick = live(Clock(0.0), SMALL, bitrate=12e3)
    for _ in range(33):
        slow.encode_clip(clip)
        quick.encode_clip(clip)
    assert dict(slow.used) == {"still": 33}
    assert dict(quick.used) == {
        "still": 8, "once": 8, "fast": 8, "medium, no video": 8, "medium": 1,
    }  # fmt: skip


def test_nothing_dearer_than_asked_for_is_tried() -> None:
    names = [way.name for way in ways_up_to(EncodeSettings(bitrate=12e3, preset="fast"))]
    assert names == ["still", "once", "fast"]
    assert ways_up_to(EncodeSettings(bitrate=12e3, preset="slow"))[-1].preset == "slow"


@pytest.mark.parametrize("seconds", [0.0, SECONDS])
def test_whatever_the_way_the_stream_is_one_and_keeps_its_rate(
    moving_clip: MakeClip, seconds: float
) -> None:
    encoder = live(Clock(seconds), bitrate=16e3, preset="fast")
    decoder, sizes = Decoder(encoder.header), []
    for number in range(28):
        packets = encoder.encode_clip(moving_clip(8, 32, 32, seed=number))
        assert {packet.clip for packet in packets} == {number}
        assert decoder.decode_clip(packets).clip.frames == 8
        sizes.append(sum(len(packet.to_bytes(encoder.header)) for packet in packets))
    assert 0.93 < sum(sizes[8:]) * 8 / (20 * SECONDS) / 16e3 < 1.07
    assert len(set(sizes)) > 10  # there was something to keep


def test_a_clip_that_came_out_far_too_large_leaves_layers_behind(moving_clip: MakeClip) -> None:
    encoder = LiveEncoder(
        VideoInfo(96, 96, Fraction(25)), EncodeSettings(clip_frames=8, bitrate=12e3),
        clock=Clock(SECONDS),
    )  # fmt: skip
    grey = moving_clip(8, 96, 96)
    flat = Clip(*(plane // 64 * 0 + 128 for plane in grey.planes))
    for _ in range(4):
        encoder.encode_clip(flat)
    packets = encoder.encode_clip(grey)  # a scene change, at a quantiser for a flat picture
    size = sum(len(packet.to_bytes(encoder.header)) for packet in packets)
    assert not packets[-1].last  # something stayed behind
    assert size <= 2 * 2 * 12e3 * SECONDS / 8 or packets[-1].layer == RESIDUAL
    assert Decoder(encoder.header).decode_clip(packets).residual_layers == len(packets)


def test_the_link_sets_the_budget_where_it_is_the_smaller(moving_clip: MakeClip) -> None:
    for seconds in (0.0, SECONDS):
        encoder = live(Clock(seconds), bitrate=64e3, preset="fast")
        sizes = []
        for number in range(20):
            packets = encoder.encode_clip(moving_clip(8, 32, 32, seed=number), 300)
            sizes.append(sum(len(packet.to_bytes(encoder.header)) for packet in packets))
        assert sum(sizes[8:]) / 12 < 320


def test_a_limit_on_every_clip_is_kept_by_every_way(moving_clip: MakeClip) -> None:
    assert "once" not in [w.name for w in ways_up_to(EncodeSettings(clip_bytes=300))]
    encoder = live(Clock(0.0), clip_bytes=300)
    for number in range(25):
        packets = encoder.encode_clip(moving_clip(8, 32, 32, seed=number))
        assert sum(len(packet.to_bytes(encoder.header)) for packet in packets) <= 300
    assert len(encoder.used) == 4


def test_tools_that_are_left_out_stay_out(moving_clip: MakeClip) -> None:
    encoder = live(Clock(0.0), SMALL, quality=60.0, without=frozenset({"video"}))
    encoder.warm()
    for _ in range(26):
        packets = encoder.encode_clip(moving_clip(8, 16, 16))
        assert all(packet.layer < VIDEO for packet in packets)
    assert "medium" in encoder.used


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_shares_that_are_none(share: float) -> None:
    with pytest.raises(UsageError):
        LiveEncoder(INFO, EncodeSettings(), share=share)
