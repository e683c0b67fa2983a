"""Codecs of the `ffmpeg` program that PyAV's libraries lack: libaom and VVenC.

    clip -> raw samples -> ffmpeg's stdin ... ffmpeg's stdout -> packets --strip--> Coded

The program comes with the imageio-ffmpeg wheel (`pip install "gistcast[eval]"`). Decoders are
those of this process: dav1d, and FFmpeg's own for VVC.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.eval.codecs.base import DELAY_MATCHED, Coded, Geometry
from gistcast.eval.codecs.ffmpeg import decode_packets

_PATIENCE = 3600  # seconds for one clip


@cache
def ffmpeg_program() -> str:
    """Path of the program.

    Raises:
        GistcastError: it is not installed.
    """
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise GistcastError(
            f'this needs an ffmpeg program: pip install "gistcast[eval]" ({error})'
        ) from error


@cache
def ffmpeg_version() -> str:
    """Version of the program, such as `n9.0.2-17-g2a571b6068`."""
    run = subprocess.run([ffmpeg_program(), "-version"], capture_output=True, text=True, check=True)
    return run.stdout.split()[2]


@dataclass(frozen=True)
class ExecutableCodec:
    """An encoder of the program and the decoder that reads it.

    Attributes:
        name, encoder, decoder, points, counted, mode: as in `FfmpegCodec`.
        options: quality point -> options of the command line.
        muxer: FFmpeg's name of the format it writes.
        split: what was written -> packets and their times (no times: one stream).
        depth: bits of the samples that the encoder gets, 8 or 10 (8-bit samples times 4).
    """

    name: str
    encoder: str
    decoder: str
    options: Callable[[float], dict[str, str]]
    muxer: str
    split: Callable[[bytes], tuple[tuple[bytes, ...], tuple[int, ...]]]
    points: tuple[float, ...]
    counted: str
    depth: int = 8
    mode: str = DELAY_MATCHED
    uses_text: bool = False

    def settings(self, point: float) -> str:
        """The command line of the encoder, and the program's version."""
        return f"{' '.join(self._arguments(point))} (ffmpeg {ffmpeg_version()})"

    def encode(self, clip: Clip, fps: Fraction, point: float, text: str | None = None) -> Coded:
        """Code one clip; the text is not sent.

        Raises:
            GistcastError: the program is missing, or failed.
        """
        begin = time.perf_counter()
        size = f"{clip.width}x{clip.height}"
        form = "yuv420p" if self.depth == 8 else "yuv420p10le"
        command = [ffmpeg_program(), "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", form]
        command += ["-s", size, "-r", str(fps), "-i", "pipe:0", *self._arguments(point), "pipe:1"]
        run = subprocess.run(
            command, input=_samples(clip, self.depth), capture_output=True, timeout=_PATIENCE
        )
        if run.returncode or not run.stdout:
            reason = run.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise GistcastError(f"{self.name} at {point:g} failed: {' '.join(reason)}")
        packets, times = self.split(run.stdout)
        return Coded(packets, times, time.perf_counter() - begin)

    def decode(self, coded: Coded, like: Geometry) -> Mapping[str, Clip]:
        """The one clip there is.

        Raises:
            GistcastError: the decoder failed or frames are missing.
        """
        return {"": decode_packets(self.name, self.decoder, coded, like)}

    def _arguments(self, point: float) -> list[str]:
        pairs = [
            part for name, value in self.options(point).items() for part in (f"-{name}", value)
        ]
        return ["-c:v", self.encoder, "-threads", "1", *pairs, "-f", self.muxer]


def _samples(clip: Clip, depth: int) -> bytes:
    """Raw planar samples, frame after frame."""
    frames = zip(*clip.planes, strict=True)
    if depth == 8:
        return b"".join(plane.tobytes() for frame in frames for plane in frame)
    deep = (plane.astype(np.uint16) << (depth - 8) for frame in frames for plane in frame)
    return b"".join(plane.astype("<u2").tobytes() for plane in deep)
