"""VP8 and H.264 as ordinary WebRTC media tracks, over the same emulated link.

Encoder, packetisation, NACK, retransmission (RTX), PLI, REMB, jitter buffer and decoder are
aiortc's, untouched. From outside, and for the passage only: the bounds of the encoders' bit rate,
which are constants of aiortc's modules (250 kbit/s and more), become 5 kbit/s and the wanted rate;
the receiver's clock, which starts at the first frame that it decodes, starts at the first one sent,
so that every picture is known for the frame that it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from types import ModuleType
from typing import Any

import av
from aiortc import (
    MediaStreamTrack,
    RTCRtpSender,
    VideoStreamTrack,
    codecs,
)
from aiortc.codecs import h264, vpx
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket, is_rtcp

from gistcast.codec.clip import Clip
from gistcast.codec.media import Frame, frame_planes, planes_to_frame, stack
from gistcast.stream.connection import Connection
from gistcast.stream.link import StreamError
from gistcast.stream.network import Emulator, Network
from gistcast.stream.passage import Delivery, Passage

CODECS: dict[str, tuple[str, ModuleType]] = {
    "vp8": ("video/VP8", vpx),
    "h264": ("video/H264", h264),
}
_CLOCK = 90_000  # ticks of RTP video, a second
_LEAST_RATE = 5_000  # bits a second that REMB may ask for
_CALIBRATIONS = 7  # halvings of the logarithm
_CONNECT_SECONDS = 60.0


class _Camera(VideoStreamTrack):
    """Gives the frames out at their times, once told to start."""

    def __init__(self, frames: Sequence[Frame], fps: Fraction) -> None:
        super().__init__()
        self.started = 0.0  #: loop time of frame 0
        self._frames, self._fps = frames, fps
        self.sent = 0  #: frames given out
        self._go = asyncio.Event()
        self.over = asyncio.Event()

    def start(self) -> None:
        """Frame 0 is captured now."""
        self.started = asyncio.get_running_loop().time()
        self._go.set()

    async def recv(self) -> av.VideoFrame:
        """The next frame, when it is captured."""
        await self._go.wait()
        if self.sent == len(self._frames):
            self.over.set()
            await asyncio.Event().wait()  # the track lives until the connection is closed
        seconds = float(self.sent / self._fps)
        await asyncio.sleep(self.started + seconds - asyncio.get_running_loop().time())
        frame = _numbered(self._frames[self.sent], self.sent, self._fps)
        self.sent += 1
        return frame


class _Counter:
    """Stands where a sender hands its packets to the transport, and looks at them."""

    def __init__(self, sender: RTCRtpSender) -> None:
        self.payload_bytes = self.packets = self.resent = 0
        self.origin: int | None = None  #: RTP timestamp of frame 0
        self._ssrc = sender._ssrc
        self._send = sender.transport._send_rtp
        transport: Any = sender.transport
        transport._send_rtp = self._look

    async def _look(self, data: bytes) -> None:
        if not is_rtcp(data):
            packet = RtpPacket.parse(data)
            if packet.ssrc == self._ssrc:
                self.payload_bytes += len(packet.payload)
                self.packets += 1
                self.origin = packet.timestamp if self.origin is None else self.origin
            else:
                self.resent += 1
        await self._send(data)

    def map(self, timestamp: int) -> int:
        """As `aiortc.rtcrtpreceiver.TimestampMapper.map`, but counted from frame 0."""
        assert self.origin is not None  # what is received was sent
        return (timestamp - self.origin) & 0xFFFFFFFF


@contextlib.contextmanager
def _bounds(module: ModuleType, rate: int) -> Iterator[None]:
    """Lift the clamps of an encoder's bit rate; put them back."""
    wanted = {
        "MIN_BITRATE": min(_LEAST_RATE, rate),
        "MAX_BITRATE": rate,
        "DEFAULT_BITRATE": rate,
    }
    kept = {name: getattr(module, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(module, name, value)


def calibrate(codec: str, frames: Sequence[Frame], fps: Fraction, rate: int) -> int:
    """The rate to tell an encoder so that it spends `rate` bits a second on these frames.

    Told the rate itself, aiortc's VP8 spends up to half as much again on small pictures, and its
    H.264 less. Searched by coding the frames without a network, as often as it takes.
    """
    seconds = float(len(frames) / fps)
    low, high = _LEAST_RATE, 2 * rate
    for _ in range(_CALIBRATIONS):
        told = round((low * high) ** 0.5)
        spent = 8 * _coded_bytes(codec, frames, fps, told) / seconds
        low, high = (told, high) if spent < rate else (low, told)
    return low


def _coded_bytes(codec: str, frames: Sequence[Frame], fps: Fraction, told: int) -> int:
    """Payload bytes of all frames."""
    mime, module = CODECS[codec]
    (parameters, *_) = [c for c in codecs.CODECS["video"] if c.mimeType == mime]
    with _bounds(module, told):
        encoder = codecs.get_encoder(parameters)
        total = 0
        for number, planes in enumerate(frames):
            payloads, _ = encoder.encode(_numbered(planes, number, fps))
            total += sum(map(len, payloads))
    return total


def _numbered(planes: Frame, number: int, fps: Fraction) -> av.VideoFrame:
    frame = planes_to_frame(planes)
    frame.pts = round(number * _CLOCK / fps)
    frame.time_base = Fraction(1, _CLOCK)
    return frame


async def pass_track(
    codec: str,
    frames: Sequence[Frame],
    fps: Fraction,
    rate: int,
    network: Network,
    *,
    patience: float,
) -> Passage:
    """Send frames as a media track through `network`, in real time.

    Args:
        codec: a name in `CODECS`.
        frames: 4:2:0 planes, all of one size.
        fps: frames a second.
        rate: bits a second that the encoder is told at most (see `calibrate`).
        network: between the two.
        patience: seconds to wait for stragglers behind the last frame.

    Raises:
        StreamError: no connection.
    """
    mime, module = CODECS[codec]
    here, there = Connection(), Connection()
    out = Passage()
    with _bounds(module, rate):
        async with Emulator(network) as emulator:
            try:
                camera = _Camera(frames, fps)
                counter = await _connect(here, there, camera, mime, emulator)
                before = emulator.summary.up.bytes, emulator.summary.down.bytes
                (receiver,) = there.rtc.getReceivers()
                watching = asyncio.create_task(
                    _watch(receiver.track, camera, fps, len(frames), out)
                )
                receiver._RTCRtpReceiver__timestamp_mapper = counter  # type: ignore[attr-defined]
                camera.start()
                with contextlib.suppress(TimeoutError):  # the connection may not last
                    async with asyncio.timeout(float(len(frames) / fps) + patience):
                        await camera.over.wait()
                await asyncio.sleep(patience)
                out.count(emulator, before=before)
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            finally:
                await here.close()
                await there.close()
    out.payload_bytes = counter.payload_bytes
    out.notes = {"packets": counter.packets, "resent": counter.resent, "told_rate": rate}
    out.notes["frames_sent"] = camera.sent
    return out


async def _connect(
    here: Connection, there: Connection, camera: _Camera, mime: str, emulator: Emulator
) -> _Counter:
    """Join the two through the emulator; who counts what is sent."""
    sender = here.rtc.addTrack(camera)
    (transceiver,) = here.rtc.getTransceivers()
    wanted = [
        c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType in (mime, "video/rtx")
    ]
    transceiver.setCodecPreferences(wanted)
    await there.take(await emulator.offer(await here.offer()), "offer")
    await here.take(emulator.answer(await there.answer()), "answer")
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            while {here.rtc.connectionState, there.rtc.connectionState} != {"connected"}:
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise StreamError(f"no connection within {_CONNECT_SECONDS:g} s") from None
    emulator.connected()
    return _Counter(sender)


async def _watch(
    track: MediaStreamTrack, camera: _Camera, fps: Fraction, count: int, out: Passage
) -> None:
    """Note every frame that the receiver gives out."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            at = loop.time() - camera.started
            assert isinstance(frame, av.VideoFrame) and frame.pts is not None
            index = round(frame.pts * fps / _CLOCK)
            if 0 <= index < count:
                out.deliveries.append(Delivery(index, _clip(frame), at))


def _clip(frame: av.VideoFrame) -> Clip:
    return stack([frame_planes(frame)])
