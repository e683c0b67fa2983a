"""Where the time goes between a camera and a screen, stage by stage, in virtual time.

    python tests/stream/delay.py VIDEO... [--size 128x128] [--bitrate 24k] [--case 8,live,off]

Both ends code and decode on a processor of their own, with as many threads as OMP_NUM_THREADS
allows: what is charged is the processor time that they take, of all threads, so that other work on
the machine counts only as far as it makes that longer. Everything else takes what it takes on the
loopback, which is nothing. A case is frames a clip, preset (`live`: what `gistcast send` does, the
best up to medium that there is time for) and stage 2. Prints a table for each.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from fractions import Fraction

from gistcast.cli import common
from gistcast.cli.streaming import load_decoder, make_decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.media import Frame, VideoInfo, VideoReader, read_clips
from gistcast.stream import (
    ClipEncoder,
    EncodedSource,
    VideoSink,
    parse_network,
    receive,
    send,
    virtual,
)
from gistcast.stream.live import LiveEncoder

FPS = Fraction(25)
Case = tuple[int, str, str]
LIVE = "live"
CASES = [(8, LIVE, "off"), (8, "fast", "off"), (8, "medium", "off"), (8, LIVE, "balanced"),
         (16, LIVE, "off"), (32, LIVE, "off")]  # fmt: skip


class Nowhere:
    """A writer."""

    def __init__(self, info: VideoInfo) -> None:
        del info

    def write(self, clip: object) -> None:
        del clip

    def close(self) -> None:
        pass


def parse_case(text: str) -> Case:
    """`FRAMES,PRESET,REFINE`."""
    clip_frames, preset, refine = text.split(",")
    return int(clip_frames), preset, refine


def make_encoder(args: argparse.Namespace, case: Case) -> ClipEncoder:
    info, preset = VideoInfo(*args.size, FPS), "medium" if case[1] == LIVE else case[1]
    settings = EncodeSettings(bitrate=args.bitrate, clip_frames=case[0], preset=preset)
    live = LiveEncoder(info, settings, clock=time.process_time)
    live.warm()
    return live if case[1] == LIVE else Encoder(info, settings)


async def passage(frames: list[Frame], encoder: ClipEncoder, clip_frames: int, refine: str):
    """(sender's summary, receiver's)."""
    source = EncodedSource(read_clips(frames, clip_frames), FPS, encoder)
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    sink = VideoSink(make_decoder(refine=refine, device="cpu"), Nowhere)
    receiving = asyncio.create_task(receive(sink, wait=60, listening=url.set_result, progress=None))
    network = parse_network("delay=1ms,handshake=clean")
    sent = await send(source, await url, network=network, progress=None)
    return sent, await receiving


def row(name: str, values: dict[str, float | None]) -> str:
    return f"| {name} | " + " | ".join(f"{values[p]:.0f}" for p in ("p50", "p95", "p98")) + " |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--size", type=common.parse_size, default=(128, 128))
    parser.add_argument("--bitrate", type=common.parse_rate, default=24_000)
    parser.add_argument("--case", type=parse_case, action="append", metavar="FRAMES,PRESET,REFINE")
    args = parser.parse_args()
    frames: list[Frame] = []
    for path in args.videos:
        with VideoReader(path, size=args.size, fps=FPS) as reader:
            frames += list(reader)
    for case in args.case or CASES:
        encoder = make_encoder(args, case)
        load_decoder(refine=case[2], device="cpu")
        passing = passage(frames, encoder, case[0], case[2])
        sent, received = virtual.run(passing, charge=True)
        told = sent.to_json() | received.to_json()
        print(f"\n{case[0]} frames, preset {case[1]}, refine {case[2]}")
        if isinstance(encoder, LiveEncoder):
            print("coded as", ", ".join(f"{name}: {n}" for name, n in encoder.used.items()))
        print(f"payload {8e-3 * sent.payload_bytes / sent.media_seconds:.1f} kbit/s\n")
        print("| ms | p50 | p95 | p98 |\n|---|---|---|---|")
        print(f"| the clip itself | {float(1000 * case[0] / FPS):.0f} | | |")
        for name in ("coded_ms", "network_ms", "drawn_ms", "written_ms"):
            print(row(name, told[name]), flush=True)


if __name__ == "__main__":
    main()
