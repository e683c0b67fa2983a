"""`gistcast generate`: clips from text alone."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np

from gistcast.cli import common
from gistcast.codec.clip import MAX_FRAMES, Clip
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo, VideoWriter


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "generate",
        help="text -> video",
        epilog='example:\n  gistcast generate "a man playing golf" -o golf.mp4 --seed 3 --count 4',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", help="what the clip shows")
    common.add_output(parser, "OUT.mp4, .mkv or .y4m; with --count, OUT-0.mp4, OUT-1.mp4, ...")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another clip")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--size", type=common.parse_size, default=(64, 64), metavar="WxH")
    parser.add_argument("--fps", type=common.parse_fps, default=Fraction(25), metavar="F")
    parser.add_argument("--count", type=int, default=1, help="clips, with seeds SEED, SEED+1, ...")
    common.add_device(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Generate."""
    if not 1 <= args.frames <= MAX_FRAMES:
        raise UsageError(f"a clip has 1 to {MAX_FRAMES} frames, not {args.frames}")
    if args.count < 1:
        raise UsageError("--count must be at least 1")
    out = Path(args.output)
    targets = [
        out if args.count == 1 else out.with_name(f"{out.stem}-{n}{out.suffix}")
        for n in range(args.count)
    ]
    for target in targets:
        common.check_target(str(target), overwrite=args.overwrite)
    from gistcast.models.training import pick_device
    from gistcast.models.zoo import load_gist, load_refiner

    device = pick_device(args.device)
    model, refiner = load_gist(device), load_refiner(device)
    width, height = args.size
    numbered = list(enumerate(targets))
    for number, target in common.progress(numbered, what="generate", total=len(numbered)):
        seed = args.seed + number
        planes = model.gist(
            None, args.text, frames=args.frames, height=height, width=width, seed=seed
        )
        y, u, v = (np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in planes)
        clip = refiner.refine(Clip(y, u, v), step=0.0, latent=None, text=args.text, seed=seed)
        with common.whole_file(str(target)) as name:
            writer = VideoWriter(name, VideoInfo(width, height, args.fps))
            writer.write(clip)
            writer.close()
    facts = {"files": [str(t) for t in targets], "text": args.text, "frames": args.frames}
    common.report(args, facts, f"{len(targets)} clips of {args.frames} frames: {args.text!r}")
