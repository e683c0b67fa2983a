"""Passages over an emulated link: clips of ours, and VP8 and H.264 as media tracks."""

from __future__ import annotations

import time
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from aiortc.codecs import h264, vpx

from gistcast.codec.media import Frame
from gistcast.stream import SendSettings, parse_network
from gistcast.stream.passage import pass_clips
from gistcast.stream.rivals import calibrate, pass_track

FPS = Fraction(25)


def moving_bar(count: int, size: int = 64) -> list[Frame]:
    """A bright column that moves on by two pixels a frame, so that every frame is known."""
    out = []
    for number in range(count):
        luma = np.full((size, size), 40, np.uint8)
        luma[:, 2 * number : 2 * number + 8] = 220
        out.append((luma, *[np.full((size // 2, size // 2), 128, np.uint8)] * 2))
    return out


def bar_of(luma: np.ndarray) -> int:
    """Which frame a picture is."""
    columns = luma.astype(float).mean(0)
    starts = [columns[at : at + 8].mean() for at in range(0, 56, 2)]
    return int(np.argmax(starts))


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_a_track_arrives_frame_by_frame(codec: str) -> None:
    frames = moving_bar(24)
    kept = [(m.MIN_BITRATE, m.MAX_BITRATE, m.DEFAULT_BITRATE) for m in (vpx, h264)]
    network = parse_network("delay=30ms,handshake=clean")
    passage = await pass_track(codec, frames, FPS, 60_000, network, patience=1.0)
    assert kept == [(m.MIN_BITRATE, m.MAX_BITRATE, m.DEFAULT_BITRATE) for m in (vpx, h264)]
    numbers = [d.first for d in passage.deliveries]
    assert numbers == list(range(len(numbers))) and len(numbers) >= 20  # the last one waits
    assert [bar_of(d.clip.y[0]) for d in passage.deliveries] == numbers
    for delivery in passage.deliveries:
        assert delivery.at - float(delivery.first / FPS) > 0.029
    assert passage.wire_bytes > passage.payload_bytes + 24 * 40 > 24 * 40
    assert passage.notes["resent"] == 0


async def test_lost_packets_of_a_track_are_sent_again() -> None:
    network = parse_network("loss=20%,delay=5ms,handshake=clean,seed=2")
    passage = await pass_track("vp8", moving_bar(24), FPS, 60_000, network, patience=1.0)
    assert passage.notes["resent"] > 0
    for delivery in passage.deliveries:  # known for what they are, though the first may be lost
        assert abs(bar_of(delivery.clip.y[0]) - delivery.first) <= 1


def test_the_rate_told_is_the_rate_spent() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (64, 64), np.uint8)
    grey = np.full((32, 32), 128, np.uint8)
    frames: list[Frame] = [(np.roll(noise, n, 1), grey, grey) for n in range(50)]
    told = calibrate("h264", frames, FPS, 200_000)
    assert 100_000 < told < 400_000


async def test_clips_pass_as_send_and_receive_do(toy: ModuleType, writer: Any) -> None:
    del writer
    network = parse_network("delay=30ms,handshake=clean")
    settings = SendSettings()
    source = toy.ToySource(6, seconds=0.32)
    passage = await pass_clips(
        source, network, settings, lambda _: toy.ToyDecoder(), time.perf_counter
    )
    assert [d.first for d in passage.deliveries] == [0, 8, 16, 24, 32, 40]
    assert [d.clip.frames for d in passage.deliveries] == [8] * 6
    for place, delivery in enumerate(passage.deliveries, 1):
        assert delivery.at > 0.32 * place + 0.03
    assert passage.payload_bytes == sum(len(toy.toy_bytes(n)) for n in range(6))
    assert passage.wire_bytes > passage.payload_bytes and len(passage.fits) == 6
    assert passage.notes["complete"] == 6


async def test_clips_of_which_nothing_can_be_drawn_are_no_delivery(toy: ModuleType) -> None:
    class Blind(toy.ToyDecoder):
        def decode_clip(self, packets):
            if packets[0].clip == 1:
                packets = packets[1:]  # it refuses what begins beyond text
            return super().decode_clip(packets)

    passage = await pass_clips(
        toy.ToySource(3, seconds=0.1),
        parse_network(""),
        SendSettings(),
        lambda _: Blind(),
        time.perf_counter,
    )
    assert [d.first for d in passage.deliveries] == [0, 16]
