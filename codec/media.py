"""Video files in and out, through PyAV: planes of 8-bit 4:2:0 BT.709 limited range."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from gistcast.codec.clip import Clip, check_geometry
from gistcast.codec.clip import Frame as Frame
from gistcast.codec.convert import Colour, convert, is_native
from gistcast.codec.errors import CorruptError, GistcastError, UsageError
from gistcast.codec.scenes import CutDetector

if TYPE_CHECKING:
    import av

#: what a `VideoWriter` writes, by how the name ends
WRITTEN = (".mp4", ".mkv", ".y4m")


@dataclass(frozen=True)
class VideoInfo:
    """Geometry and frame rate (frames a second, a `Fraction`) of a source."""

    width: int
    height: int
    fps: Fraction


@dataclass(frozen=True)
class RawVideo:
    """What a headerless file of frames holds.

    Attributes:
        width, height: of a frame.
        fps: frames a second.
        pixel_format: FFmpeg's name: yuv420p, yuv422p10le, rgb24, ...
    """

    width: int
    height: int
    fps: Fraction = Fraction(25)
    pixel_format: str = "yuv420p"

    def __post_init__(self) -> None:
        import av

        if self.width < 1 or self.height < 1 or self.fps <= 0:
            raise UsageError(f"raw video of {self.width}x{self.height} at {self.fps} frames/s")
        try:
            av.VideoFormat(self.pixel_format)
        except ValueError as error:
            raise UsageError(f"no pixel format {self.pixel_format!r} in FFmpeg") from error

    @property
    def demuxer(self) -> dict[str, str]:
        """Options of FFmpeg's rawvideo demuxer."""
        return {
            "video_size": f"{self.width}x{self.height}",
            "pixel_format": self.pixel_format,
            "framerate": str(self.fps),
        }


def _even_crop(width: int, height: int, target: tuple[int, int]) -> tuple[int, int, int, int]:
    """Largest centred window (x, y, w, h) with the target's aspect ratio, on even offsets."""
    tw, th = target
    w, h = min(width, round(height * tw / th)), min(height, round(width * th / tw))
    w, h = max(2, w - w % 2), max(2, h - h % 2)
    return (width - w) // 4 * 2, (height - h) // 4 * 2, w, h


def _to_420(frame: av.VideoFrame, untagged: Colour | None) -> av.VideoFrame:
    """8-bit 4:2:0 BT.709 limited range, whatever arrived."""
    return frame if is_native(frame, untagged) else planes_to_frame(convert(frame, untagged))


def frame_planes(frame: av.VideoFrame) -> Frame:
    """Planes of a PyAV yuv420p frame, copied."""
    out = []
    for index, plane in enumerate(frame.planes):
        width = frame.width if index == 0 else (frame.width + 1) // 2
        height = frame.height if index == 0 else (frame.height + 1) // 2
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        out.append(rows[:height, :width].copy())
    return out[0], out[1], out[2]


def planes_to_frame(planes: Frame) -> av.VideoFrame:
    """A PyAV yuv420p frame tagged BT.709 limited range, from planes of one frame."""
    import av

    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    for target, source in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(target), np.uint8).reshape(-1, target.line_size)
        rows[: source.shape[0], : source.shape[1]] = source
    frame.colorspace = 1
    frame.color_range = 1
    return frame


