"""Pictures as frames of a video."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from gistcast.codec.clip import Frame
from gistcast.codec.convert import Colour
from gistcast.codec.errors import CorruptError, UsageError
from gistcast.codec.media import VideoInfo, VideoReader

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})


def natural_order(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which `frame10` comes after `frame9`."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def list_images(folder: Path) -> list[Path]:
    """The pictures that lie directly in a folder, in natural order; hidden ones are not seen."""
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGES and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(found, key=lambda path: natural_order(path.name))


class ImageReader:
    """Frames of pictures, one at a time; the counterpart of `VideoReader`.

    Args:
        paths: one picture a frame, all of the first one's size.
        fps: frames a second.
        size: (width, height) to crop (centred, to that aspect) and scale to; None keeps it.
        untagged: colour of Y'CbCr pictures that do not say their own.

    Raises:
        UsageError: no picture.
        CorruptError: the first one cannot be read; while reading, another, or its size differs.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        fps: Fraction = Fraction(25),
        size: tuple[int, int] | None = None,
        untagged: Colour | None = None,
    ) -> None:
        if not paths:
            raise UsageError("no pictures to read")
        self._paths, self._size, self._untagged = paths, size, untagged
        with self._open(paths[0], None) as first:
            self._source = (first.info.width, first.info.height)
        self.info = VideoInfo(*(size or self._source), fps)

    def __enter__(self) -> ImageReader:
        return self

    def __exit__(self, *_: object) -> None:
        """Every picture is closed as soon as it is read."""

    def __iter__(self) -> Iterator[Frame]:
        for path in self._paths:
            with self._open(path, self._size) as reader:
                if reader.source_size != self._source:
                    raise CorruptError(f"{path} is not of the first picture's size")
                frame = next(iter(reader), None)
            if frame is None:
                raise CorruptError(f"{path} holds no picture")
            yield frame

    def _open(self, path: Path, size: tuple[int, int] | None) -> VideoReader:
        return VideoReader(path, size=size, untagged=self._untagged)
