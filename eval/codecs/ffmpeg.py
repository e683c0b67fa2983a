"""Codecs of FFmpeg's libraries in this process, through PyAV.

    clip --encoder--> packets --strip--> Coded --a fresh decoder--> clip

No container is written. The payload is what is counted and what is decoded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.codec.media import (
    Frame,
    frame_planes,
    ordinary_priority,
    planes_to_frame,
    stack,
)
from gistcast.eval.codecs.base import DELAY_MATCHED, Coded, Geometry

if TYPE_CHECKING:
    import av


@dataclass(frozen=True)
class Adapted:
    """Options that depend on the size of a frame.

    Attributes:
        options: options, shorter side -> options.
        rule: the same in words, for the settings.
    """

    options: Callable[[dict[str, str], int], dict[str, str]]
    rule: str


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
        mode: "" or "realtime".
        adapt: what of the options depends on the frame's shorter side, if anything does.
    """

    name: str
    encoder: str
    decoder: str
    options: Callable[[float], dict[str, str]]
    strip: Callable[[bytes], bytes]
    points: tuple[float, ...]
    counted: str
    mode: str = DELAY_MATCHED
    adapt: Adapted | None = None
    uses_text: bool = False

    def settings(self, point: float) -> str:
        """FFmpeg's command-line spelling of the options, and the library's version."""
        import av

        pairs = " ".join(f"-{name} {value}" for name, value in self.options(point).items())
        rule = f"{self.adapt.rule}; " if self.adapt else ""
        library = ".".join(map(str, av.library_versions["libavcodec"]))
        versions = f"{rule}PyAV {av.__version__}, avcodec {library}"
        return f"-c:v {self.encoder} -threads 1 {pairs} ({versions})"

    def encode(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        """Code one clip; the text is not sent.

        Raises:
            GistcastError: the encoder is missing in this build, or failed.
        """
        import av

        begin = time.perf_counter()
        try:
            packets = self._packets(clip, fps, point)
        except (av.FFmpegError, ValueError) as error:
            raise GistcastError(f"{self.name} at {point:g} failed: {error}") from error
        finally:
            ordinary_priority()
        data, times = zip(*packets, strict=True)
        return Coded(data, times, time.perf_counter() - begin)

    def decode(self, coded: Coded, like: Geometry) -> Mapping[str, Clip]:
        """The one clip there is.

        Raises:
            GistcastError: the decoder failed or frames are missing.
        """
        return {"": decode_packets(self.name, self.decoder, coded, like)}

    def _packets(self, clip: Clip, fps: Fraction, point: float) -> list[tuple[bytes, int]]:
        import av

        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 has no other way to stop its banner
        context = cast("av.VideoCodecContext", av.CodecContext.create(self.encoder, "w"))
        context.width, context.height, context.pix_fmt = clip.width, clip.height, "yuv420p"
        context.time_base, context.framerate = 1 / fps, fps
        context.thread_count = 1
        options = self.options(point)
        if self.adapt is not None:
            options = self.adapt.options(options, min(clip.width, clip.height))
        context.options = options
        packets = []
        for index, planes in enumerate(zip(*clip.planes, strict=True)):
            frame = planes_to_frame(planes)
            frame.pts, frame.time_base = index, 1 / fps
            packets += context.encode(frame)
        packets += context.encode(None)
        return [(self.strip(bytes(packet)), packet.pts or 0) for packet in packets]


def decode_packets(name: str, decoder: str, coded: Coded, like: Geometry) -> Clip:
    """Decode packets with an FFmpeg decoder that has seen nothing else.

    Args:
        name: of the codec, for errors.
        decoder: FFmpeg's name.
        coded: packets; frames are shown in the order of their times.
        like: the geometry that must come out.

    Raises:
        GistcastError: it failed, or frames are missing.
    """
    import av

    frames: list[av.VideoFrame] = []
    try:
        context = cast("av.VideoCodecContext", av.CodecContext.create(decoder, "r"))
        context.thread_count = 1
        for packet in _packets_of(coded, context):
            frames += context.decode(packet)
        frames += context.decode(None)
    except (av.FFmpegError, ValueError) as error:
        raise GistcastError(f"{name} cannot be decoded: {error}") from error
    frames.sort(key=lambda frame: frame.pts or 0)
    shape = (len(frames), *((frames[0].height, frames[0].width) if frames else (0, 0)))
    if shape != like:
        raise GistcastError(f"{name} lost frames: {shape} came back of {tuple(like)}")
    return stack([_planes(frame) for frame in frames])


def _packets_of(coded: Coded, context: av.VideoCodecContext) -> Iterator[av.Packet[Any]]:
    """Packets with their times; a stream without times is split by FFmpeg's parser."""
    import av

    if not coded.times:
        yield from context.parse(b"".join(coded.packets))
        yield from context.parse(None)
        return
    for data, time_ in zip(coded.packets, coded.times, strict=True):
        packet = av.Packet(data)
        packet.pts = time_
        yield packet


def _planes(frame: av.VideoFrame) -> Frame:
    """Planes in 8 bits. Where 8-bit samples were coded as ten bits (times 4), they are rounded
    back, without dither."""
    if frame.format.name != "yuv420p10le":
        return frame_planes(frame)
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint16).reshape(-1, plane.line_size // 2)
        deep = rows[: plane.height, : plane.width].astype(np.int32)
        planes.append(np.minimum((deep + 2) >> 2, 255).astype(np.uint8))
    return planes[0], planes[1], planes[2]


def joined(options: Mapping[str, str | int]) -> str:
    """Options of a library's own, in the spelling `name=value:name=value`."""
    return ":".join(f"{name}={value}" for name, value in options.items())
