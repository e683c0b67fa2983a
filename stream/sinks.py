"""What a receiver can do with clips: decode and write video, keep the coded stream, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import BinaryIO, Protocol

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import TEXT, Packet
from gistcast.stream.assemble import ReceivedClip
from gistcast.stream.receiver import ClipSink

_GREY = 126  # mid-grey of limited-range luma


class DecodedClip(Protocol):
    """What a decoder returns: at least the finished picture."""

    @property
    def clip(self) -> Clip:
        """Frames to show."""


class StreamFields(Protocol):
    """What a sink needs of a stream header (`gistcast.codec.header.Header` has it)."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def fps(self) -> Fraction: ...


class ClipDecoder(Protocol):
    """A codec's receiving half, such as `gistcast.codec.decoder.Decoder`."""

    @property
    def header(self) -> StreamFields:
        """Geometry and frame rate, from the stream header."""

    def decode_clip(self, packets: Sequence[Packet]) -> DecodedClip:
        """Frames of a clip from any unbroken run of its layers, the first included.

        Raises:
            GistcastError: the packets cannot be decoded.
        """


class ClipWriter(Protocol):
    """Takes finished clips: `gistcast.codec.media.VideoWriter`, a window, a test."""

    def write(self, clip: Clip) -> None:
        """Append a clip."""

    def close(self) -> None:
        """Finish."""


class VideoSink:
    """Decodes what arrives and writes every frame, concealing what cannot be decoded.

    A clip of which nothing but text arrived though more was sent, or that the decoder refuses,
    becomes the last frame before it, held; grey when there is none. So the output has as many
    frames as were sent.

    Args:
        make_decoder: opens a stream header.
        open_writer: opens the output once the geometry is known.
    """

    def __init__(
        self,
        make_decoder: Callable[[bytes], ClipDecoder],
        open_writer: Callable[[VideoInfo], ClipWriter],
    ) -> None:
        self.damaged = 0  #: clips that the decoder refused
        self.held = 0  #: clips that were concealed
        self._make_decoder, self._open_writer = make_decoder, open_writer
        self._decoder: ClipDecoder | None = None
        self._writer: ClipWriter | None = None
        self._last: Clip | None = None
        self._info = VideoInfo(2, 2, Fraction(25))  # until the stream says

    def start(self, header: bytes) -> None:
        """As `ClipSink.start`."""
        self._decoder = self._make_decoder(header)
        fields = self._decoder.header
        self._info = VideoInfo(fields.width, fields.height, fields.fps)
        self._writer = self._open_writer(self._info)

    def write(self, clip: ReceivedClip) -> None:
        """As `ClipSink.write`."""
        assert self._writer is not None
        drawable = clip.packets and (clip.complete or clip.packets[-1].layer > TEXT)
        shown = self._decode(clip.packets) if drawable else None
        if shown is None:
            self.held += 1
            shown = self._conceal(clip.frames)
        self._last = shown[-1:]
        self._writer.write(shown)

    def close(self) -> None:
        """As `ClipSink.close`."""
        if self._writer is not None:
            self._writer.close()

    def _decode(self, packets: Sequence[Packet]) -> Clip | None:
        assert self._decoder is not None
        try:
            return self._decoder.decode_clip(packets).clip
        except GistcastError:
            self.damaged += 1
            return None

    def _conceal(self, frames: int) -> Clip:
        if self._last is not None:
            y, u, v = (np.repeat(plane, frames, axis=0) for plane in self._last.planes)
            return Clip(y, u, v)
        height, width = self._info.height, self._info.width
        chroma = (frames, (height + 1) // 2, (width + 1) // 2)
        luma = np.full((frames, height, width), _GREY, np.uint8)
        return Clip(luma, np.full(chroma, 128, np.uint8), np.full(chroma, 128, np.uint8))


class GistSink:
    """Keeps the coded stream: header and packets, byte for byte as they were sent.

    Args:
        out: where to; stays open.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def start(self, header: bytes) -> None:
        """As `ClipSink.start`."""
        self._out.write(header)

    def write(self, clip: ReceivedClip) -> None:
        """As `ClipSink.write`."""
        self._out.write(clip.data)

    def close(self) -> None:
        """As `ClipSink.close`."""
        self._out.flush()


class Tee:
    """Gives everything to several sinks, in order."""

    def __init__(self, *sinks: ClipSink) -> None:
        self._sinks = sinks
        self._started: list[ClipSink] = []

    def start(self, header: bytes) -> None:
        """As `ClipSink.start`."""
        for sink in self._sinks:
            self._started.append(sink)
            sink.start(header)

    def write(self, clip: ReceivedClip) -> None:
        """As `ClipSink.write`."""
        for sink in self._sinks:
            sink.write(clip)

    def close(self) -> None:
        """As `ClipSink.close`: all that were started, even if one of them fails."""
        while self._started:
            try:
                self._started.pop(0).close()
            except BaseException:
                self.close()
                raise
