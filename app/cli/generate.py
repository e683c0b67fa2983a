"""`gistcast generate`: clips from text alone, or a labelled data set of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gistcast.cli import common
from gistcast.codec.clip import MAX_FRAMES, Clip
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo, VideoWriter

EPILOG = """examples:
  gistcast generate "a person plays golf in the pool" -o golf.mp4 --seed 3
  gistcast generate "a man playing golf" -o golf.mp4 --count 4     # golf-0.mp4 to golf-3.mp4
  gistcast generate "golf in the pool" "sailing on snow" -o set --count 50
                                                # set/000000.mp4 ..., captions in set/manifest.json
"""

Draw = Callable[[str, int], Clip]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(commands, "generate", "text -> video", EPILOG)
    parser.add_argument("text", nargs="+", help="what the clip shows")
    common.add_output(
        parser,
        "OUT.mp4, .mkv or .y4m; with --count, OUT-0.mp4, OUT-1.mp4, ...; without a suffix, a "
        "folder for a data set with a manifest",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, another clip")
    common.add_shape(parser, frames="in each clip")
    parser.add_argument(
        "--fps",
        type=common.parse_fps,
        default=Fraction(25),
        metavar="F",
        help="frames a second (default 25)",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=1,
        metavar="N",
        help="clips of each text, with seeds SEED, SEED+1, ...",
    )
    parser.add_argument(
        "--model",
        choices=("auto", "scenes", "real"),
        default="auto",
        help="scenes: people, actions and surroundings; real: blurred settings of real video "
        "(auto: scenes where the text names an action or surroundings of theirs, and there are "
        "weights)",
    )
    common.add_weights(parser, "of scenes, as gistcast train scenes writes them")
    common.add_device(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Generate."""
    if not 1 <= args.frames <= MAX_FRAMES:
        raise UsageError(f"a clip has 1 to {MAX_FRAMES} frames, not {args.frames}")
    if args.count < 1:
        raise UsageError("--count must be at least 1")
    out = Path(args.output)
    if len(args.text) > 1 and out.suffix:
        raise UsageError("several texts make a data set: give a folder, not a file, to -o")
    jobs = [
        (target, text, args.seed + number)
        for target, (text, number) in zip(
            _targets(out, len(args.text) * args.count),
            [(text, number) for text in args.text for number in range(args.count)],
            strict=True,
        )
    ]
    manifest = None if out.suffix else out / "manifest.json"
    for target in [*(target for target, _, _ in jobs), *([manifest] if manifest else [])]:
        common.check_target(str(target), overwrite=args.overwrite)
    draws = {text: _drawer(args, text) for text in args.text}
    rows = []
    for target, text, seed in common.progress(jobs, what="generate", total=len(jobs)):
        target.parent.mkdir(parents=True, exist_ok=True)
        draw, labels = draws[text]
        with common.whole_file(str(target)) as name:
            writer = VideoWriter(name, VideoInfo(args.size[0], args.size[1], args.fps))
            writer.write(draw(text, seed))
            writer.close()
        rows.append(_row(args, target, text, seed) | labels)
    if manifest:
        with common.whole_file(str(manifest)) as name:
            Path(name).write_text(json.dumps(rows, indent=0) + "\n")
    facts = {
        "files": [str(target) for target, _, _ in jobs],
        "text": args.text[0] if len(args.text) == 1 else args.text,
        "frames": args.frames,
    }
    said = ", ".join(repr(text) for text in args.text)
    common.report(args, facts, f"{len(jobs)} clips of {args.frames} frames: {said}")


def _targets(out: Path, count: int) -> list[Path]:
    if not out.suffix:
        return [out / f"{n:06d}.mp4" for n in range(count)]
    if count == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{n}{out.suffix}") for n in range(count)]


def _row(args: argparse.Namespace, target: Path, text: str, seed: int) -> dict[str, Any]:
    """What a manifest says about a clip; the form is that of every training folder."""
    return {
        "file": target.name,
        "frames": args.frames,
        "width": args.size[0],
        "height": args.size[1],
        "fps": float(args.fps),
        "label": text,
        "caption": text,
        "source": "gistcast generate",
        "licence": "Apache-2.0",
        "group": f"generated:{text}:{seed}",
        "seed": seed,
    }


def _drawer(args: argparse.Namespace, text: str) -> tuple[Draw, dict[str, str]]:
    """What draws a text, and the labels that it understands of it."""
    from gistcast.models.scenes import label
    from gistcast.models.training import pick_device
    from gistcast.models.zoo import SCENES, load_scenes

    device = pick_device(args.device)
    width, height = args.size
    size = {"frames": args.frames, "height": height, "width": width}
    path = args.weights or SCENES
    if args.model == "scenes" or (args.model == "auto" and path.is_file()):
        scenes = load_scenes(device, path)
        said = scenes.sentence.describe(text)
        if args.model == "scenes" or said.action or said.surroundings:
            labels = {k: v for k, v in said.named().items() if v != "unsaid"}
            if said.action and said.surroundings:
                labels["label"] = label(labels["action"], labels["surroundings"])
            return lambda t, seed: scenes.paint(scenes.symbols(t, seed), seed=seed, **size), labels
    return _real(device, size), {"licence": "research only"}


def _real(device: Any, size: dict[str, int]) -> Draw:
    """The gist and refiner of real video."""
    from gistcast.models.zoo import load_gist, load_refiner

    model, refiner = load_gist(device), load_refiner(device)

    def draw(text: str, seed: int) -> Clip:
        planes = model.gist(None, text, seed=seed, **size)
        y, u, v = (np.clip(np.rint(p), 0, 255).astype(np.uint8) for p in planes)
        return refiner.refine(Clip(y, u, v), step=0.0, latent=None, text=text, seed=seed)

    return draw