def _scaled(frame: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    """Centre-crop to the target's aspect and scale by area averaging."""
    x, y, w, h = _even_crop(frame.width, frame.height, size)
    if (w, h) != (frame.width, frame.height):
        py, pu, pv = frame_planes(frame)
        cut = (
            py[y : y + h, x : x + w],
            pu[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2],
            pv[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2],
        )
        frame = planes_to_frame(cut)
    if (w, h) == size:
        return frame
    return frame.reformat(width=size[0], height=size[1], interpolation="AREA")


class VideoReader:
    """Frames of a file (or y4m on a stream), one at a time.

    Args:
        source: a path, `-` for standard input, or a binary file object.
        size: (width, height) to crop (centred, to that aspect) and scale to; None keeps it.
        fps: frames a second to sample at (nearest frame), positive; None keeps the source's.
        raw: what a headerless file holds; None for files that say it themselves.
        untagged: colour of a source that does not say its own; None for BT.709 limited range.

    Raises:
        UsageError: no such file, a folder, no frame rate, or (while reading) a colour matrix that
            is not supported, or the reader was closed.
        CorruptError: the file cannot be read as video.
    """

    def __init__(
        self,
        source: str | Path | BinaryIO,
        *,
        size: tuple[int, int] | None = None,
        fps: Fraction | None = None,
        raw: RawVideo | None = None,
        untagged: Colour | None = None,
    ) -> None:
        import av

        if fps is not None and fps <= 0:
            raise UsageError(f"frames cannot be sampled at {fps} a second")
        self._untagged = untagged
        self._reading, self._closed = threading.Lock(), False
        demuxer: dict[str, Any] = {}
        if raw is not None:
            demuxer = {"format": "rawvideo", "options": raw.demuxer}
        opened: Any = source
        if isinstance(source, (str, Path)):
            if str(source) == "-":
                opened = sys.stdin.buffer
            elif Path(source).is_dir():
                raise UsageError(f"{source} is a folder: name a video in it")
            elif not Path(source).is_file():
                raise UsageError(f"no such file: {source}")
            else:
                opened = str(source)
        try:
            self._container = av.open(opened, mode="r", **demuxer)
            self._stream = self._container.streams.video[0]
        except av.FFmpegError as error:
            raise CorruptError(f"cannot read {source} as video: {error.strerror}") from error
        except IndexError as error:
            raise CorruptError(f"cannot read {source} as video: it holds no pictures") from error
        self._stream.thread_type = "SLICE"
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        self._source_fps = Fraction(rate).limit_denominator(1001 * 240)
        self._fps = fps or self._source_fps
        self._size = size
        if 0 in self.source_size:
            raise CorruptError(f"cannot read {source} as video: it does not say its frame size")
        width, height = size or self.source_size
        check_geometry(1, height, width)
        self.info = VideoInfo(width, height, self._fps)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, after the read that another thread may be in."""
        self._closed = True  # no further read begins
        with self._reading:
            self._container.close()

    @property
    def source_size(self) -> tuple[int, int]:
        """(width, height) before cropping and scaling."""
        return self._stream.codec_context.width, self._stream.codec_context.height

    @property
    def frame_count(self) -> int | None:
        """Frames the container declares, scaled to the sampled rate; None where unknown."""
        count = self._stream.frames
        return round(count * self._fps / self._source_fps) if count else None

    def __iter__(self) -> Iterator[Frame]:
        import av

        due = Fraction(0)  # index of the next output frame, in source frames
        step = self._source_fps / self._fps
        try:
            for index, frame in enumerate(self._decoded()):
                copies = 0
                while due <= index:
                    due += step
                    copies += 1
                if copies:
                    frame = _to_420(frame, self._untagged)
                    if self._size is not None:
                        frame = _scaled(frame, self._size)
                    planes = frame_planes(frame)
                    if planes[0].shape != (self.info.height, self.info.width):
                        raise CorruptError("the frame size changes within the video")
                    for _ in range(copies):
                        yield planes
        except av.FFmpegError as error:
            raise CorruptError(f"video cannot be decoded: {error}") from error

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Frames as they are coded. None is read while the file is closed: PyAV would crash."""
        frames = self._container.decode(self._stream)
        while True:
            with self._reading:
                if self._closed:
                    raise UsageError("the video was closed while it was read")
                frame = next(frames, None)
            if frame is None:
                return
            yield frame


def stack(frames: list[Frame]) -> Clip:
    """Frames -> `Clip` (at most 32)."""
    return Clip(
        np.stack([f[0] for f in frames]),
        np.stack([f[1] for f in frames]),
        np.stack([f[2] for f in frames]),
    )


def read_clips(reader: Iterable[Frame], frames: int) -> Iterator[Clip]:
    """Cut a video into clips of at most `frames` frames; none straddles a scene change."""
    pending: list[Frame] = []
    cuts = CutDetector()
    for frame in reader:
        if cuts.starts_scene(frame[0]) and pending:
            yield stack(pending)
            pending = []
        pending.append(frame)
        if len(pending) == frames:
            yield stack(pending)
            pending = []
    if pending:
        yield stack(pending)


class VideoWriter:
    """Write clips as mp4 or mkv (H.264, visually lossless) or y4m (exact).

    Args:
        target: a path ending in .mp4, .mkv or .y4m, or a binary file object (y4m).
    """

    def __init__(self, target: str | Path | BinaryIO, info: VideoInfo) -> None:
        self._info = info
        self._y4m: BinaryIO | None = None
        self._container: Any = None
        self._close_y4m = False
        name = str(target) if isinstance(target, (str, Path)) else ""
        suffix = Path(name).suffix.lower() if name else ".y4m"
        if suffix == ".y4m":
            self._y4m = Path(name).open("wb") if name else target  # type: ignore[assignment]  # noqa: SIM115
            self._close_y4m = bool(name)
            self._write_y4m_header()
        elif suffix in (".mp4", ".mkv"):
            self._open_container(name, suffix)
        else:
            shown = f"as {suffix}" if suffix else "to a name without a suffix"
            raise UsageError(f"video cannot be written {shown}: use .mp4, .mkv or .y4m")

    def _write_y4m_header(self) -> None:
        info = self._info
        header = (
            f"YUV4MPEG2 W{info.width} H{info.height} F{info.fps.numerator}:{info.fps.denominator}"
            " Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED\n"
        )
        assert self._y4m is not None
        self._y4m.write(header.encode())

    def _open_container(self, name: str, suffix: str) -> None:
        import av

        self._container = av.open(name, mode="w", format="matroska" if suffix == ".mkv" else "mp4")
        stream = self._container.add_stream("libx264", rate=self._info.fps)
        # 4:2:0 H.264 wants even sides: the last row or column is repeated, and players crop it
        stream.width = self._info.width + self._info.width % 2
        stream.height = self._info.height + self._info.height % 2
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "8", "preset": "veryfast"}
        stream.codec_context.colorspace = 1
        stream.codec_context.color_range = 1
        stream.codec_context.color_primaries = 1
        stream.codec_context.color_trc = 1
        self._stream = stream

    def write(self, clip: Clip) -> None:
        """Append a clip."""
        for y, u, v in zip(*clip.planes, strict=True):
            if self._y4m is not None:
                self._y4m.write(b"FRAME\n" + y.tobytes() + u.tobytes() + v.tobytes())
            else:
                pad = ((0, y.shape[0] % 2), (0, y.shape[1] % 2))
                frame = planes_to_frame((np.pad(y, pad, mode="edge"), u, v))
                self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file. Must be called for the file to be playable."""
        if self._y4m is not None:
            self._y4m.flush()
            if self._close_y4m:
                self._y4m.close()
        else:
            self._container.mux(self._stream.encode(None))
            self._container.close()


def load_clip(
    source: str | Path, *, size: tuple[int, int] | None = None, frames: int = 32, start: int = 0
) -> tuple[Clip, VideoInfo]:
    """The `frames` frames of a video from `start`, centre-cropped and scaled to `size`.

    Raises:
        GistcastError: the video is shorter than `start`.
    """
    with VideoReader(source, size=size) as reader:
        kept: list[Frame] = []
        for index, frame in enumerate(reader):
            if index >= start:
                kept.append(frame)
            if len(kept) == frames:
                break
        if not kept:
            raise GistcastError(f"{source} has no frame {start}")
        return stack(kept), reader.info


def ordinary_priority() -> None:
    """Undo what SVT-AV1, run by root, does to the thread that calls it: it raises it to real-time
    priority, where it starves the machine, and leaves it so."""
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def frames_to_bytes(clip: Clip) -> bytes:
    """Raw yuv420p bytes of a clip, frame after frame."""
    out = io.BytesIO()
    for y, u, v in zip(*clip.planes, strict=True):
        out.write(y.tobytes() + u.tobytes() + v.tobytes())
    return out.getvalue()
