"""`gistcast serve`: a relay with a page; `--demo` sends it a looped video to show."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gistcast.api import REFINE
from gistcast.cli import common
from gistcast.cli.bench import DEMO
from gistcast.cli.streaming import add_max_pixels, make_decoder, parse_address
from gistcast.codec.errors import UsageError
from gistcast.stream import ClipDecoder, ClipSink, GistSink
from gistcast.stream.signalling import WHEP, WHIP

if TYPE_CHECKING:
    from gistcast.serving import ServiceSettings

EPILOG = """examples:
  gistcast serve --demo                      # then open http://127.0.0.1:8787 in a browser
  gistcast serve --demo film.mp4 --size 192x128
  gistcast serve                             # and, elsewhere:
  gistcast send in.mp4 --to http://127.0.0.1:8787/whip --bitrate 12k --size 128x128
  gistcast receive --from http://127.0.0.1:8787/whep -o out.mp4
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(
        commands,
        "serve",
        "relay one sender to many viewers, with a web page to watch and to play with",
        EPILOG,
    )
    parser.add_argument(
        "--listen",
        default="127.0.0.1:8787",
        metavar="HOST:PORT",
        help="of page, senders and viewers (default 127.0.0.1:8787)",
    )
    parser.add_argument(
        "--demo",
        nargs="?",
        const=DEMO,
        type=Path,
        metavar="VIDEO",
        help="send a video (by default the bundled clip), looped, beside its source and x264",
    )
    parser.add_argument(
        "--size", type=common.parse_size, default=(128, 128), metavar="WxH", help="of the demo"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="keep every stream there")
    parser.add_argument("--token", help="bearer token that senders must show")
    parser.add_argument("--viewer-token", help="bearer token that viewers must show")
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="web site whose pages may use this server, such as https://example.org; repeatable",
    )
    parser.add_argument(
        "--max-viewers", type=int, default=256, metavar="N", help="at a time (default 256)"
    )
    parser.add_argument(
        "--refine", choices=REFINE, default="balanced", help="what the page begins with"
    )
    add_max_pixels(parser)
    parser.add_argument(
        "--json", action="store_true", help="print the addresses as a line of JSON on stdout"
    )
    common.add_device(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Serve until interrupted."""
    from gistcast.serving import ServiceSettings

    host, port = parse_address(args.listen)
    if args.demo is not None and not args.demo.is_file():
        raise UsageError(f"no such file: {args.demo}")
    settings = ServiceSettings(
        host=host,
        port=port,
        token=args.token,
        viewer_token=args.viewer_token,
        origins=frozenset(args.origin),
        viewers=args.max_viewers,
        refine=args.refine,
    )
    with contextlib.ExitStack() as files:
        record = _recorder(args.output, files) if args.output else None
        asyncio.run(_serve(args, settings, record))


async def _serve(
    args: argparse.Namespace, settings: ServiceSettings, record: Callable[[], ClipSink] | None
) -> None:
    from gistcast.serving import Service
    from gistcast.showcase import RATES, VIEWS, Showcase  # torch, which other commands do without

    def decoder(header: bytes, refine: str) -> ClipDecoder:
        make = make_decoder(refine=refine, device=args.device, max_pixels=args.max_pixels)
        return make(header)

    demo = args.demo is not None
    service = Service(
        settings,
        decoder,
        record=record,
        views=VIEWS if demo else (),
        rates=RATES if demo else (),
    )
    async with service:
        _say_where(service.url, args.json)
        if demo:
            await Showcase(service, args.demo, args.size, args.token).run()
        await asyncio.get_running_loop().create_future()


def _say_where(url: str, as_json: bool) -> None:
    """Print the addresses: a line each on standard error, or all as JSON on standard output."""
    where = {"page": f"{url}/", "senders": f"{url}{WHIP}", "viewers": f"{url}{WHEP}"}
    if as_json:
        print(json.dumps(where), flush=True)
    else:
        for who, address in where.items():
            print(f"{who + ':':8} {address}", file=sys.stderr, flush=True)


def _recorder(folder: Path, files: contextlib.ExitStack) -> Callable[[], ClipSink]:
    """Makes a sink for every stream: DIR/stream-0000.gist and so on."""
    folder.mkdir(parents=True, exist_ok=True)

    def record() -> ClipSink:
        number = 0
        while (target := folder / f"stream-{number:04d}.gist").exists():
            number += 1
        return GistSink(files.enter_context(open(target, "xb")))

    return record
