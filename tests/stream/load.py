"""A relay under load: honest viewers, abusive ones, and a flood of sessions.

    python tests/stream/load.py [--viewers 50] [--seconds 60] [--sessions 200] [--processes 2]

The relay, the viewers (several processes), the flood and the abusive five are processes of their
own; the sender belongs to the driver's. Phases: the viewers join; `--seconds` of quiet; as long
with `--sessions` signalling sessions a second opened and dropped, from twenty loopback addresses
(so that no address is over its limit) and with the abusive five: one that connects and never reads
again, one whose reports lie, one that sends malformed messages as fast as it may, one with wrong
tokens, one with a hundred connections whose headers never end and bodies that lie about their
size. Then twenty seconds of rest. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np

from gistcast.codec.packet import LATENT, RESIDUAL, Packet
from gistcast.stream import ReceivedClip, SendSettings, SourceClip, StreamError, send, view
from gistcast.stream.link import ChannelName
from gistcast.stream.messages import Arrival, Report
from gistcast.stream.peer import PeerLink
from gistcast.stream.relay import Relay, RelayServer
from gistcast.stream.signalling import WHEP, WHIP, whip_connect

CLIP_SECONDS, LAYERS = 1.28, (430, 720, 700)  # as of the bundled clip at 128x128 and 12 kbit/s
ADDRESSES = 20
TOKEN = "viewer"
REST = 20.0


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


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def say(facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def asked(answer: Callable[[str], object]) -> None:
    """Answer every line on standard input until it closes."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        say(answer(line.strip()))


async def relay() -> None:
    """The process under test."""
    hub = Relay(fps=lambda _: Fraction(25))
    async with RelayServer("127.0.0.1", 0, hub, viewer_token=TOKEN) as server:
        say(server.url)
        slowest = 0.0

        async def watch() -> None:
            nonlocal slowest
            loop = asyncio.get_running_loop()
            while True:
                due = loop.time() + 0.05
                await asyncio.sleep(0.05)
                slowest = max(slowest, loop.time() - due)

        watching = asyncio.create_task(watch())

        def facts(at: str) -> dict[str, Any]:
            nonlocal slowest
            with open("/proc/self/statm") as file:
                resident = int(file.read().split()[1]) * resource.getpagesize()
            late, slowest = slowest, 0.0
            return {
                "at": at,
                "viewers": len(hub.viewers),
                "sessions": len(server.whep),
                "cpu": round(cpu_seconds(), 2),
                "resident_mb": round(resident / 1e6, 1),
                "descriptors": len(os.listdir("/proc/self/fd")),
                "loop_late_ms": round(1000 * late),
                "thinned": sum(viewer.summary.thinned for viewer in hub.viewers),
            }

        await asked(facts)
        watching.cancel()


async def viewers(url: str, count: int) -> None:
    """Honest ones."""
    sinks = [Tally() for _ in range(count)]
    tasks = [
        asyncio.create_task(view(sink, url + WHEP, token=TOKEN, patience=120, progress=None))
        for sink in sinks
    ]

    def facts(at: str) -> dict[str, Any]:
        spans = [len(range(s.numbers[0], s.numbers[-1] + 1)) for s in sinks if s.numbers]
        return {
            "at": at,
            "watching": sum(bool(sink.numbers) and not task.done()
                            for sink, task in zip(sinks, tasks, strict=True)),
            "clips": [len(sink.numbers) for sink in sinks],
            "whole": sum(sink.whole for sink in sinks),
            "fewer_layers": sum(sink.partial for sink in sinks),
            "nothing": sum(sink.nothing for sink in sinks),
            "gaps": sum(spans) - sum(len(s.numbers) for s in sinks),
            "cpu": round(cpu_seconds(), 2),
        }  # fmt: skip

    await asked(facts)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def flood(url: str, rate: int) -> None:
    """Sessions opened and dropped, so many a second, whether or not answers come."""
    link = PeerLink()
    offer = await link.offer()
    counts: collections.Counter[str] = collections.Counter()
    pools = [
        aiohttp.ClientSession(
            url,
            connector=aiohttp.TCPConnector(local_addr=(f"127.0.0.{2 + n}", 0), limit=0),
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=aiohttp.ClientTimeout(total=30),
        )
        for n in range(ADDRESSES)
    ]
    open_now: set[asyncio.Task[None]] = set()

    async def one(http: aiohttp.ClientSession) -> None:
        headers = {"Content-Type": "application/sdp"}
        try:
            async with http.post(WHEP, data=offer, headers=headers) as response:
                counts[str(response.status)] += 1
                location = response.headers.get("Location")
            if location and random.random() < 0.5:  # the others are dropped without a word
                async with http.delete(location) as response:
                    counts[f"deleted {response.status}"] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            counts[type(error).__name__] += 1

    async def run() -> None:
        begun, started = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, begun + started / rate - time.monotonic()))
            task = asyncio.create_task(one(pools[started % ADDRESSES]))
            open_now.add(task)
            task.add_done_callback(open_now.discard)
            started += 1
            counts["begun"] = started

    running = asyncio.create_task(run())
    await asked(lambda at: {"at": at, **counts, "open": len(open_now), "cpu": cpu_seconds()})
    for task in (running, *open_now):
        task.cancel()
    await asyncio.gather(running, *open_now, return_exceptions=True)
    for pool in pools:
        await pool.close()
    await link.close()


