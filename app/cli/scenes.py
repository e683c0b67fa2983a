"""`gistcast scenes`: clips of the captioned world, with a manifest."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gistcast.cli import common
from gistcast.codec.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gistcast.models.scenes import Scene

    Frames = NDArray[np.uint8]

EPILOG = """examples:
  gistcast scenes -o world --count 1000 --seed 1            # world/train, val, held-out
  gistcast scenes -o golf --count 9 --action golf --surroundings pool --size 256x256
  gistcast scenes --sheet sheet.png                         # every action in all surroundings
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(
        commands, "scenes", "render captioned clips: ten actions in ten surroundings", EPILOG
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="DIR/SPLIT/clips and DIR/manifest.json"
    )
    parser.add_argument("-y", "--overwrite", action="store_true", help="replace what exists")
    common.add_json(parser)
    parser.add_argument("--count", type=int, default=100, metavar="N", help="clips (default 100)")
    common.add_shape(parser, frames="in each clip, at 25 a second")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another world")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="number of the first scene (default 0)"
    )
    parser.add_argument("--action", help="only this")
    parser.add_argument("--surroundings", help="only these")
    parser.add_argument("--split", choices=("train", "val", "held-out"), help="only this part")
    parser.add_argument(
        "--format",
        choices=tuple(_WRITERS),
        default="mp4",
        help="mp4 (lossy, for viewing and training), png (a folder of frames) or npz (exact)",
    )
    parser.add_argument("--sheet", type=Path, metavar="OUT.png", help="a 10 x 10 contact sheet")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Render."""
    if args.output is None and args.sheet is None:
        raise UsageError("nothing to do: give -o DIR, --sheet OUT.png or both")
    if args.count < 1 or args.first < 0:
        raise UsageError("--count must be at least 1 and --first at least 0")
    facts: dict[str, Any] = {}
    if args.sheet is not None:
        _write_sheet(args)
        facts["sheet"] = str(args.sheet)
    if args.output is not None:
        facts |= _write_clips(args)
    common.report(args, facts, ", ".join(f"{key}: {value}" for key, value in facts.items()))


def _write_clips(args: argparse.Namespace) -> dict[str, Any]:
    from gistcast.models.scenes import choose, manifest_row, render

    chosen = choose(
        args.seed,
        args.split,
        action=args.action,
        surroundings=args.surroundings,
        start=args.first,
    )
    manifest = args.output / "manifest.json"
    common.check_target(str(manifest), overwrite=args.overwrite)
    write, suffix = _WRITERS[args.format]
    rows = []
    scenes: Iterable[Scene] = islice(chosen, args.count)
    for scene in common.progress(scenes, what="scenes", total=args.count):
        folder = args.output / scene.split
        folder.mkdir(parents=True, exist_ok=True)
        file = f"{scene.split}/{scene.index:06d}{suffix}"
        frames = render(scene, args.frames, args.size)
        write(args.output / file, frames)
        rows.append(manifest_row(scene, file, args.frames, args.size))
    with common.whole_file(str(manifest)) as name:
        Path(name).write_text(json.dumps(rows, indent=0) + "\n")
    return {"clips": len(rows), "manifest": str(manifest)}


def _write_mp4(path: Path, frames: Frames) -> None:
    from gistcast.codec.clip import MAX_FRAMES
    from gistcast.codec.colour import rgb_to_clip
    from gistcast.codec.media import VideoInfo, VideoWriter
    from gistcast.models.scenes import FPS

    _, height, width, _ = frames.shape
    with common.whole_file(str(path)) as name:
        writer = VideoWriter(name, VideoInfo(width, height, Fraction(FPS)))
        for start in range(0, len(frames), MAX_FRAMES):
            writer.write(rgb_to_clip(frames[start : start + MAX_FRAMES]))
        writer.close()


def _write_png(path: Path, frames: Frames) -> None:
    path.mkdir(exist_ok=True)
    for number, frame in enumerate(frames):
        _save_png(path / f"{number:04d}.png", frame)


def _write_npz(path: Path, frames: Frames) -> None:
    import numpy as np

    with common.whole_file(str(path)) as name:
        np.savez_compressed(name, frames=frames)


_WRITERS = {"mp4": (_write_mp4, ".mp4"), "png": (_write_png, ""), "npz": (_write_npz, ".npz")}


def _save_png(path: Path, frame: Frames) -> None:
    from gistcast.eval.png import encode_png

    with common.whole_file(str(path)) as name:
        Path(name).write_bytes(encode_png(frame))


def _write_sheet(args: argparse.Namespace) -> None:
    """One frame of every combination: a row an action, a column each surroundings."""
    import numpy as np

    from gistcast.models.scenes import ACTIONS, SURROUNDINGS, render, sample_scene

    common.check_target(str(args.sheet), overwrite=args.overwrite)
    pairs = [(action, place) for action in ACTIONS for place in SURROUNDINGS]
    tiles = []
    for number, (action, place) in enumerate(common.progress(pairs, what="sheet", total=100)):
        scene = sample_scene(args.seed, args.first + number, action=action, surroundings=place)
        tiles.append(render(scene, 1, args.size, start=12)[0])
    rows = [np.concatenate(tiles[k : k + 10], 1) for k in range(0, 100, 10)]
    _save_png(args.sheet, np.concatenate(rows, 0))
