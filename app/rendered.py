"""What many passages of one video have in common, done once: decoding clips.

A clip that arrives whole in ten passages is drawn once; what that cost is charged each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

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
        self._drawn: dict[bytes, tuple[DecodedClip, float]] = {}
        self._saved = 0.0

    def open(self, header: bytes) -> RememberingDecoder:
        """The decoder of a stream; one at a time."""
        self._decoder = self._make(header)
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
