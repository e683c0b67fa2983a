"""Over real WebRTC on the loopback: one process with two peers, and two processes."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from aiortc.mediastreams import VideoStreamTrack

from gistcast.codec.clip import Clip
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.errors import CorruptError, UsageError
from gistcast.codec.file import decode_video, encode_video
from gistcast.codec.media import VideoInfo
from gistcast.stream import GistSink, ReceiveSummary, SendSettings, StreamError, receive, send
from gistcast.stream.connection import is_loopback
from gistcast.stream.link import ChannelName
from gistcast.stream.peer import PeerLink
from gistcast.stream.signalling import WhipListener, whip_connect

FAST = SendSettings(realtime=False)


async def listening_receiver(
    sink: GistSink, **options: object
) -> tuple[asyncio.Task[ReceiveSummary], str]:
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(receive(sink, wait=20, listening=url.set_result, **options))
    return task, await url


async def test_stream_over_the_loopback(toy: ModuleType) -> None:
    out = io.BytesIO()
    receiving, url = await listening_receiver(GistSink(out), token="secret")
    assert url.startswith("http://127.0.0.1:")
    sent = await send(toy.ToySource(50), url, FAST, token="secret")
    received = await receiving
    assert out.getvalue() == toy.HEADER + b"".join(map(toy.toy_bytes, range(50)))
    assert received.ended and received.complete == sent.clips == 50
    assert sent.receiver is not None and sent.receiver.finished


async def test_only_the_loopback_is_offered() -> None:
    link = PeerLink()
    try:
        lines = (await link.offer()).splitlines()
        candidates = [line.split()[4] for line in lines if line.startswith("a=candidate:")]
        assert candidates == ["127.0.0.1"]
    finally:
        await link.close()


async def test_only_the_loopback_is_taken() -> None:
    wide, narrow = PeerLink(loopback=False), PeerLink()
    try:
        foreign = "a=candidate:1 1 udp 2130706431 10.1.2.3 9999 typ host\r\n"
        end = "a=end-of-candidates"
        offer = (await wide.offer()).replace(end, foreign + end)
        assert foreign in offer
        await narrow.answer(offer)
        taken = narrow.connection.rtc.sctp.transport.transport.getRemoteCandidates()
        assert all(is_loopback(candidate.ip) for candidate in taken)
    finally:
        await wide.close()
        await narrow.close()


async def test_media_that_nobody_asked_for_is_not_taken() -> None:
    """It would be decoded, and frames pile up: 14 MB a second of 640x480."""
    there, here = PeerLink(), PeerLink()
    there.connection.rtc.addTrack(VideoStreamTrack())
    there.connection.rtc.addTransceiver("audio")
    try:
        answer = await here.answer(await there.offer())
        kinds = [one.kind for one in here.connection.rtc.getTransceivers()]
        assert sorted(kinds) == ["audio", "video"]
        assert answer.count("a=inactive") == 2 and "a=recvonly" not in answer
        await there.accept_answer(answer)
        await asyncio.gather(there.opened(20), here.opened(20))  # the channels work
        sending = [one.currentDirection for one in there.connection.rtc.getTransceivers()]
        assert sending == ["inactive", "inactive"]
    finally:
        await there.close()
        await here.close()


async def test_channels_are_what_they_say() -> None:
    async with WhipListener("127.0.0.1", 0) as listener:
        session = await whip_connect(listener.url)
        link = await listener.accept(5)
        control, residual = (link._channels[name] for name in ChannelName)
        assert control.ordered and control.maxRetransmits is None
        assert not residual.ordered and residual.maxRetransmits == 0
        await session.close()
        with pytest.raises(StreamError):
            await link.receive(5)
        assert link.closed


async def test_wrong_token_and_nobody_there() -> None:
    async with WhipListener("127.0.0.1", 0, token="right") as listener:
        with pytest.raises(StreamError, match="401"):
            await whip_connect(listener.url, token="wrong")
    with pytest.raises(StreamError, match="nothing listens"):
        await whip_connect(listener.url)
    with pytest.raises(UsageError):
        await whip_connect("ftp://127.0.0.1/whip")
    with pytest.raises(StreamError, match="no sender"):
        await receive(GistSink(io.BytesIO()), wait=0.05)


async def test_sender_that_waits_for_its_receiver(toy: ModuleType) -> None:
    async with WhipListener("127.0.0.1", 0) as listener:
        port = int(listener.url.split(":")[2].split("/")[0])
    out = io.BytesIO()
    sending = asyncio.create_task(
        send(toy.ToySource(2), f"http://127.0.0.1:{port}/whip", FAST, patience=10)
    )
    await asyncio.sleep(0.1)
    await receive(GistSink(out), port=port, wait=10)
    assert (await sending).clips == 2


async def test_port_in_use_is_a_usage_error() -> None:
    async with WhipListener("127.0.0.1", 0) as listener:
        port = int(listener.url.split(":")[2].split("/")[0])
        with pytest.raises(UsageError, match="cannot listen"):
            await WhipListener("127.0.0.1", port).__aenter__()


async def test_offers_without_a_data_channel() -> None:
    link = PeerLink()
    try:
        with pytest.raises(CorruptError):
            await link.answer("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n")
    finally:
        await link.close()


def test_which_hosts_are_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "10.0.0.1", "example.org", "127.0.0.1.x.org")))


def moving_clip(number: int) -> Clip:
    """Something in motion, with noise to spend bytes on."""
    t, y, x = np.meshgrid(np.arange(8), np.arange(64), np.arange(64), indexing="ij")
    luma = 126 + 60 * np.sin((x + 2 * t + 9 * number) / 9) * np.cos((y - t) / 7)
    luma += np.random.default_rng(number).normal(0, 4, luma.shape)
    chroma = 128 + 30 * np.sin((x + t) / 11)[:, ::2, ::2]
    return Clip(luma.astype(np.uint8), chroma.astype(np.uint8), (255 - chroma).astype(np.uint8))


@pytest.fixture(scope="module")
def coded() -> bytes:
    """Six clips as a `.gist` file, each of several residual layers and messages."""
    clips = map(moving_clip, range(6))
    settings = EncodeSettings(quality=95, clip_frames=8, preset="fast")
    return encode_video(clips, VideoInfo(64, 64, Fraction(25)), settings)


def two_processes(source: Path, target: Path, network: str) -> tuple[dict, dict]:
    """Stream a file from one process to another: what each reports."""
    run = [sys.executable, "-W", "error", str(Path(__file__).with_name("endpoint.py"))]
    receiver = subprocess.Popen(
        [*run, "receive", str(target)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert receiver.stdout is not None
        url = receiver.stdout.readline().strip()
        sender = subprocess.run(
            [*run, "send", str(source), url, network], capture_output=True, text=True, timeout=60
        )
        out, errors = receiver.communicate(timeout=30)
    finally:
        receiver.kill()
        receiver.communicate()
    assert (sender.stderr, errors) == ("", "")
    assert sender.returncode == receiver.returncode == 0
    return json.loads(sender.stdout), json.loads(out)


def test_two_processes_no_loss_is_byte_identical(coded: bytes, tmp_path: Path) -> None:
    source, target = tmp_path / "in.gist", tmp_path / "out.gist"
    source.write_bytes(coded)
    sent, received = two_processes(source, target, "")
    assert target.read_bytes() == coded
    assert received["complete"] == sent["clips"] == 6 and received["missing"] == 0


def test_two_processes_with_loss_leave_clips_that_decode(coded: bytes, tmp_path: Path) -> None:
    source, target = tmp_path / "in.gist", tmp_path / "out.gist"
    source.write_bytes(coded)
    sent, received = two_processes(source, target, "up.loss=30%,handshake=clean,seed=1")
    lost = sent["network"]["up"]["lost"]
    assert received["missing"] <= lost and lost > 0 and sent["resent"] > 0
    assert received["clips"] == 6
    decoded = list(decode_video(target.read_bytes()))
    assert len(decoded) == received["complete"] + received["partial"]
    assert all(not clip.damage for clip in decoded)
