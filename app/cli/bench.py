"""`gistcast bench`: encode and decode as multiples of real time, stage by stage."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gistcast.cli import common
from gistcast.codec.clip import Clip
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import PRESETS, Encoder, EncodeSettings
from gistcast.codec.errors import ModelError
from gistcast.codec.media import VideoInfo, load_clip
from gistcast.codec.protocol import Refiner

DEMO = Path(__file__).parent.parent / "assets" / "street.mp4"
Result = TypeVar("Result")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("bench", help="speed as multiples of real time")
    parser.add_argument("input", nargs="?", default=str(DEMO), help="video (default: bundled clip)")
    parser.add_argument("--sizes", default="64,128,256", help="sides of the square frames")
    parser.add_argument("--presets", default=",".join(PRESETS))
    parser.add_argument("-q", "--quality", type=float, default=40)
    parser.add_argument("--repeat", type=int, default=3, help="runs; the median is shown")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    common.add_device(parser)
    parser.set_defaults(run=run)


def _timed(work: Callable[[], Result], repeat: int) -> tuple[Result, float]:
    """Result and median seconds."""
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return result, statistics.median(seconds)


def _measure(
    clip: Clip, info: VideoInfo, preset: str, args: argparse.Namespace, refiner: Refiner | None
) -> dict[str, Any]:
    duration = clip.frames / float(info.fps)
    settings = EncodeSettings(quality=args.quality, preset=preset)
    encoder = Encoder(info, settings)
    packets, encode = _timed(lambda: Encoder(info, settings).encode_clip(clip), args.repeat)
    decoder = Decoder(encoder.header)
    decoded, decode = _timed(lambda: decoder.decode_clip(packets), args.repeat)
    row: dict[str, Any] = {
        "size": clip.width,
        "preset": preset,
        "bytes": sum(len(p.to_bytes(encoder.header)) for p in packets),
        "encode_seconds": round(encode, 4),
        "encode_x_real_time": round(duration / encode, 2),
        "decode_seconds": round(decode, 4),
        "decode_x_real_time": round(duration / decode, 2),
    }
    if refiner is not None:
        sketch, step = decoded.sketch, decoded.step
        _, refine = _timed(
            lambda: refiner.refine(sketch, step=step, latent=None, text=None, seed=0), args.repeat
        )
        row["refine_seconds"] = round(refine, 4)
        row["refine_x_real_time"] = round(duration / refine, 2)
    row["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return row


def _refiner(device: str) -> Refiner | None:
    try:
        from gistcast.models.training import pick_device
        from gistcast.models.zoo import load_refiner

        return load_refiner(pick_device(device))
    except ModelError as error:
        print(f"gistcast bench: without stage 2: {error}", file=sys.stderr)
        return None


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    refiner = _refiner(args.device)
    rows = []
    for size in (int(s) for s in args.sizes.split(",")):
        clip, info = load_clip(args.input, size=(size, size))
        for preset in args.presets.split(","):
            row = _measure(clip, info, preset, args, refiner)
            rows.append(row)
            if not args.json:
                print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if args.json:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        print(json.dumps({"machine": machine, "input": Path(args.input).name, "rows": rows}))
