"""Whether a relay's memory grows with every flood: `python tests/trust/floods.py [--floods 3]`.

    relay, 50 viewers --flood, rest, flood, rest ...--> memory and what is alive, after each

The parts are those of `tests/stream/load.py`, which measures one flood: the honest viewers, 200
sessions a second opened and dropped, the abusive five. Here they come again and again, and after
each rest the relay counts its live objects, and what the C library gives back when it is asked to.
Prints a JSON object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import ctypes
import gc
import os
import resource
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from gistcast.stream import SendSettings, send
from gistcast.stream.relay import Relay, RelayServer
from gistcast.stream.signalling import WHIP

sys.path.insert(0, str(Path(__file__).parent.parent / "stream"))

from load import TOKEN, Child, Source, asked, cpu_seconds, say

ABUSES = ("never reads", "lies", "malformed", "tokens", "slow")
WATCHED = ("_Session", "PeerLink", "RTCPeerConnection", "RTCSctpTransport", "Connection", "Task")


async def relay() -> None:
    """The process under test; `count` also says what is alive, `trim` gives free memory back."""
    hub = Relay(fps=lambda _: Fraction(25))
    async with RelayServer("127.0.0.1", 0, hub, viewer_token=TOKEN) as server:
        say(server.url)

        def facts(at: str) -> dict[str, Any]:
            gc.collect()
            if at == "trim":
                ctypes.CDLL(None).malloc_trim(0)
            alive = collections.Counter(type(o).__name__ for o in gc.get_objects())
            return {
                "at": at,
                "resident_mb": round(_resident() / 1e6, 1),
                "cpu": round(cpu_seconds(), 1),
                "descriptors": len(os.listdir("/proc/self/fd")),
                "sessions": len(server.whep),
                "objects": sum(alive.values()),
                **{name: alive[name] for name in WATCHED},
            }

        await asked(facts)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def start_relay() -> Child:
    """As `Child.start`, of this file."""
    return Child(await asyncio.create_subprocess_exec(
        sys.executable, __file__, "relay", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, limit=1 << 20,
    ))  # fmt: skip


async def one_flood(url: str, seconds: float, rate: int) -> None:
    """The abusive five and the sessions, and what came of those."""
    bad = [await Child.start("abusive", url, kind) for kind in ABUSES]
    crush = await Child.start("flood", url, str(rate))
    for child in (*bad, crush):
        await child.ask("up")
    await asyncio.sleep(seconds)
    say(await crush.ask("flood"))
    await asyncio.gather(*(child.end() for child in (*bad, crush)))


async def drive(args: argparse.Namespace) -> None:
    """All floods."""
    hub = await start_relay()
    url = await hub.line()
    say(await hub.ask("empty"))
    sending = asyncio.create_task(
        send(Source(), url + WHIP, SendSettings(adapt=False), progress=None)
    )
    crowd = await Child.start("viewers", url, str(args.viewers))
    while min((await crowd.ask("joining"))["clips"]) < 1:
        await asyncio.sleep(0.5)
    say(await hub.ask("viewers"))
    for number in range(args.floods):
        await one_flood(url, args.seconds, args.sessions)
        say(await hub.ask(f"flood {number + 1}"))
        await asyncio.sleep(args.rest)
        say(await hub.ask(f"rest {number + 1}"))
    say(await hub.ask("trim"))
    seen = await crowd.ask("end")
    say({key: seen[key] for key in ("watching", "whole", "fewer_layers", "nothing", "gaps")})
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await asyncio.gather(crowd.end(), hub.end())


def main() -> None:
    """Drive, or be the relay."""
    if sys.argv[1:] == ["relay"]:
        asyncio.run(relay())
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--floods", type=int, default=3)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--sessions", type=int, default=200, help="a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a flood")
    parser.add_argument("--rest", type=float, default=40.0, help="seconds behind a flood")
    asyncio.run(drive(parser.parse_args()))


if __name__ == "__main__":
    main()
