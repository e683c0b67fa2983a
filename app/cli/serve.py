"""`gistcast serve`: a standing receiver that records every stream it is sent."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from gistcast.cli import common
from gistcast.cli.streaming import parse_address
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.stream import GistSink, receive


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("serve", help="record every stream that is sent here, as .gist")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="where they go")
    parser.add_argument("--listen", default="127.0.0.1:8787", metavar="HOST:PORT")
    parser.add_argument("--token", help="bearer token to ask for")
    parser.add_argument("--count", type=int, help="stop after so many streams")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Serve until interrupted; one JSON object a stream on stdout."""
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    host, port = parse_address(args.listen)
    number = served = 0
    while args.count is None or served < args.count:
        target = folder / f"stream-{number:04d}.gist"
        number += 1
        if target.exists():
            continue
        served += 1
        try:
            summary = _record(target, host, port, args.token)
        except UsageError:
            raise
        except GistcastError as error:  # one broken stream must not end the service
            print(f"gistcast serve: {error}", file=sys.stderr, flush=True)
            continue
        print(json.dumps({"file": str(target)} | summary), flush=True)


def _record(target: Path, host: str, port: int, token: str | None) -> dict[str, object]:
    def announce(url: str) -> None:
        print(f"listening: {url}", file=sys.stderr, flush=True)

    with common.whole_file(str(target)) as name, open(name, "wb") as file:
        sink = GistSink(file)
        work = receive(sink, host=host, port=port, token=token, listening=announce)
        return asyncio.run(work).to_json()
