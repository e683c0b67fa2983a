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
from gistcast.cli.encode import parse_tools
from gistcast.codec.camera import still_ground
from gistcast.codec.clip import Clip
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import PRESETS, TUNES, Encoder, EncodeSettings
from gistcast.codec.errors import ModelError
from gistcast.codec.layers import Layers, cut_layers
from gistcast.codec.media import VideoInfo, load_clip
from gistcast.codec.protocol import Refiner
from gistcast.codec.ratecontrol import RDO_WEIGHT, TYPICAL, Trials, quality_to_quantiser
from gistcast.codec.residual import ResidualDecoder, ResidualEncoder
from gistcast.codec.tables import load_tables
from gistcast.codec.videochoice import Choice
from gistcast.networks import viewer_of

DEMO = Path(__file__).parent.parent / "assets" / "street.mp4"
Result = TypeVar("Result")

EPILOG = """examples:
  gistcast bench                                     # 64, 128 and 256, every preset
  gistcast bench in.mp4 --sizes 320x180 --presets medium
  gistcast bench --sizes 64 --presets medium --tunes psnr,perceptual   # and coded for the eye
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(commands, "bench", "speed as multiples of real time", EPILOG)
    parser.add_argument("input", nargs="?", default=str(DEMO), help="video (default: bundled clip)")
    parser.add_argument(
        "--sizes",
        type=common.parse_sizes,
        default=common.parse_sizes("64,128,256"),
        metavar="N|WxH,..",
        help="of the frames; one number is the side of a square (64,128,256)",
    )
    presets = ",".join(PRESETS)
    parser.add_argument(
        "--presets", default=presets, metavar="A,B", help=f"of the encoder ({presets})"
    )
    parser.add_argument("-q", "--quality", type=float, default=40, help="0..100 (40)")
    parser.add_argument(
        "--without",
        type=parse_tools,
        default=frozenset(),
        metavar="TOOL,..",
        help="leave out tools of the encoder; `video` measures the residual alone",
    )
    parser.add_argument(
        "--tunes",
        type=_parse_tunes,
        default=["psnr"],
        metavar="TUNE,..",
        help=f"what the encoder chooses for, of {', '.join(TUNES)}; not by preset fast, which "
        "does not choose (psnr)",
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs; the median is shown")
    common.add_json(parser)
    common.add_device(parser)
    parser.set_defaults(run=run)


def _parse_tunes(text: str) -> list[str]:
    tunes = text.split(",")
    if not set(tunes) <= set(TUNES):
        raise argparse.ArgumentTypeError(f"{text!r}: choose from {', '.join(TUNES)}")
    return tunes


def _timed(work: Callable[[], Result], repeat: int) -> tuple[Result, float, float]:
    """Result, median seconds and median seconds of processor time, of all threads, after a first
    run that loads what is compiled."""
    work()
    seconds, busy = [], []
    for _ in range(repeat):
        started, idle = time.perf_counter(), time.process_time()
        result = work()
        seconds.append(time.perf_counter() - started)
        busy.append(time.process_time() - idle)
    return result, statistics.median(seconds), statistics.median(busy)


def _stages(clip: Clip, settings: EncodeSettings) -> dict[str, float]:
    """Seconds of each stage, run on its own. The transform of the still frames and the choices that
    weigh the camera's motion are part of `motion`, `choice` is the final one."""
    spent: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = work()
        spent[stage] = round(time.perf_counter() - started, 4)
        return result

    trials = Trials(clip, None, settings)
    quantiser = quality_to_quantiser(settings.quality or 0)
    timed("transform", lambda: still_ground(clip, None))
    timed("motion", lambda: trials.settle(TYPICAL))
    ground, encoder = trials.ground, ResidualEncoder(load_tables(), RDO_WEIGHT)
    chosen = timed("choice", lambda: ground.choose(encoder, quantiser))
    timed("entropy", lambda: cut_layers(chosen, None))
    trial = trials.at(quantiser)

    def measure(layers: Layers) -> int:
        return sum(len(payload) for _, payload in layers)

    choice = Choice(clip, settings, measure)
    timed("video_trial", lambda: choice.within(trials, trial, measure(trial.layers)))
    whole = chosen.layer(0, len(ground.layout.groups))
    decoder = ResidualDecoder(clip.frames, clip.height, clip.width, load_tables(), quantiser)
    timed("decode_symbols", lambda: decoder.layer(whole, 0))
    timed("decode_picture", lambda: ground.picture(chosen, None))
    return spent


def _measure(
    clip: Clip,
    info: VideoInfo,
    preset: str,
    tune: str,
    args: argparse.Namespace,
    refiner: Refiner | None,
) -> dict[str, Any]:
    duration = clip.frames / float(info.fps)
    settings = EncodeSettings(quality=args.quality, preset=preset, tune=tune, without=args.without)
    viewer = viewer_of(settings, args.device)
    encoder = Encoder(info, settings, viewer=viewer)
    packets, encode, encode_busy = _timed(
        lambda: Encoder(info, settings, viewer=viewer).encode_clip(clip), args.repeat
    )
    decoder = Decoder(encoder.header)
    decoded, decode, decode_busy = _timed(lambda: decoder.decode_clip(packets), args.repeat)
    row: dict[str, Any] = {
        "size": f"{clip.width}x{clip.height}",
        "preset": preset,
        "tune": tune,
        "bytes": sum(len(p.to_bytes(encoder.header)) for p in packets),
        "encode_seconds": round(encode, 4),
        "encode_cpu_seconds": round(encode_busy, 4),
        "encode_x_real_time": round(duration / encode, 2),
        "decode_seconds": round(decode, 4),
        "decode_cpu_seconds": round(decode_busy, 4),
        "decode_x_real_time": round(duration / decode, 2),
    }
    if refiner is not None:
        sketch, step, kept = decoded.sketch, decoded.step, decoded.kept
        _, refine, _ = _timed(
            lambda: refiner.refine(sketch, step=step, kept=kept, latent=None, text=None, seed=0),
            args.repeat,
        )
        row["refine_seconds"] = round(refine, 4)
        row["refine_x_real_time"] = round(duration / refine, 2)
    row["stages"] = _stages(clip, settings)
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


def _ways(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Presets, and what each chooses for."""
    presets = args.presets.split(",")
    ways = [
        (preset, "psnr" if preset == "fast" else tune) for preset in presets for tune in args.tunes
    ]
    return list(dict.fromkeys(ways))


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    refiner = _refiner(args.device)
    rows = []
    for size in args.sizes:
        clip, info = load_clip(args.input, size=size)
        for preset, tune in _ways(args):
            row = _measure(clip, info, preset, tune, args, refiner)
            rows.append(row)
            if not args.json:
                print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if args.json:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        print(
            json.dumps(
                {
                    "machine": machine,
                    "input": Path(args.input).name,
                    "without": sorted(args.without),
                    "rows": rows,
                }
            )
        )
