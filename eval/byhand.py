"""The standard codecs by hand: the same options through containers and programs, from a file.

    python -m gistcast.eval.byhand CLIP... [--codecs x264,libaom] [--size 64] [--frames 32]

    clip -> y4m or raw file --FFmpeg writes a file--> its packets, by a parser of their own
         -> the file decoded by the ffmpeg program --its psnr filter--> dB

A lab's codec and this path share the encoder's library and nothing else: not the frames' way in,
not the stripping of what is not counted, not the decoder, not the metric. Payloads must be the same
byte for byte, PSNR to 0.01 dB. Where a codec runs in this process, the ffmpeg program's own figure
stands beside it: it has other versions of the libraries.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.media import VideoInfo, VideoWriter, frames_to_bytes, load_clip
from gistcast.eval.codecs import STANDARD_SPECS, standard_codecs
from gistcast.eval.codecs.base import Geometry
from gistcast.eval.codecs.executable import ExecutableCodec, ffmpeg_program, ffmpeg_version
from gistcast.eval.codecs.ffmpeg import FfmpegCodec
from gistcast.eval.metrics.psnr import frame_mse, psnr_of_mse

Standard = FfmpegCodec | ExecutableCodec

#: encoder -> the file that is written, one that adds its own bytes where there is a choice
_SUFFIX = {
    "libx264": ".mkv",
    "libx265": ".mkv",
    "libvpx": ".ivf",
    "libvpx-vp9": ".ivf",
    "libsvtav1": ".ivf",
    "libaom-av1": ".ivf",
    "libvvenc": ".266",
}
#: decoder -> byte, shift and mask of a NAL unit's type, and the types that are not counted
_NAL = {
    "h264": (0, 0, 31, (6, 9)),
    "hevc": (0, 1, 63, (35, 39, 40)),
    "vvc": (1, 3, 31, (20, 23, 24)),
}
_PSNR = re.compile(r"PSNR y:(\S+) u:(\S+) v:(\S+)")


@dataclass(frozen=True)
class ByHand:
    """One comparison.

    Attributes:
        lab, hand: payloads, without any container.
        lab_psnr, hand_psnr: dB of luma, Cb and Cr over the clip.
        file_bytes: size of the file that was written.
    """

    lab: bytes
    hand: bytes
    lab_psnr: tuple[float, float, float]
    hand_psnr: tuple[float, float, float]
    file_bytes: int

    @property
    def agrees(self) -> bool:
        """Byte for byte, and within 0.01 dB."""
        pairs = zip(self.lab_psnr, self.hand_psnr, strict=True)
        return self.lab == self.hand and all(abs(a - b) < 0.01 for a, b in pairs)


def compare(codec: Standard, clip: Clip, fps: Fraction, point: float) -> ByHand:
    """Code a clip in the lab and by hand.

    Raises:
        GistcastError: the codec or the ffmpeg program is missing.
        CalledProcessError: the program failed.
    """
    coded = codec.encode(clip, fps, point)
    shown = codec.decode(coded, Geometry.of(clip))[""]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "clip.y4m")
        writer = VideoWriter(source, VideoInfo(clip.width, clip.height, fps))
        writer.write(clip)
        writer.close()
        target = Path(folder, "coded" + _SUFFIX[codec.encoder])
        if isinstance(codec, FfmpegCodec):
            write_in_process(codec, source, target, point)
        else:
            write_by_program(codec, clip, fps, target, point)
        hand = b"".join(payload_of(target, codec.decoder))
        psnr = psnr_by_program(target, source)
        size = target.stat().st_size
    pairs = zip(clip.planes, shown.planes, strict=True)
    ours = [psnr_of_mse(float(frame_mse(a, b).mean())) for a, b in pairs]
    return ByHand(b"".join(coded.packets), hand, (ours[0], ours[1], ours[2]), psnr, size)


def options_of(codec: FfmpegCodec, clip_side: int, point: float) -> dict[str, str]:
    """The encoder's options at a point, for frames of that shorter side."""
    options = codec.options(point)
    return codec.adapt.options(options, clip_side) if codec.adapt else options


def write_in_process(codec: FfmpegCodec, source: Path, target: Path, point: float) -> None:
    """Frames of a y4m file through PyAV's muxer into a container."""
    with av.open(str(source)) as frames, av.open(str(target), "w") as container:
        read = frames.streams.video[0]
        rate = Fraction(read.average_rate or 25)
        side = min(read.codec_context.width, read.codec_context.height)
        stream = cast(
            "av.VideoStream",
            container.add_stream(codec.encoder, rate=rate),
        )
        stream.width, stream.height = read.codec_context.width, read.codec_context.height
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        stream.options = dict(options_of(codec, side, point))
        for frame in frames.decode(read):
            # raw video's frames say that they are key frames, which encoders take for an order
            frame.pict_type = av.video.frame.PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_by_program(
    codec: ExecutableCodec, clip: Clip, fps: Fraction, target: Path, point: float
) -> None:
    """The ffmpeg program from a raw file, with the command line that the lab records."""
    raw = target.with_suffix(".yuv")
    raw.write_bytes(frames_to_bytes(clip))
    command = codec.settings(point).rpartition(" (")[0].split()
    size = f"{clip.width}x{clip.height}"
    depth = ["-pix_fmt", "yuv420p10le"] if codec.depth == 10 else []
    _run(
        *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", str(fps), "-i", str(raw)),
        *(*depth, *command, str(target)),
    )


