"""One end of a stream as a process of its own.

python endpoint.py receive OUT.gist     prints the URL, then the summary
python endpoint.py send IN.gist URL DROP
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from gistcast.stream import GistSink, GistSource, SendSettings, receive, send


async def run_receiver(target: str) -> None:
    with open(target, "wb") as out:
        summary = await receive(
            GistSink(out), wait=30, listening=lambda url: print(url, flush=True)
        )
    print(json.dumps(summary.to_json()), flush=True)


async def run_sender(source: str, url: str, drop: str) -> None:
    settings = SendSettings(realtime=False, drop=float(drop), drop_seed=1)
    summary = await send(GistSource(Path(source).read_bytes()), url, settings)
    print(json.dumps(summary.to_json()), flush=True)


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    asyncio.run({"receive": run_receiver, "send": run_sender}[role](*arguments))
