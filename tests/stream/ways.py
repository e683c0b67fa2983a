"""What each of a live encoder's ways to code costs and brings, every clip coded in the same way.

    python tests/stream/ways.py VIDEO... [--size 128x128] [--bitrate 24k] [--clip 8] [--preset fast]

Prints a line for each: processor time of a clip in ms (of all threads; p50, p95), the mean of the
clips' RGB-PSNR without stage 2, and their bytes (mean, p95).
"""

from __future__ import annotations

import argparse
import time
from fractions import Fraction

import numpy as np

from gistcast.cli import common
from gistcast.codec.clip import CLIP_FRAMES, Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.decoder import Decoder
from gistcast.codec.encoder import PRESETS, EncodeSettings
from gistcast.codec.media import Frame, VideoInfo, VideoReader, read_clips
from gistcast.eval.metrics.psnr import psnr_rgb
from gistcast.stream.live import LiveEncoder, ways_up_to

FPS = Fraction(25)


def measure(clips: list[Clip], settings: EncodeSettings, way: int) -> str:
    """One line."""
    info = VideoInfo(clips[0].width, clips[0].height, FPS)
    encoder = LiveEncoder(info, settings, clock=lambda: 0.0)
    encoder.warm()
    decoder = Decoder(encoder.header)
    times, scores, sizes = [], [], []
    for clip in clips:
        encoder._ladder.at = way
        begun = time.process_time()
        packets = encoder.encode_clip(clip)
        times.append(1000 * (time.process_time() - begun))
        drawn = decoder.decode_clip(packets).clip
        scores.append(psnr_rgb(clip_to_rgb(drawn), clip_to_rgb(clip)))
        sizes.append(sum(len(packet.to_bytes(encoder.header)) for packet in packets))
    p50, p95 = np.percentile(times, (50, 95))
    name, most = ways_up_to(settings)[way].name, np.percentile(sizes, 95)
    quality = f"{np.mean(scores):.2f} dB, {np.mean(sizes):.0f} bytes, {most:.0f}"
    return f"{name}: {p50:.0f} ms, {p95:.0f}; {quality}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--size", type=common.parse_size, default=(128, 128))
    parser.add_argument("--bitrate", type=common.parse_rate, default=24_000)
    parser.add_argument("--clip", type=int, choices=CLIP_FRAMES, default=8)
    parser.add_argument("--preset", choices=PRESETS, default="medium")
    args = parser.parse_args()
    frames: list[Frame] = []
    for path in args.videos:
        with VideoReader(path, size=args.size, fps=FPS) as reader:
            frames += list(reader)
    clips = list(read_clips(iter(frames), args.clip))
    settings = EncodeSettings(bitrate=args.bitrate, clip_frames=args.clip, preset=args.preset)
    for way in range(len(ways_up_to(settings))):
        print(measure(clips, settings, way), flush=True)


if __name__ == "__main__":
    main()
