"""Where the time goes between a camera and a screen, stage by stage, in virtual time.

    python tests/stream/delay.py VIDEO... [--size 128x128] [--bitrate 24k]

Both ends code and decode on a processor of their own, with as many threads as OMP_NUM_THREADS
allows: what is charged is the processor time they take, so that other work on the machine does not
count. Everything else takes what it takes on the loopback, which is nothing. Prints a table.
"""

from __future__ import annotations

import argparse
import asyncio
from fractions import Fraction

from gistcast.api import load_model
from gistcast.cli import common
from gistcast.cli.streaming import make_decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.media import Frame, VideoInfo, VideoReader, read_clips
from gistcast.stream import EncodedSource, VideoSink, parse_network, receive, send, virtual

FPS = Fraction(25)
CASES = [(8, "fast", "off"), (8, "fast", "balanced"), (16, "fast", "off"), (32, "medium", "off"),
         (32, "medium", "balanced")]  # fmt: skip


class Nowhere:
    """A writer."""

    def __init__(self, info: VideoInfo) -> None:
        del info

    def write(self, clip: object) -> None:
        del clip

    def close(self) -> None:
        pass


async def passage(frames: list[Frame], args: argparse.Namespace, case: tuple[int, str, str]):
    """(sender's summary, receiver's)."""
    clip_frames, preset, refine = case
    info = VideoInfo(*args.size, FPS)
    settings = EncodeSettings(bitrate=args.bitrate, clip_frames=clip_frames, preset=preset)
    encoder = Encoder(info, settings, load_model(settings, "cpu"))
    for clip in list(read_clips(frames[: 2 * clip_frames], clip_frames)):  # compiled, loaded
        encoder.encode_clip(clip)
    encoder = Encoder(info, settings, load_model(settings, "cpu"))
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
    args = parser.parse_args()
    frames: list[Frame] = []
    for path in args.videos:
        with VideoReader(path, size=args.size, fps=FPS) as reader:
            frames += list(reader)
    for case in CASES:
        sent, received = virtual.run(passage(frames, args, case), charge=True)
        told = sent.to_json() | received.to_json()
        print(f"\n{case[0]} frames, preset {case[1]}, refine {case[2]}\n")
        print("| ms | p50 | p95 | p98 |\n|---|---|---|---|")
        print(f"| the clip itself | {float(1000 * case[0] / FPS):.0f} | | |")
        for name in ("coded_ms", "network_ms", "drawn_ms", "written_ms"):
            print(row(name, told[name]), flush=True)


if __name__ == "__main__":
    main()
