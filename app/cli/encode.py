"""`gistcast encode`: a video becomes a `.gist` file."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from gistcast.cli import common
from gistcast.codec.clip import CLIP_FRAMES, Clip
from gistcast.codec.encoder import LAYER_SETS, PRESETS, TOOLS, TUNES, Encoder, EncodeSettings
from gistcast.codec.errors import UsageError
from gistcast.codec.file import index_chunk
from gistcast.codec.header import MAJOR
from gistcast.codec.media import WRITTEN, VideoReader, read_clips
from gistcast.codec.packet import Packet, kind_of
from gistcast.networks import MODELS, REAL, load_model, viewer_of

try:
    import fcntl
except ImportError:  # Windows: two encoders of one file are not told apart
    fcntl = None  # type: ignore[assignment]

AUTO = "auto"  #: in place of a text: describe the first clip

EPILOG = """examples:
  gistcast encode in.mp4 -o out.gist -q 40
  gistcast encode in.mp4 -o out.gist --size 128x128 --bitrate 8k --text "a dog running"
  ffmpeg -i in.mp4 -f yuv4mpegpipe - | gistcast encode - -o - --clip-bytes 600 > out.gist
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(commands, "encode", "video -> .gist", EPILOG)
    parser.add_argument("input", metavar="IN", help="video file, or - for y4m on stdin")
    common.add_output(parser, "the .gist file, or - for stdout")
    add_settings(parser)
    parser.add_argument(
        "--tune",
        choices=TUNES,
        default="auto",
        help="choose between ways of coding by the sketch's squared error, or by how the "
        "regenerated clip looks; auto does that where a budget is small",
    )
    parser.add_argument("--index", action="store_true", help="append a seek index")
    parser.add_argument(
        "--model",
        choices=tuple(MODELS.values()),
        default=REAL,
        help="what describes clips by text and latent: the gist of real video, or the generator "
        "of scenes",
    )
    common.add_weights(parser, "of that model, in place of the bundled ones")
    common.add_device(parser)
    parser.set_defaults(run=run)


def parse_tools(text: str) -> frozenset[str]:
    """Names of tools, separated by commas; `EncodeSettings` refuses unknown ones."""
    return frozenset(filter(None, text.split(",")))


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The arguments that become `EncodeSettings`, and size and frame rate.

    `--tune` is `encode`'s own: a live stream has no time for a viewer.
    """
    parser.set_defaults(tune="psnr")
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("-q", "--quality", type=float, help="0..100, more is better (default 50)")
    rate.add_argument("--bitrate", type=common.parse_rate, help="bits a second, such as 8k")
    rate.add_argument("--clip-bytes", type=int, metavar="N", help="hard limit for every clip")
    parser.add_argument("--layers", choices=LAYER_SETS, default="residual", help="last layer sent")
    parser.add_argument(
        "--text", help="description of the video; `auto` lets the first clip be recognised"
    )
    parser.add_argument(
        "--latent", choices=("off", "on", "auto"), default="off", help="send a latent and its gist"
    )
    parser.add_argument(
        "--residual-layers",
        type=int,
        metavar="N",
        help="how many layers the residual is cut into (default: by its size)",
    )
    parser.add_argument(
        "--without",
        type=parse_tools,
        default=frozenset(),
        metavar="TOOL,..",
        help=f"leave out tools of the encoder, to see what they bring: {', '.join(TOOLS)}",
    )
    parser.add_argument(
        "--size",
        type=common.parse_size,
        metavar="WxH",
        help="crop and scale to (default: as it is)",
    )
    parser.add_argument(
        "--fps",
        type=common.parse_fps,
        metavar="F",
        help="frames a second to sample at (default: all)",
    )
    parser.add_argument("--clip", type=int, choices=CLIP_FRAMES, default=32, help="frames a clip")
    parser.add_argument(
        "--preset", choices=PRESETS, default="medium", help="time for bytes (default medium)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the decoder's randomness")


def settings_of(args: argparse.Namespace) -> EncodeSettings:
    """`EncodeSettings` from parsed arguments."""
    return EncodeSettings(
        quality=args.quality,
        clip_bytes=args.clip_bytes,
        bitrate=args.bitrate,
        clip_frames=args.clip,
        preset=args.preset,
        tune=args.tune,
        text=args.text,
        layers=args.layers,
        latent=args.latent,
        seed=args.seed,
        residual_layers=args.residual_layers,
        without=args.without,
    )


class _Tally:
    """Counts bytes by kind of layer while pieces go out."""

    def __init__(self) -> None:
        self.layers = {"text": 0, "latent": 0, "residual": 0, "video": 0, "headers": 0}
        self.video_clips = 0
        self.sizes: list[int] = []
        self.frames = 0

    def clip(self, packets: list[Packet], header: bytes) -> bytes:
        piece = b"".join(p.to_bytes(header) for p in packets)
        for packet in packets:
            kind, number = kind_of(packet.layer, MAJOR)
            self.video_clips += (kind, number) == ("video", 0)
            self.layers[kind] += len(packet.payload)
        self.layers["headers"] += len(piece) - sum(len(p.payload) for p in packets)
        self.sizes.append(len(piece))
        return piece


def _pieces(clips: Iterable[Clip], encoder: Encoder, tally: _Tally, index: bool) -> Iterator[bytes]:
    tally.layers["headers"] += len(encoder.header)
    yield encoder.header
    for clip in clips:
        tally.frames += clip.frames
        yield tally.clip(encoder.encode_clip(clip), encoder.header)
    if index:
        chunk = index_chunk(tally.sizes, encoder.header)
        tally.layers["headers"] += len(chunk)
        yield chunk


@contextlib.contextmanager
def growing_file(path: str) -> Iterator[BinaryIO]:
    """`path` + ".part", renamed to `path` on success and removed on failure.

    Who is killed leaves the part behind: a readable file of the clips that were flushed. The next
    run begins it anew.

    Raises:
        UsageError: no such folder, or another encoder is at work on this file.
    """
    part = Path(f"{path}.part")
    if not part.parent.is_dir():
        raise UsageError(f"no such folder: {part.parent}")
    with open(part, "ab") as file:
        _claim(file, part)
        try:
            file.truncate(0)
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut might leave the name without the bytes
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _claim(file: BinaryIO, part: Path) -> None:
    """Lock a file that was just opened as `part`, and see that it still is."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(file.fileno()), part.stat())
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:
        raise UsageError(f"{part}: another encoder is at work on it")