async def abusive(url: str, kind: str) -> None:
    """One of the five, until standard input closes."""
    what: dict[str, Callable[[str], Awaitable[None]]] = {
        "never reads": never_reads, "lies": lies, "malformed": malformed, "tokens": tokens,
        "slow": slow,
    }  # fmt: skip
    task = asyncio.create_task(what[kind](url))  # type: ignore[arg-type]
    await asked(lambda at: {"at": at, "kind": kind, "done": task.done()})
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def never_reads(url: str) -> None:
    """Connects, and then nothing of it runs any more; again when the relay has hung up."""
    while True:
        session = await whip_connect(url + WHEP, token=TOKEN, patience=60)
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        time.sleep(25)  # the whole process: no acknowledgement, no consent
        await session.link.close()


async def lies(url: str) -> None:
    """Reports of arrivals that were none, of clips that are not there, of numbers out of reach."""
    session = await whip_connect(url + WHEP, token=TOKEN, patience=60)
    number = 0
    while True:
        arrivals = tuple(Arrival(number % 256, k, 10 * k) for k in range(8))
        huge = (1 << 55) + number
        for clip in (number, 1 << 39):
            report = Report(False, clip, huge, huge, huge, 0, 0, huge, 0, clip, arrivals=arrivals)
            with contextlib.suppress(StreamError):
                session.link.send(ChannelName.CONTROL, report.to_bytes())
        number += 1
        await asyncio.sleep(0.02)


async def malformed(url: str) -> None:
    """Noise of every length on both channels, and a second flood of cut-off messages."""
    rng = random.Random(0)
    while True:
        session = await whip_connect(url + WHEP, token=TOKEN, patience=60)
        with contextlib.suppress(StreamError):
            while True:
                for channel in ChannelName:
                    noise = bytes([rng.randrange(12)]) + rng.randbytes(rng.randrange(1199))
                    await session.link.drained(1 << 16)
                    session.link.send(channel, noise)
                await asyncio.sleep(0.005)
        await session.close()


async def tokens(url: str) -> None:
    """Wrong ones, fifty times a second."""
    async with aiohttp.ClientSession(url) as http:
        while True:
            headers = {"Authorization": f"Bearer {random.random()}"}
            with contextlib.suppress(aiohttp.ClientError):
                async with http.post(WHEP, data=b"v=0", headers=headers) as response:
                    assert response.status == 401
            await asyncio.sleep(0.02)


async def slow(url: str) -> None:
    """A hundred connections whose headers do not end, or whose bodies are not what they say."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    start = b"POST /whep HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    lie = b"Content-Type: application/sdp\r\nContent-Length: 4000000000\r\n"
    token = f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()

    async def one(number: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, port)
                writer.write(start + (lie + token if number % 4 == 0 else b""))
                while not writer.is_closing():
                    writer.write(b"x" if number % 4 == 0 else b"X-A: b\r\n")
                    await writer.drain()
                    await asyncio.sleep(1)
            await asyncio.sleep(0.5)

    await asyncio.gather(*map(one, range(100)))


class Child:
    """A process that answers lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, *arguments: str) -> Child:
        return cls(await asyncio.create_subprocess_exec(
            sys.executable, __file__, *arguments, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, limit=1 << 20,
        ))  # fmt: skip

    async def line(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())

    async def ask(self, at: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{at}\n".encode())
        return await self.line()

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def drive(args: argparse.Namespace) -> None:
    """All phases."""
    hub = await Child.start("relay")
    url = await hub.line()
    said: dict[str, list[Any]] = {"relay": [await hub.ask("empty")], "viewers": [], "flood": []}
    sending = asyncio.create_task(
        send(Source(), url + WHIP, SendSettings(adapt=False), progress=None)
    )
    each = args.viewers // args.processes
    crowd = [await Child.start("viewers", url, str(each)) for _ in range(args.processes)]

    async def note(at: str) -> list[Any]:
        said["relay"].append(await hub.ask(at))
        answers = [await child.ask(at) for child in crowd]
        keys = ("watching", "whole", "fewer_layers", "nothing", "gaps")
        summed = {key: sum(answer[key] for answer in answers) for key in keys}
        clips = [count for answer in answers for count in answer["clips"]]
        cpu = round(sum(answer["cpu"] for answer in answers), 1)
        said["viewers"].append({"at": at, **summed, "clips": sum(clips), "cpu": cpu})
        return clips

    begun = time.monotonic()
    while min(await note("joining")) < 1:
        said["relay"].pop()
        said["viewers"].pop()
        await asyncio.sleep(0.5)
    joined = time.monotonic() - begun
    await asyncio.sleep(args.seconds)
    await note("after quiet")
    bad = [await Child.start("abusive", url, kind)
           for kind in ("never reads", "lies", "malformed", "tokens", "slow")]  # fmt: skip
    crush = await Child.start("flood", url, str(args.sessions))
    for child in (*bad, crush):
        await child.ask("up")
    said["flood"] = [await crush.ask("begin")]
    await asyncio.sleep(args.seconds)
    said["flood"].append(await crush.ask("end"))
    await note("after flood")
    await asyncio.gather(crush.end(), *(child.end() for child in bad))
    await asyncio.sleep(REST)
    await note("after rest")
    print(json.dumps({
        "load_average": os.getloadavg(), "joined_seconds": round(joined, 1),
        "seconds": args.seconds, **said,
    }, indent=1))  # fmt: skip
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await asyncio.gather(*(child.end() for child in (*crowd, hub)))


def main() -> None:
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        role, *rest = sys.argv[1:]
        roles = {"relay": relay, "viewers": lambda url, n: viewers(url, int(n)),
                 "flood": lambda url, n: flood(url, int(n)), "abusive": abusive}  # fmt: skip
        asyncio.run(roles[role](*rest))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    asyncio.run(drive(parser.parse_args()))


if __name__ == "__main__":
    main()
