"""What many passages of one video have in common, done once: decoding clips.

A clip that arrives whole in ten passages is drawn once; what that cost is charged each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gistcast.codec.clip import Clip
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import Packet
from gistcast.stream.sinks import ClipDecoder, DecodedClip, StreamFields


class RememberingDecoder:
    """Draws a clip once, and the next time takes as long as it took then: processor time, so that
    other work on the machine does not count.

    Args:
        make: opens a stream's header.
    """

    header: StreamFields

    def __init__(self, make: Callable[[bytes], ClipDecoder]) -> None:
        self._make = make
        self._opened: dict[bytes, ClipDecoder] = {}
        self._drawn: dict[bytes, tuple[DecodedClip, float]] = {}
        self._saved = 0.0

    def warm(self, header: bytes, clip: Clip, info: VideoInfo) -> None:
        """Open a stream and draw a clip of its size that is not remembered, unless it was opened
        before: what kernels and networks take to load is then charged to no passage."""
        if header not in self._opened:
            settings = EncodeSettings(quality=20, clip_frames=clip.frames, preset="fast")
            packets = Encoder(info, settings).encode_clip(clip)
            self.open(header)._decoder.decode_clip(packets)

    def open(self, header: bytes) -> RememberingDecoder:
        """The decoder of a stream; one at a time."""
        if header not in self._opened:
            self._opened[header] = self._make(header)
        self._decoder = self._opened[header]
        self._stream, self.header = header, self._decoder.header
        return self

    def clock(self) -> float:
        """Seconds of the processor's time, with what was saved of it."""
        return time.process_time() + self._saved

    def decode_clip(self, packets: Sequence[Packet]) -> DecodedClip:
        """As `ClipDecoder.decode_clip`."""
        key = self._stream + b"".join(packet.to_bytes(self._stream) for packet in packets)
        if key in self._drawn:
            drawn, took = self._drawn[key]
            self._saved += took
            return drawn
        begun = time.process_time()
        drawn = self._decoder.decode_clip(packets)
        self._drawn[key] = drawn, time.process_time() - begun
        return drawn
