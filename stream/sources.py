"""What a sender can send: clips coded as they are read, or a coded file as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Protocol

from gistcast.codec.clip import Clip
from gistcast.codec.file import CodedClip, read_gist
from gistcast.codec.packet import Packet
from gistcast.stream.sender import SourceClip


class ClipEncoder(Protocol):
    """A codec's sending half."""

    @property
    def header(self) -> bytes:
        """The stream header; the packets' CRC covers it."""

    def encode_clip(self, clip: Clip, limit: int | None = None) -> Sequence[Packet]:
        """Packets of the next clip, layers in ascending order, of at most about `limit` bytes if
        the encoder works to a budget."""


class EncodedSource:
    """Clips, coded one by one as the sender asks for them.

    Args:
        clips: read lazily, in the sender's worker thread.
        fps: frames a second.
        encoder: codes them.
    """

    def __init__(self, clips: Iterable[Clip], fps: Fraction, encoder: ClipEncoder) -> None:
        self._clips, self._fps, self._encoder = clips, fps, encoder

    @property
    def header(self) -> bytes:
        """As `ClipSource.header`."""
        return self._encoder.header

    @property
    def first(self) -> int:
        """As `ClipSource.first`."""
        return 0

    def __iter__(self) -> Iterator[SourceClip]:
        for clip in self._clips:
            seconds = float(clip.frames / self._fps)
            yield SourceClip(clip.frames, seconds, partial(self._encoder.encode_clip, clip))


class GistSource:
    """A coded file: its packets pass through untouched. The index and other chunks that belong
    to no clip stay behind, and so does what is damaged.

    Args:
        data: the bytes of a `.gist` file.

    Raises:
        CorruptError: the header cannot be read, or no packet belongs to it.
    """

    def __init__(self, data: bytes) -> None:
        self._file = read_gist(data)

    @property
    def header(self) -> bytes:
        """As `ClipSource.header`."""
        return self._file.header_bytes

    @property
    def first(self) -> int:
        """As `ClipSource.first`."""
        return self._file.clips[0].number if self._file.clips else 0

    def __iter__(self) -> Iterator[SourceClip]:
        header = self._file.header
        for coded in self._file.clips:
            frames = coded.packets[0].frames or header.clip_frames
            yield SourceClip(frames, float(frames / header.fps), _unwrapped(coded))


def _unwrapped(coded: CodedClip) -> Callable[[int | None], list[Packet]]:
    """The packets with the clip's full number, as an encoder makes them."""
    return lambda _: [replace(packet, clip=coded.number) for packet in coded.packets]
