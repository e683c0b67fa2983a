"""Codecs of FFmpeg's libraries in this process, through PyAV.

    clip -> encoder -> packets -strip-> payload -> a fresh decoder -> clip

No container is written. The payload is what is counted and what is decoded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.codec.media import frame_planes, planes_to_frame, stack
from gistcast.eval.codecs.base import Coded

if TYPE_CHECKING:
    import av

Packets = list[tuple[bytes, int | None]]  #: payload and presentation time


@dataclass(frozen=True)
class FfmpegCodec:
    """An encoder and the decoder that reads it.

    Attributes:
        name: as it appears in `results.json`.
        encoder, decoder: FFmpeg's names.
        options: quality point -> encoder options.
        strip: takes from a packet what a decoder does not need.
        points: quality points (CRF) from the coarsest to the finest.
        counted: how bytes are counted.
    """

    name: str
    encoder: str
    decoder: str
    options: Callable[[float], dict[str, str]]
    strip: Callable[[bytes], bytes]
    points: tuple[float, ...]
    counted: str
    uses_text: bool = False

    def settings(self, point: float) -> str:
        """FFmpeg's command-line spelling of the options."""
        pairs = " ".join(f"-{name} {value}" for name, value in self.options(point).items())
        return f"-c:v {self.encoder} -threads 1 {pairs}"

    def code(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        """Encode and decode one clip; the text is not sent.

        Raises:
            GistcastError: the encoder or the decoder is missing in this build, or failed.
        """
        import av

        try:
            begin = time.perf_counter()
            packets = self._encode(clip, fps, point)
            middle = time.perf_counter()
            decoded = self._decode(packets)
            end = time.perf_counter()
        except (av.FFmpegError, ValueError) as error:
            raise GistcastError(f"{self.name} at {point:g} failed: {error}") from error
        if decoded.y.shape != clip.y.shape:
            raise GistcastError(f"{self.name} lost frames: {decoded.y.shape} of {clip.y.shape}")
        payload = tuple(data for data, _ in packets)
        return Coded(payload, decoded, middle - begin, end - middle)

    def _encode(self, clip: Clip, fps: Fraction, point: float) -> Packets:
        import av

        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 has no other way to stop its banner
        context = cast("av.VideoCodecContext", av.CodecContext.create(self.encoder, "w"))
        context.width, context.height, context.pix_fmt = clip.width, clip.height, "yuv420p"
        context.time_base, context.framerate = 1 / fps, fps
        context.thread_count = 1
        context.options = self.options(point)
        packets = []
        for index, planes in enumerate(zip(*clip.planes, strict=True)):
            frame = planes_to_frame(planes)
            frame.pts, frame.time_base = index, 1 / fps
            packets += context.encode(frame)
        packets += context.encode(None)
        return [(self.strip(bytes(packet)), packet.pts) for packet in packets]

    def _decode(self, packets: Packets) -> Clip:
        import av

        context = cast("av.VideoCodecContext", av.CodecContext.create(self.decoder, "r"))
        context.thread_count = 1
        frames = []
        for data, pts in packets:
            packet = av.Packet(data)
            packet.pts = pts
            frames += context.decode(packet)
        frames += context.decode(None)
        frames.sort(key=lambda frame: frame.pts or 0)
        return stack([frame_planes(frame) for frame in frames])


def joined(options: Mapping[str, str | int]) -> str:
    """Options of a library's own, in the spelling `name=value:name=value`."""
    return ":".join(f"{name}={value}" for name, value in options.items())
