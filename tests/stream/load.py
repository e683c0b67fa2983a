"""Many viewers of one stream, through one relay: what it costs.

    python tests/stream/load.py [VIEWERS [SECONDS]]

The relay and its viewers are two processes, the sender belongs to the viewers'. Prints one JSON
object.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from gistcast.codec.packet import LATENT, RESIDUAL, Packet
from gistcast.stream import ReceivedClip, ReceiveSettings, SendSettings, SourceClip, send, view
from gistcast.stream.relay import Relay, RelayServer
from gistcast.stream.signalling import WHEP, WHIP

CLIP_SECONDS, LAYERS = 1.28, (430, 720, 700)  # as of the bundled clip at 128x128 and 12 kbit/s


class Source:
    """A stream of the bundled clip's shape, without end."""

    header, first = b"LOAD", 0

    def __iter__(self) -> Iterator[SourceClip]:
        rng, number = np.random.default_rng(0), 0
        while True:
            packets = [Packet(number, LATENT, rng.bytes(16))]
            packets += [Packet(number, RESIDUAL + i, rng.bytes(n)) for i, n in enumerate(LAYERS)]
            yield SourceClip(32, CLIP_SECONDS, lambda _, packets=packets: packets)
            number += 1


class Tally:
    """A sink that counts."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.whole = self.partial = self.nothing = 0

    def start(self, header: bytes) -> None:
        del header

    def write(self, clip: ReceivedClip) -> None:
        self.numbers.append(clip.number)
        whole = len(clip.packets) == 1 + len(LAYERS)
        self.whole += whole
        self.partial += bool(clip.packets) and not whole
        self.nothing += not clip.packets

    def close(self) -> None:
        pass


async def relay() -> None:
    """Until standard input closes; then what it took."""
    hub = Relay(fps=lambda _: Fraction(25))
    async with RelayServer("127.0.0.1", 0, hub) as server:
        print(server.url, flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            usage = resource.getrusage(resource.RUSAGE_SELF)
            with open("/proc/self/statm") as file:
                resident = int(file.read().split()[1]) * resource.getpagesize()
            facts = {
                "at": line.strip(),
                "viewers": len(hub.viewers),
                "cpu": usage.ru_utime + usage.ru_stime,
                "resident_mb": round(resident / 1e6, 1),
                "descriptors": len(os.listdir("/proc/self/fd")),
                "thinned": sum(viewer.summary.thinned for viewer in hub.viewers),
            }
            print(json.dumps(facts), flush=True)


async def main(viewers: int, seconds: float) -> None:
    """Drive a relay in another process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "relay", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None

    async def ask(at: str) -> dict[str, float]:
        process.stdin.write(f"{at}\n".encode())
        answer: dict[str, float] = json.loads(await process.stdout.readline())
        return answer

    url = (await process.stdout.readline()).decode().strip()
    empty = await ask("empty")
    sending = asyncio.create_task(
        send(Source(), url + WHIP, SendSettings(adapt=False), progress=None)
    )
    sinks = [Tally() for _ in range(viewers)]
    began = time.monotonic()
    views = [
        asyncio.create_task(view(sink, url + WHEP, ReceiveSettings(), patience=120, progress=None))
        for sink in sinks
    ]
    while not all(len(sink.numbers) for sink in sinks):
        await asyncio.sleep(0.1)
    joined = time.monotonic() - began
    first, own, start = await ask("all joined"), time.process_time(), time.monotonic()
    before = [len(sink.numbers) for sink in sinks]
    await asyncio.sleep(seconds)
    last, lasted = await ask("end"), time.monotonic() - start
    counts = [len(sink.numbers) - n for sink, n in zip(sinks, before, strict=True)]
    gaps = sum(len(range(s.numbers[0], s.numbers[-1] + 1)) - len(s.numbers) for s in sinks)
    print(json.dumps({
        "viewers": viewers,
        "clips_sent_thinned": last["thinned"],
        "seconds": round(lasted, 1),
        "load_average": os.getloadavg(),
        "all_joined_seconds": round(joined, 1),
        "clips_each": [min(counts), max(counts)],
        "whole": sum(sink.whole for sink in sinks),
        "fewer_layers": sum(sink.partial for sink in sinks),
        "nothing": sum(sink.nothing for sink in sinks),
        "gaps": gaps,
        "relay_cpu_percent": round(100 * (last["cpu"] - first["cpu"]) / lasted, 1),
        "viewers_cpu_percent": round(100 * (time.process_time() - own) / lasted, 1),
        "relay": [empty, first, last],
    }, indent=1))  # fmt: skip
    for task in (sending, *views):
        task.cancel()
    await asyncio.gather(sending, *views, return_exceptions=True)
    process.stdin.close()
    process.terminate()
    await process.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["relay"]:
        asyncio.run(relay())
    else:
        count, seconds = (
            float(given) for given in (sys.argv + ["50", "30"][len(sys.argv) - 1 :])[1:3]
        )
        asyncio.run(main(int(count), seconds))
