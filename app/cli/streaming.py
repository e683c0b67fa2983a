"""`gistcast send` and `gistcast receive`: a clip stream over WebRTC, two processes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from gistcast.api import load_model, models_for
from gistcast.cli import common
from gistcast.cli.decode import add_refine
from gistcast.cli.encode import add_settings, described, settings_of
from gistcast.codec.clip import MAX_PIXELS
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import Encoder, EncodeSettings
from gistcast.codec.errors import GistcastError, UsageError
from gistcast.codec.header import parse_header
from gistcast.codec.media import VideoInfo, VideoReader, VideoWriter, read_clips
from gistcast.stream import (
    ClipSink,
    ClipSource,
    EncodedSource,
    GistSink,
    GistSource,
    ReceiveSummary,
    SendSettings,
    SendSummary,
    Tee,
    VideoSink,
    parse_network,
    receive,
    send,
    view,
)
from gistcast.stream.live import SHARE, LiveEncoder

PAGE = "127.0.0.1:8788"  #: of a receiver
PEER_PIXELS = 640 * 480  #: luma samples of a frame, at most, that is decoded for a peer
_SILENCE = 8.0  # seconds after which a link is given up for a new one
_PATIENCE = 10.0  # seconds that a viewer waits for a stream to begin

EPILOG = """examples:
  gistcast receive -o out.mp4 --listen 127.0.0.1:8787
  gistcast send in.mp4 --to http://127.0.0.1:8787/whip --bitrate 12k --size 128x128
  gistcast send in.mp4 --to http://127.0.0.1:8787/whip --network loss=5%,delay=40ms,rate=64k
  gistcast receive --from http://127.0.0.1:8787/whep -o - | ffplay -      # view what serve relays
  gistcast receive --web                     # then open http://127.0.0.1:8788 in a browser
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register both commands."""
    _add_send(commands)
    _add_receive(commands)


def _add_send(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "send",
        help="stream a video or a .gist file to a receiver",
        description="Stream a video or a .gist file, no faster than the link carries it: layers "
        "that do not fit stay behind.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", metavar="IN", help="video, .gist file, or - for y4m on stdin")
    parser.add_argument("--to", required=True, metavar="URL", help="the receiver's WHIP endpoint")
    add_settings(parser)
    _add_pace(parser)
    parser.add_argument(
        "--network",
        metavar="SPEC",
        help="emulate a network on the way, such as loss=5%%,burst=4,delay=40ms,rate=64k,seed=7 "
        '(docs/streaming.md); "" only counts what is on the wire',
    )
    parser.add_argument(
        "--reconnect",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to try for a new session when the link is lost (default 60; 0: give up)",
    )
    parser.add_argument("--token", help="bearer token of the receiver")
    parser.add_argument("--wait", type=float, default=10.0, help="seconds to wait for the receiver")
    common.add_json(parser)
    common.add_device(parser)
    parser.set_defaults(run=run_send)


def _add_pace(parser: argparse.ArgumentParser) -> None:
    """How fast, and how safely, clips are sent."""
    parser.add_argument(
        "--as-fast-as-possible", action="store_true", help="do not wait for the clock"
    )
    parser.add_argument(
        "--coding-time",
        type=float,
        default=SHARE,
        metavar="SHARE",
        help="share of a clip's duration that coding it may take (default 0.33): cheaper presets "
        "are used while there is no more, --preset where there is; 0: --preset whatever it takes",
    )
    parser.add_argument(
        "--link-rate",
        type=common.parse_rate,
        default=8e6,
        metavar="RATE",
        help="most bits a second, headers included, such as 64k (default 8M)",
    )
    parser.add_argument(
        "--no-adapt", action="store_true", help="send everything, whatever the link carries"
    )
    parser.add_argument(
        "--protect", type=int, metavar="N", help="parity after every N messages (default: by loss)"
    )
    parser.add_argument(
        "--base-copies", type=int, metavar="N", help="copies of the base layer (default: by loss)"
    )


def _add_receive(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = common.add_command(commands, "receive", "receive one stream and write it", EPILOG)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="OUT.mp4, .mkv, .y4m (decoded) or .gist (as it came), or - for y4m on stdout; not "
        "needed with --web",
    )
    parser.add_argument("-y", "--overwrite", action="store_true", help="replace OUT if it exists")
    common.add_json(parser)
    parser.add_argument("--keep", metavar="OUT.gist", help="also keep the coded stream")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--listen", default="127.0.0.1:8787", metavar="HOST:PORT", help="wait there for a sender"
    )
    where.add_argument(
        "--from", dest="source", metavar="URL", help="view a relay's stream: its WHEP endpoint"
    )
    parser.add_argument(
        "--web",
        nargs="?",
        const=PAGE,
        type=parse_address,
        metavar="HOST:PORT",
        help="show it on a web page, with statistics, until it has been played (default there: "
        "127.0.0.1:8788)",
    )
    parser.add_argument("--token", help="bearer token: to ask for, or that the relay asks for")
    parser.add_argument("--viewer-token", help="bearer token that the page asks for")
    parser.add_argument("--wait", type=float, help="seconds to wait for a sender or a stream")
    parser.add_argument(
        "--hold",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for a sender that was lost to come back, or to call a relay again "
        "(default 30)",
    )
    add_refine(parser)
    add_max_pixels(parser)
    common.add_device(parser)
    parser.set_defaults(run=run_receive)


def add_max_pixels(parser: argparse.ArgumentParser) -> None:
    """--max-pixels."""
    parser.add_argument(
        "--max-pixels",
        type=int,
        default=PEER_PIXELS,
        metavar="N",
        help=f"refuse streams of larger frames (default {PEER_PIXELS}: whoever sends decides how "
        "much there is to draw)",
    )


def _settings(args: argparse.Namespace) -> SendSettings:
    return SendSettings(
        realtime=not args.as_fast_as_possible,
        rate=args.link_rate,
        adapt=not args.no_adapt,
        protect=args.protect,
        base_copies=args.base_copies,
        silence=_SILENCE if args.reconnect else SendSettings.silence,
    )


async def _send(args: argparse.Namespace, source: ClipSource) -> SendSummary:
    return await send(
        source,
        args.to,
        _settings(args),
        token=args.token,
        patience=args.wait,
        network=args.network,
        reconnect=args.reconnect,
    )


async def _send_gist(args: argparse.Namespace) -> SendSummary:
    return await _send(args, GistSource(common.read_input(args.input)))


async def _send_video(args: argparse.Namespace) -> SendSummary:
    settings = settings_of(args)
    with VideoReader(args.input, size=args.size, fps=args.fps) as reader:
        settings, clips = described(settings, read_clips(reader, settings.clip_frames))
        model = load_model(settings, args.device)
        if args.as_fast_as_possible or not args.coding_time:
            encoder = Encoder(reader.info, settings, model)
            return await _send(args, EncodedSource(clips, reader.info.fps, encoder))
        live = LiveEncoder(reader.info, settings, model, share=args.coding_time)
        live.warm()
        summary = await _send(args, EncodedSource(clips, reader.info.fps, live))
        summary.coded_as = dict(live.used)
        return summary


def run_send(args: argparse.Namespace) -> None:
    """Send."""
    if args.network is not None:
        args.network = parse_network(args.network)
    work = _send_gist if args.input.endswith(".gist") else _send_video
    summary = asyncio.run(work(args))
    if args.json:
        print(json.dumps(summary.to_json()))
    else:
        print(summary.line(), file=sys.stderr)


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT` -> (host, port)."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8787")
    return host.strip("[]") or "127.0.0.1", int(port)


def make_decoder(
    *, refine: str, device: str, max_pixels: int = MAX_PIXELS
) -> Callable[[bytes], Decoder]:
    """Opens stream headers: gist model where needed, refiner unless `refine` is off.

    Args:
        max_pixels: luma samples of a frame, at most; larger ones are a LimitError.
    """

    def open_stream(header_bytes: bytes) -> Decoder:
        header, _ = parse_header(header_bytes)
        model, refiner = models_for(header, refine=refine, device=device)
        return Decoder(header_bytes, model, refiner, refine, max_pixels=max_pixels)

    return open_stream


def load_decoder(*, refine: str, device: str) -> None:
    """Load what drawing takes, seconds with stage 2, before there is a stream to keep up with."""
    anything = Encoder(VideoInfo(16, 16, Fraction(25)), EncodeSettings()).header
    make_decoder(refine=refine, device=device)(anything)


def run_receive(args: argparse.Namespace) -> None:
    """Receive one stream."""
    if args.output is None and args.web is None:
        raise UsageError("say where to: -o, or --web for a page")
    if args.output is not None:
        common.check_target(args.output, overwrite=args.overwrite, json_output=args.json)
    if args.keep:
        if Path(args.keep).suffix != ".gist":
            raise UsageError(f"--keep writes the coded stream: name it .gist, not {args.keep!r}")
        common.check_target(args.keep, overwrite=args.overwrite)
    if args.web is not None or Path(args.output).suffix != ".gist":
        load_decoder(refine=args.refine, device=args.device)
    with contextlib.ExitStack() as files:
        sinks = [_sink(path, args, files) for path in (args.output, args.keep) if path]
        work = _receive if args.web is None else _receive_and_show
        summary = asyncio.run(work(args, sinks))
    common.report(args, summary.to_json(), summary.line())
    if not summary.ended:
        raise GistcastError("the stream broke off before its end")


def _sink(path: str, args: argparse.Namespace, files: contextlib.ExitStack) -> ClipSink:
    """Writes the coded stream to a .gist file, decoded frames to any other; whole or not at all."""
    decoder = make_decoder(refine=args.refine, device=args.device, max_pixels=args.max_pixels)
    if path == "-":
        return VideoSink(decoder, lambda info: VideoWriter(sys.stdout.buffer, info))
    name = files.enter_context(common.whole_file(path))
    if Path(path).suffix == ".gist":
        return GistSink(files.enter_context(open(name, "wb")))
    return VideoSink(decoder, lambda info: VideoWriter(name, info))


async def _receive_and_show(args: argparse.Namespace, sinks: Sequence[ClipSink]) -> ReceiveSummary:
    """As `_receive`, with a page for as long as there is anything to see."""
    from gistcast.watching import Watching

    def decoder(header: bytes, refine: str) -> Decoder:
        make = make_decoder(refine=refine, device=args.device, max_pixels=args.max_pixels)
        return make(header)

    host, port = args.web
    page = Watching(host, port, decoder, token=args.viewer_token, refine=args.refine)
    async with page:
        _say(f"page: {page.url}/")
        summary = await _receive(args, [page.player, *sinks], page.receiving)
        await page.played_out()
    return summary


async def _receive(
    args: argparse.Namespace,
    sinks: Sequence[ClipSink],
    started: Callable[[ReceiveSummary], None] | None = None,
) -> ReceiveSummary:
    sink = Tee(*sinks)
    if args.source is not None:
        patience = _PATIENCE if args.wait is None else args.wait
        return await view(
            sink,
            args.source,
            token=args.token,
            patience=patience,
            hold=args.hold,
            started=started,
        )
    host, port = parse_address(args.listen)
    return await receive(
        sink,
        host=host,
        port=port,
        token=args.token,
        wait=args.wait,
        listening=lambda url: _say(f"listening: {url}"),
        hold=args.hold,
        started=started,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
