"""Whether more quality costs more and shows more: `python -m gistcast.eval.monotonic CLIPS`.

clip --encoder at -q 0, 5, .. 100--> bytes, PSNR of the sketch --step by step--> falls
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.codec.file import decode_video, encode_video
from gistcast.codec.media import VideoInfo, load_clip
from gistcast.codec.settings import PRESETS, EncodeSettings
from gistcast.eval.metrics.psnr import psnr_rgb

QUALITIES = range(0, 101, 5)


@dataclass(frozen=True)
class Point:
    """A clip at one quality.

    Attributes:
        quality: of `EncodeSettings`.
        bytes: of the whole file.
        psnr: of the sketch in RGB, dB.
    """

    quality: float
    bytes: int
    psnr: float


def curve(clip: Clip, preset: str, qualities: Sequence[float] = QUALITIES) -> list[Point]:
    """One clip at every quality."""
    info, source = VideoInfo(clip.width, clip.height, Fraction(25)), clip_to_rgb(clip)
    points = []
    for quality in qualities:
        data = encode_video([clip], info, EncodeSettings(quality=quality, preset=preset))
        (decoded,) = decode_video(data)
        points.append(Point(quality, len(data), psnr_rgb(source, clip_to_rgb(decoded.sketch))))
    return points


def falls(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    """Steps up in quality that do not take more bytes for a higher PSNR; where both stay the same,
    the clip has nothing more to show."""
    return [
        (a, b)
        for a, b in pairwise(points)
        if (a.bytes, a.psnr) != (b.bytes, b.psnr) and not (b.bytes > a.bytes and b.psnr > a.psnr)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if there are falls."""
    parser = argparse.ArgumentParser(prog="gistcast.eval.monotonic", description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path, help="videos")
    parser.add_argument("--size", type=int, default=64, help="side of the frames (default 64)")
    parser.add_argument("--preset", choices=PRESETS, default="medium", help="(default medium)")
    args = parser.parse_args(arguments)
    steps, fallen = 0, 0
    for path in args.clips:
        clip, _ = load_clip(path, size=(args.size, args.size))
        points = curve(clip, args.preset)
        steps += len(points) - 1
        for a, b in falls(points):
            fallen += 1
            print(f"{path.name}: {a} -> {b}")
        print(f"{path.name}: {steps} steps so far, {fallen} falls", file=sys.stderr)
    print(f"{steps} steps, {fallen} falls")
    return int(fallen > 0)


if __name__ == "__main__":
    sys.exit(main())
