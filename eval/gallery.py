"""Film strips as one PNG: `python -m gistcast.eval.gallery CLIPS -o strip.png --bytes 450`.

for each clip, from the top: the source; ours before stage 2; ours; the standard codecs' best in
LPIPS of no more bytes

What each row is, its bytes and figures, is printed: pictures of documents need captions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import GistcastError
from gistcast.eval.cache import Cache
from gistcast.eval.codecs import STANDARD_NAMES
from gistcast.eval.codecs.base import REALTIME
from gistcast.eval.engines import make_engine
from gistcast.eval.inputs import find_sources
from gistcast.eval.png import encode_png
from gistcast.eval.run import Plan, follow
from gistcast.eval.strips import Candidate, Film, best_within, note_of, ours_within, sketch_of
from gistcast.eval.summary import size_scale
from gistcast.eval.sweep import Case, Curve, load_case

CODECS = (
    "gistcast:perceptual,x264,x265,vp9,svt-av1,libaom,vvenc,"
    "x264:bare,x265:bare,svt-av1:bare,libaom:bare"
)
_METRICS = ("psnr_rgb", "lpips_alex", "motion_error")
_GAP = 4  # white pixels between clips


def rows_of(
    case: Case, curves: Sequence[Curve], budget: float
) -> list[tuple[str, Candidate | None]]:
    """What is shown of a clip, from the top: what it is, and where it comes from."""
    candidates = [(curve, row) for curve in curves for row in curve.rows]
    shown: list[tuple[str, Candidate | None]] = [("source", None)]
    limit = budget
    if (ours := ours_within(candidates, budget)) is not None:
        sketch = sketch_of(ours, candidates)
        shown += [("sketch", sketch)] if sketch is not None else []
        shown += [("ours", ours)] if ours != sketch else []
        limit = ours[1]["bytes"]
    standard = [
        c for c in candidates if c[1]["codec"] in STANDARD_NAMES and c[0].codec.mode != REALTIME
    ]
    if (theirs := best_within(standard, limit, "lpips_alex")) is not None:
        shown.append(("theirs", theirs))
    return shown


def picture(
    case: Case, curves: Sequence[Curve], cache: Cache, budget: float, frames: int
) -> tuple[NDArray[np.uint8], list[str]]:
    """One clip's rows as a picture, uint8 RGB (H, W, 3), and a line about each."""
    at = np.linspace(0, case.geometry.frames - 1, frames).round().astype(int)
    film = Film(case, cache, tuple(at.tolist()))
    parts, lines = [], []
    for what, candidate in rows_of(case, curves, budget):
        parts.append(film.row(case.clip if candidate is None else film.clip(candidate)))
        row = None if candidate is None else candidate[1]
        told = "" if row is None else f": {row['codec']} {row['arm']}, {note_of(row)}"
        lines.append(f"{case.name} {what}{told}")
    return np.concatenate(parts), lines


def stacked(pictures: Sequence[NDArray[np.uint8]], zoom: int) -> NDArray[np.uint8]:
    """Pictures of several clips one below the other, white between, enlarged without smoothing."""
    width = max(p.shape[1] for p in pictures)
    out: list[NDArray[np.uint8]] = []
    for one in pictures:
        if out:
            out.append(np.full((_GAP, width, 3), 255, np.uint8))
        sides = ((0, 0), (0, width - one.shape[1]), (0, 0))
        out.append(np.pad(one, sides, constant_values=255))
    return np.concatenate(out).repeat(zoom, 0).repeat(zoom, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="gistcast.eval.gallery", description=__doc__)
    add = parser.add_argument
    add("inputs", nargs="+", help="videos, or folders of them")
    add("-o", "--output", type=Path, required=True, help="the PNG")
    add("--manifest", type=Path, help="manifest.json with names and captions")
    add("--bytes", type=float, default=450, help="of a clip at 64x64; others are scaled")
    add("--size", type=int, default=64, help="side of the frames")
    add("--frames", type=int, default=8, help="of each row")
    add("--zoom", type=int, default=2, help="pixels a pixel")
    add("--codecs", default=CODECS, help="as of gistcast eval")
    add("--cache", type=Path, default=Path("gallery.sqlite"), help="of gistcast eval, or a new one")
    add("--jobs", type=int, help="steps at a time; a processor each by default")
    args = parser.parse_args(arguments)
    size = (args.size, args.size)
    budget = args.bytes * size_scale(*size)
    try:
        sources = find_sources(args.inputs, manifest=args.manifest)
        plan = Plan(sources, tuple(args.codecs.split(",")), (size,), _METRICS)
        pictures = []
        with (
            closing(Cache(args.cache)) as cache,
            closing(make_engine("local", args.jobs)) as engine,
        ):
            for source in sources:
                case = load_case(source, size)
                curves = plan.curves(case)
                follow(curves, cache, engine)
                made, lines = picture(case, curves, cache, budget, args.frames)
                pictures.append(made)
                print("\n".join(lines))
        args.output.write_bytes(encode_png(stacked(pictures, args.zoom)))
    except GistcastError as error:
        print(f"gallery: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
