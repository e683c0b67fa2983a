"""A file to the browser: a relay with its page, and a sender, in one process of your own.

python examples/stream_to_browser.py in.mp4        # then open the address that it prints
"""

import argparse
import asyncio
from pathlib import Path

from gistcast import EncodeSettings
from gistcast.api import models_for
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import Encoder
from gistcast.codec.header import parse_header
from gistcast.codec.media import VideoReader, read_clips
from gistcast.serving import Service, ServiceSettings
from gistcast.stream import EncodedSource, send
from gistcast.stream.signalling import WHIP

CLIP = 16  # frames; a viewer sees what is two clips old


def decoder(header: bytes, refine: str) -> Decoder:
    """Opens a stream for the page, which can choose what stage 2 favours."""
    model, refiner = models_for(parse_header(header)[0], refine=refine)
    return Decoder(header, model, refiner, refine)


async def stream(path: Path, size: tuple[int, int], bitrate: float, port: int) -> None:
    """Send a file to a page on this machine, again and again."""
    with VideoReader(path, size=size) as reader:
        clips, info = list(read_clips(reader, CLIP)), reader.info
    settings = EncodeSettings(bitrate=bitrate, clip_frames=CLIP, preset="fast")
    async with Service(ServiceSettings(port=port), decoder) as service:
        print(f"open {service.url}/", flush=True)
        while True:
            source = EncodedSource(clips, info.fps, Encoder(info, settings))
            await send(source, service.url + WHIP)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path, help="what is sent, again and again")
    parser.add_argument("--side", type=int, default=128, help="of the square that is sent")
    parser.add_argument("--bitrate", type=float, default=12_000, help="bits a second")
    parser.add_argument("--port", type=int, default=8787, help="of the page (default 8787)")
    args = parser.parse_args()
    asyncio.run(stream(args.video, (args.side, args.side), args.bitrate, args.port))
