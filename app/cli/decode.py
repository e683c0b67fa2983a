"""`gistcast decode`: a `.gist` file becomes a video again."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from gistcast.api import REFINE, models_for
from gistcast.cli import common
from gistcast.codec.clip import MAX_PIXELS
from gistcast.codec.decoder import DecodedClip, Decoder
from gistcast.codec.encoder import LAYER_SETS
from gistcast.codec.errors import CorruptError
from gistcast.codec.file import GistFile, decode_coded, read_gist, select_layers
from gistcast.codec.media import VideoInfo, VideoWriter

EPILOG = """examples:
  gistcast decode in.gist -o out.mp4
  gistcast decode in.gist -o close.mp4 --refine fidelity
  gistcast decode in.gist -o sketch.y4m --refine off
  gistcast decode in.gist -o ours.mp4 --refiner run/refiner.safetensors      # trained by yourself
  gistcast decode in.gist -o - | ffplay -

Of a damaged file OUT has what is whole. Standard error says what was lost; the exit status is 3.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(commands, "decode", ".gist -> video", EPILOG)
    parser.add_argument("input", metavar="IN.gist", help="coded file, or - for stdin")
    common.add_output(parser, "OUT.mp4, .mkv or .y4m, or - for y4m on stdout")
    parser.add_argument("--layers", choices=LAYER_SETS, default="residual", help="last layer used")
    add_refine(parser)
    common.add_weights(parser, "of the stream's gist model, where it is not a bundled one")
    parser.add_argument(
        "--refiner",
        type=Path,
        metavar="FILE",
        help="weights of stage 2, as `gistcast train refiner` writes them, in place of the "
        "bundled ones",
    )
    parser.add_argument(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        metavar="N",
        help="refuse larger frames: time and memory go by them, whatever the file's size",
    )
    common.add_device(parser)
    parser.set_defaults(run=run)


def add_refine(parser: argparse.ArgumentParser) -> None:
    """--refine and --no-refine."""
    parser.add_argument(
        "--refine",
        choices=REFINE,
        default="balanced",
        help="what stage 2 favours: closeness to the source, or what looks real (default: "
        "balanced); off shows the sketch",
    )
    parser.add_argument(
        "--no-refine", dest="refine", action="store_const", const="off", help="--refine off"
    )


def _clips(parsed: GistFile, decoder: Decoder, layers: str) -> Iterable[tuple[int, DecodedClip]]:
    coded = common.progress(parsed.clips, what="decode", total=len(parsed.clips))
    for clip in coded:
        packets = select_layers(clip.packets, layers)
        if packets:
            yield clip.number, decode_coded(decoder, clip, packets)


def run(args: argparse.Namespace) -> None:
    """Decode.

    Raises:
        CorruptError: clips lost something; OUT is written all the same, with what is whole.
    """
    common.check_target(args.output, overwrite=args.overwrite, json_output=args.json)
    started = time.monotonic()
    parsed = read_gist(common.read_input(args.input))
    if not any(select_layers(c.packets, args.layers) for c in parsed.clips):
        raise CorruptError(f"the file holds no {args.layers} layer", field="packet")
    header = parsed.header
    model, refiner = models_for(
        header,
        refine=args.refine,
        device=args.device,
        weights=args.weights,
        refiner=args.refiner,
    )
    decoder = Decoder(parsed.header_bytes, model, refiner, args.refine, max_pixels=args.max_pixels)
    info = VideoInfo(header.width, header.height, header.fps)
    clips = _clips(parsed, decoder, args.layers)
    if args.output == "-":
        frames, problems = _write(VideoWriter(sys.stdout.buffer, info), clips)
    else:
        with common.whole_file(args.output) as name:
            frames, problems = _write(VideoWriter(name, info), clips)
    damaged = _report_losses(parsed, problems, args.layers)
    seconds = round(time.monotonic() - started, 3)
    facts = {"frames": frames, "seconds": seconds, "clips_damaged": damaged}
    common.report(args, facts, f"{frames} frames, {damaged} clips damaged, {seconds:g} s")
    if damaged:
        raise CorruptError(f"{damaged} clips damaged", field="packet")


def _report_losses(parsed: GistFile, problems: dict[int, tuple[str, ...]], layers: str) -> int:
    """Say on standard error what was lost; the number of clips that lost something.

    Args:
        problems: of clips that were decoded, by number.
        layers: the last kind of layer that is used.
    """
    lines = parsed.losses()
    for number, messages in problems.items():
        lines += [f"clip {number}: {message}" for message in messages]
    for line in lines:
        print(f"gistcast decode: {line}", file=sys.stderr)
    damaged = set(problems)
    if layers == "residual":
        damaged |= {clip.number for clip in parsed.clips if not clip.complete}
    count = len(damaged) + sum(last + 1 - first for first, last in parsed.missing)
    return max(count, int(bool(parsed.damage)))


def _write(
    writer: VideoWriter, clips: Iterable[tuple[int, DecodedClip]]
) -> tuple[int, dict[int, tuple[str, ...]]]:
    """Write clips; how many frames, and what was wrong with which clip."""
    frames, problems = 0, {}
    for number, decoded in clips:
        writer.write(decoded.clip)
        frames += decoded.clip.frames
        if decoded.damage:
            problems[number] = decoded.damage
    writer.close()
    return frames, problems
