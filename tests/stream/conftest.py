"""A toy codec and small helpers for the tests of the stream."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import CorruptError
from gistcast.codec.media import VideoInfo
from gistcast.codec.packet import LATENT, RESIDUAL, TEXT, Packet
from gistcast.stream import ReceivedClip, SourceClip

HEADER = b"TOY" + bytes(range(17))
INFO = VideoInfo(16, 16, Fraction(25))
#: of the residual layers: the base fits the marker, four pieces follow, each ends a layer
LAYER_BYTES = (400, 700, 1500, 900, 900)


def toy_packets(number: int, layers: Sequence[int] = LAYER_BYTES) -> list[Packet]:
    """Text, latent and residual layers of pseudo-random bytes."""
    rng = np.random.default_rng(number)
    packets = [Packet(number, TEXT, b"a cat"), Packet(number, LATENT, bytes([number % 256] * 9))]
    for index, size in enumerate(layers):
        packets.append(Packet(number, RESIDUAL + index, rng.bytes(size)))
    last = packets.pop()
    return [*packets, Packet(number, last.layer, last.payload, last=True)]


def toy_bytes(number: int, layers: Sequence[int] = LAYER_BYTES) -> bytes:
    """The packets as a file has them."""
    return b"".join(p.to_bytes(HEADER) for p in toy_packets(number, layers))


class ToySource:
    """`clips` clips of toy packets; `seconds` each."""

    header = HEADER

    def __init__(self, clips: int, seconds: float = 0.04, first: int = 0) -> None:
        self.first = first
        self._numbers, self._seconds = range(first, first + clips), seconds

    def __iter__(self) -> Iterator[SourceClip]:
        for number in self._numbers:
            yield SourceClip(8, self._seconds, lambda _, n=number: toy_packets(n))


@dataclass(frozen=True)
class ToyDecoded:
    clip: Clip


class ToyDecoder:
    """Frames whose luma is the number of layers; refuses clips that start beyond layer 0."""

    header = INFO

    def decode_clip(self, packets: Sequence[Packet]) -> ToyDecoded:
        if packets[0].layer != TEXT:
            raise CorruptError("no text")
        chroma = np.full((8, 8, 8), 128, np.uint8)
        return ToyDecoded(Clip(np.full((8, 16, 16), len(packets), np.uint8), chroma, chroma))


class ListWriter:
    """Keeps the clips."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.closed = 0

    def write(self, clip: Clip) -> None:
        self.clips.append(clip)

    def close(self) -> None:
        self.closed += 1


class Clips:
    """A sink that keeps what comes, and says so."""

    def __init__(self) -> None:
        self.header = b""
        self.clips: list[ReceivedClip] = []
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def start(self, header: bytes) -> None:
        self.header = header

    def write(self, clip: ReceivedClip) -> None:
        self.clips.append(clip)
        self._loop.call_soon_threadsafe(self._news.set)

    def close(self) -> None:
        pass

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not wanted():
                self._news.clear()
                await self._news.wait()

    @property
    def numbers(self) -> list[int]:
        return [clip.number for clip in self.clips]


@pytest.fixture
def writer() -> ListWriter:
    return ListWriter()


@pytest.fixture
def toy() -> ModuleType:
    """This module: test files are imported on their own and cannot name each other."""
    return sys.modules[__name__]