def program_bytes(codec: FfmpegCodec, clip: Clip, fps: Fraction, point: float) -> int:
    """Payload of the ffmpeg program's own library, for what runs in this process."""
    options = options_of(codec, min(clip.width, clip.height), point)
    pairs = [part for name, value in options.items() for part in (f"-{name}", value)]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "clip.yuv")
        raw.write_bytes(frames_to_bytes(clip))
        target = Path(folder, "coded" + _SUFFIX[codec.encoder])
        _run(
            *("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{clip.width}x{clip.height}"),
            *("-r", str(fps), "-i", str(raw), "-c:v", codec.encoder, "-threads", "1", *pairs),
            str(target),
        )
        return sum(map(len, payload_of(target, codec.decoder)))


def psnr_by_program(coded: Path, source: Path) -> tuple[float, float, float]:
    """dB of luma, Cb and Cr over all frames, by the ffmpeg program's decoder and psnr filter."""
    shown = _in_eight_bits(coded, source) if coded.suffix == ".266" else ["-i", str(coded)]
    # one time base for both, or the filter pairs other frames
    timing = "settb=1/1000,setpts=N"
    filters = f"[0:v]{timing}[a];[1:v]{timing}[b];[a][b]psnr"
    inputs = (*shown, "-i", str(source))
    log = _run(*inputs, "-lavfi", filters, "-f", "null", "-", level="info")
    match = _PSNR.search(log)
    assert match is not None, log
    return float(match[1]), float(match[2]), float(match[3])


def _in_eight_bits(coded: Path, source: Path) -> list[str]:
    """The program's input of ten-bit pictures rounded half up; its own filters round otherwise."""
    deep, raw = coded.with_suffix(".yuv10"), coded.with_suffix(".yuv8")
    _run("-i", str(coded), "-pix_fmt", "yuv420p10le", "-f", "rawvideo", str(deep))
    samples = np.minimum((np.frombuffer(deep.read_bytes(), "<u2") + 2) // 4, 255)
    raw.write_bytes(samples.astype(np.uint8).tobytes())
    with av.open(str(source)) as frames:
        context = frames.streams.video[0].codec_context
        size = f"{context.width}x{context.height}"
    return ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-i", str(raw)]


def payload_of(path: Path, decoder: str) -> Iterator[bytes]:
    """A file's packets without what the lab does not count, in the order of coding."""
    if decoder in ("h264", "hevc", "vvc"):
        stream = path.read_bytes() if path.suffix == ".266" else _annex_b(path, decoder)
        kind_at, shift, mask, needless = _NAL[decoder]
        for unit in re.split(rb"\x00*\x00\x00\x01", stream)[1:]:
            if unit[kind_at] >> shift & mask not in needless:
                yield b"\0\0\1" + unit
        return
    data, at = path.read_bytes(), 32  # IVF
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        frame = data[at + 12 : at + 12 + size]
        av1 = decoder == "libdav1d" and frame[:2] == bytes([2 << 3 | 2, 0])
        yield frame[2:] if av1 else frame
        at += 12 + size


def _annex_b(path: Path, decoder: str) -> bytes:
    """A Matroska file's stream as Annex B, by the ffmpeg program's bitstream filter."""
    name = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}[decoder]
    target = path.with_suffix(f".{decoder}")
    _run("-i", str(path), "-c", "copy", "-bsf:v", name, "-f", decoder, str(target))
    return target.read_bytes()


def _run(*arguments: str, level: str = "error") -> str:
    command = [ffmpeg_program(), "-hide_banner", "-nostdin", "-loglevel", level, "-y", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def main(arguments: Sequence[str] | None = None) -> int:
    """A table of comparisons; 1 if any disagrees."""
    parser = argparse.ArgumentParser(prog="gistcast.eval.byhand")
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="video")
    names = ",".join(STANDARD_SPECS)
    parser.add_argument("--codecs", default=names, metavar="A,B", help=f"(default {names})")
    parser.add_argument("--size", type=int, default=64, help="side of the frames (default 64)")
    parser.add_argument("--frames", type=int, default=32, help="of each clip (default 32)")
    args = parser.parse_args(arguments)
    print(f"PyAV {av.__version__}; ffmpeg program {ffmpeg_version()}")
    failed = False
    for name in args.codecs.split(","):
        for codec in cast("list[Standard]", standard_codecs(name)):
            for path in args.clips:
                clip, info = load_clip(path, size=(args.size, args.size), frames=args.frames)
                failed |= not _line(codec, path, clip, info.fps)
    return int(failed)


def _line(codec: Standard, path: str, clip: Clip, fps: Fraction) -> bool:
    point = codec.points[len(codec.points) // 2]
    found = compare(codec, clip, fps, point)
    beside = ""
    if isinstance(codec, FfmpegCodec):
        beside = f", the program's own library {program_bytes(codec, clip, fps, point)} bytes"
    print(
        f"{codec.name} {codec.mode or 'delay-matched'} at {point:g}, {Path(path).name}: "
        f"lab {len(found.lab)} bytes {found.lab_psnr[0]:.3f} dB, by hand {len(found.hand)} bytes "
        f"{found.hand_psnr[0]:.3f} dB (file {found.file_bytes}){beside}: "
        f"{'agree' if found.agrees else 'DISAGREE'}",
        flush=True,
    )
    return found.agrees


if __name__ == "__main__":
    sys.exit(main())
