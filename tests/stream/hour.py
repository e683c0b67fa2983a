"""An hour of streaming, and what memory does.

    python tests/stream/hour.py [--minutes 60] [--viewers 4] [--real] [--gist FILE]

One process: a sender, a relay behind HTTP, viewers over WebRTC on the loopback, each through an
emulated link that loses 5 % (`--clean`: none, whose statistics grow with the hour); with `--gist`
one more viewer decodes what comes, without stage 2. In virtual time, unless `--real`. Prints
resident memory every five minutes of the stream.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from gistcast.cli.streaming import make_decoder
from gistcast.codec.packet import LATENT, RESIDUAL, Packet
from gistcast.stream import (
    ClipSink,
    GistSource,
    ReceivedClip,
    SourceClip,
    VideoSink,
    parse_network,
    send,
    view,
    virtual,
)
from gistcast.stream.relay import Relay, RelayServer
from gistcast.stream.signalling import WHEP, WHIP

CLIP_SECONDS, LAYERS = 1.28, (430, 720, 700)
LINK = "loss=5%,delay=20ms,handshake=clean,seed={}"
EVERY = 300.0


class Noise:
    """Clips of pseudo-random bytes."""

    header, first = b"HOUR", 0

    def __init__(self, seconds: float) -> None:
        self._count = round(seconds / CLIP_SECONDS)

    def __iter__(self) -> Iterator[SourceClip]:
        rng = np.random.default_rng(0)
        for number in range(self._count):
            packets = [Packet(number, LATENT, rng.bytes(16))]
            packets += [Packet(number, RESIDUAL + i, rng.bytes(n)) for i, n in enumerate(LAYERS)]
            yield SourceClip(32, CLIP_SECONDS, lambda _, packets=packets: packets)


class Again:
    """A coded file over and over."""

    first = 0

    def __init__(self, path: Path, seconds: float) -> None:
        self._file, self._seconds = GistSource(path.read_bytes()), seconds
        self.header = self._file.header

    def __iter__(self) -> Iterator[SourceClip]:
        number, lasted = 0, 0.0
        while lasted < self._seconds:
            for clip in self._file:
                packets = [replace(p, clip=number, pts=None) for p in clip.code(None)]
                yield replace(clip, code=lambda _, packets=packets: packets)
                number, lasted = number + 1, lasted + clip.seconds


class Count:
    """A sink."""

    def __init__(self) -> None:
        self.clips = 0

    def start(self, header: bytes) -> None:
        del header

    def write(self, clip: ReceivedClip) -> None:
        self.clips += bool(clip.packets)

    def close(self) -> None:
        pass


class Nowhere:
    """A writer."""

    def __init__(self, info: object) -> None:
        del info
        self.clips = 0

    def write(self, clip: object) -> None:
        del clip

    def close(self) -> None:
        pass


def resident_mb() -> float:
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


async def hour(args: argparse.Namespace) -> None:
    seconds = 60 * args.minutes
    source = Again(args.gist, seconds) if args.gist else Noise(seconds)
    hub = Relay(**({} if args.gist else {"fps": lambda _: Fraction(25)}))
    async with RelayServer("127.0.0.1", 0, hub) as server:
        network = None if args.clean else parse_network(LINK.format(0))
        sending = asyncio.create_task(
            send(source, server.url + WHIP, network=network, progress=None)
        )
        counts = [Count() for _ in range(args.viewers)]
        sinks: list[ClipSink] = list(counts)
        if args.gist:
            sinks.append(VideoSink(make_decoder(refine="off", device="cpu"), Nowhere))
        views = [
            asyncio.create_task(
                view(sink, server.url + WHEP, patience=60, progress=None,
                     network=None if args.clean else parse_network(LINK.format(1 + n)))
            )
            for n, sink in enumerate(sinks)
        ]  # fmt: skip
        print("| minute | resident MB | clips with something to draw, fewest | most |")
        print("|---|---|---|---|")
        begun = asyncio.get_running_loop().time()
        for tick in range(int(seconds / EVERY)):
            await asyncio.sleep(begun + max(10.0, tick * EVERY) - asyncio.get_running_loop().time())
            for task in (sending, *views):
                if task.done():
                    task.result()  # nobody should be gone before the end
            shown = [count.clips for count in counts]
            minute = max(10.0, tick * EVERY) / 60
            row = f"| {minute:.1f} | {resident_mb():.1f} | {min(shown)} | {max(shown)} |"
            print(row, flush=True)
        sent = await sending
        summaries = await asyncio.gather(*views)
        print(f"sent {sent.clips} clips, {sent.resent} messages again;",
              "viewers: " + "; ".join(summary.line() for summary in summaries))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--viewers", type=int, default=4)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--gist", type=Path)
    args = parser.parse_args()
    begun = time.perf_counter()
    if args.real:
        asyncio.run(hour(args))
    else:
        virtual.run(hour(args))
    print(f"{args.minutes:g} minutes in {(time.perf_counter() - begun) / 60:.1f}")


if __name__ == "__main__":
    main()