def _write(file: BinaryIO, pieces: Iterable[bytes]) -> None:
    """Every clip leaves the process as soon as it is coded."""
    for piece in pieces:
        file.write(piece)
        file.flush()


def described(
    settings: EncodeSettings, clips: Iterator[Clip]
) -> tuple[EncodeSettings, Iterator[Clip]]:
    """The settings with what the first clip shows in place of the text `auto`, and all clips."""
    if settings.text != AUTO:
        return settings, clips
    from gistcast.models.describe import describe

    first = next(clips, None)
    if first is None:
        return replace(settings, text=None), clips
    return replace(settings, text=describe(first)), chain([first], clips)


def run(args: argparse.Namespace) -> None:
    """Encode."""
    common.check_target(args.output, overwrite=args.overwrite, json_output=args.json)
    if Path(args.output).suffix.lower() in WRITTEN:
        raise UsageError(f"{args.output} would hold no video: name a .gist file, then decode it")
    settings = settings_of(args)
    started = time.monotonic()
    with VideoReader(args.input, size=args.size, fps=args.fps) as reader:
        settings, clips = described(settings, read_clips(reader, settings.clip_frames))
        model = load_model(settings, args.device, args.model, args.weights)
        encoder = Encoder(reader.info, settings, model, viewer_of(settings, args.device))
        count = reader.frame_count
        total = -(-count // settings.clip_frames) if count else None
        shown = common.progress(clips, what="encode", total=total)
        tally = _Tally()
        pieces = _pieces(shown, encoder, tally, args.index)
        if args.output == "-":
            _write(sys.stdout.buffer, pieces)
        else:
            with growing_file(args.output) as file:
                _write(file, pieces)
        info = reader.info
    size = sum(tally.layers.values())
    facts = common.rate_facts(size, tally.frames, info.width, info.height, info.fps)
    facts |= {"seconds": round(time.monotonic() - started, 3), "layers": tally.layers}
    facts |= {"clips": len(tally.sizes), "video_clips": tally.video_clips}
    facts |= {"text": settings.text}
    line = (
        f"{tally.frames} frames {info.width}x{info.height} at {float(info.fps):g} fps: "
        f"{size} bytes, {facts['kbps']:g} kbps, {facts['seconds']:g} s"
    )
    if tally.video_clips:
        line += f"; {tally.video_clips} of {len(tally.sizes)} clips as AV1"
    if args.text == AUTO:
        line += (
            f"; described as {settings.text!r}"
            if settings.text
            else "; text: nothing was recognised"
        )
    common.report(args, facts, line)
