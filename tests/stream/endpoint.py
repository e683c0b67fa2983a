"""One end of a stream as a process of its own.

python endpoint.py receive OUT.gist     prints the URL, then the summary
python endpoint.py send IN.gist URL NETWORK
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from gistcast.stream import GistSink, GistSource, SendSettings, parse_network, receive, send


async def run_receiver(target: str) -> None:
    with open(target, "wb") as out:
        summary = await receive(
            GistSink(out), wait=30, listening=lambda url: print(url, flush=True)
        )
    print(json.dumps(summary.to_json()), flush=True)


async def run_sender(source: str, url: str, network: str) -> None:
    settings = SendSettings(realtime=False)
    gist = GistSource(Path(source).read_bytes())
    summary = await send(gist, url, settings, network=parse_network(network) if network else None)
    print(json.dumps(summary.to_json()), flush=True)


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    asyncio.run({"receive": run_receiver, "send": run_sender}[role](*arguments))
