"""What loss does to the picture: a table.

    python -m gistcast.stream.losstable VIDEO... [--size WxH] [--clip-bytes N] [--latent]

The first clip of every video is coded once, as one stream; the stream is then sent from one end
to another in memory under several kinds of protection, messages of the residual channel being
lost by seed (`gistcast.stream.network.Path`), and what arrives is decoded and compared with the
source, unrefined. Nothing can be asked for again, as on a link whose round trip is longer than
the receiver's patience. So the same command always prints the same table.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.decoder import DecodedClip, Decoder
from gistcast.codec.encoder import EncodeSettings
from gistcast.codec.file import encode_video
from gistcast.codec.media import load_clip
from gistcast.codec.packet import Packet
from gistcast.codec.protocol import GistModel
from gistcast.stream.link import ChannelName
from gistcast.stream.memory import lossy, memory_pair
from gistcast.stream.network import Conditions, Path
from gistcast.stream.receiver import Receiver, ReceiveSettings, ReceiveSummary
from gistcast.stream.sender import Sender, SendSettings
from gistcast.stream.sent import SendSummary
from gistcast.stream.sinks import VideoSink
from gistcast.stream.sources import GistSource

LOSSES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4)
PROTECTIONS = {
    "none": 0,
    "parity over 4": 4,
    "parity over 2": 2,
    "everything twice": 1,
}  #: name: protect


class _Keep:
    """A writer that keeps its clips."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []

    def write(self, clip: Clip) -> None:
        self.clips.append(clip)

    def close(self) -> None:
        return


class _Remembering:
    """A decoder that decodes each run of layers once: the passages have most in common."""

    def __init__(
        self, header: bytes, known: dict[tuple[int, int], DecodedClip], model: GistModel | None
    ) -> None:
        self._decoder = Decoder(header, model)
        self.header = self._decoder.header
        self._known = known

    def decode_clip(self, packets: Sequence[Packet]) -> DecodedClip:
        key = (packets[0].clip, len(packets))
        if key not in self._known:
            self._known[key] = self._decoder.decode_clip(packets)
        return self._known[key]


def rgb_psnr(clip: Clip, reference: Clip) -> float:
    """PSNR over all frames and the three channels, in dB."""
    difference = clip_to_rgb(clip).astype(np.float64) - clip_to_rgb(reference)
    return float(10 * np.log10(255**2 / max(1e-9, np.mean(difference**2))))


@dataclass(frozen=True)
class Outcome:
    """One passage of the stream."""

    sent: SendSummary
    received: ReceiveSummary
    psnr: list[float]  # of every clip


def _deaf(channel: ChannelName, data: bytes) -> list[bytes]:
    """The way back, on which nothing can be asked for."""
    return [] if channel == ChannelName.RESIDUAL else [data]


async def pass_stream(
    coded: bytes,
    clips: Sequence[Clip],
    settings: SendSettings,
    path: Path,
    known: dict[tuple[int, int], DecodedClip],
    model: GistModel | None = None,
) -> Outcome:
    """Send a coded file to ourselves and compare what arrives with `clips`.

    Args:
        path: loses residual messages.
        known: decoded clips by number and layers, added to.
        model: draws the gists of a stream with latents.
    """
    keep = _Keep()
    sink = VideoSink(lambda header: _Remembering(header, known, model), lambda _: keep)
    here, there = memory_pair(lossy(path), _deaf)
    sent, received = await asyncio.gather(
        Sender(here, GistSource(coded), settings).run(),
        Receiver(there, sink, ReceiveSettings()).run(),
    )
    psnr = [rgb_psnr(got, want) for got, want in zip(keep.clips, clips, strict=True)]
    return Outcome(sent, received, psnr)


async def table(
    coded: bytes, clips: Sequence[Clip], seeds: int, model: GistModel | None = None
) -> None:
    """Print the table, in Markdown."""
    print(
        "| loss | protection | message bytes | whole | partial | nothing | RGB-PSNR | worst tenth |"
    )
    print("|---|---|---|---|---|---|---|---|")
    known: dict[tuple[int, int], DecodedClip] = {}
    for loss in LOSSES:
        for name, protect in PROTECTIONS.items():
            outcomes = []
            for seed in range(seeds if loss else 1):
                settings = SendSettings(realtime=False, protect=protect)
                path = Path(Conditions(loss=loss), seed)
                outcomes.append(await pass_stream(coded, clips, settings, path, known, model))
            print(_row(loss, name, outcomes), flush=True)


def _row(loss: float, name: str, outcomes: list[Outcome]) -> str:
    values = sorted(value for outcome in outcomes for value in outcome.psnr)
    tenth = values[: max(1, len(values) // 10)]
    counts = [
        sum(getattr(outcome.received, kind) for outcome in outcomes)
        for kind in ("complete", "partial", "concealed")
    ]
    shares = " | ".join(f"{100 * count / len(values):.0f} %" for count in counts)
    size = np.mean([outcome.sent.message_bytes for outcome in outcomes])
    return (
        f"| {loss:.0%} | {name} | {size:.0f} | {shares} "
        f"| {np.mean(values):.2f} | {np.mean(tenth):.2f} |"
    )


def _gist_model() -> GistModel:
    from gistcast.models.zoo import load_gist

    return load_gist()


def main() -> None:
    """Code, send, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "videos", nargs="+", metavar="VIDEO", help="of whose beginning a clip is sent"
    )
    parser.add_argument("--size", default="64x64", metavar="WxH", help="(default 64x64)")
    parser.add_argument(
        "--clip-bytes", type=int, default=2400, metavar="N", help="of a clip (default 2400)"
    )
    parser.add_argument(
        "--frames", type=int, default=32, choices=(8, 16, 32), help="of a clip (default 32)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="repetitions of each lossy passage")
    parser.add_argument("--latent", action="store_true", help="send latents, reliably")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    loaded = [load_clip(video, size=(width, height), frames=args.frames) for video in args.videos]
    clips = [clip for clip, _ in loaded if clip.frames == args.frames]
    settings = EncodeSettings(
        clip_bytes=args.clip_bytes,
        clip_frames=args.frames,
        latent="on" if args.latent else "off",
    )
    model = _gist_model() if args.latent else None
    coded = encode_video(clips, loaded[0][1], settings, model)
    print(f"{len(clips)} clips of {args.frames} frames, {args.size}, {len(coded)} bytes\n")
    asyncio.run(table(coded, clips, args.seeds, model))


if __name__ == "__main__":
    main()
