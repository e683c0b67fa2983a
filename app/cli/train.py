"""`gistcast train`: the coders' tables, stage 1 and stage 2; every run can be resumed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from gistcast.cli import common
from gistcast.codec.errors import UsageError
from gistcast.models.options import add_refiner_options, add_run_options, run_folder

EPILOG = """DATA is a folder with train/, val/, stills/ and manifest.json: docs/training.md.
`python examples/own_videos.py VIDEOS DATA` makes one of a folder of videos.

examples:
  gistcast train tables DATA/train -o tables.safetensors
  gistcast train gist DATA --minutes 20 --export gist.safetensors
  gistcast train refiner DATA --minutes 9 --plan 27 --out run
  gistcast train refiner DATA --minutes 9 --plan 27 --out run      # goes on
  gistcast train refiner --help                                    # of one stage
"""

_TABLES = """examples:
  gistcast train tables DATA/train -o tables.safetensors
  gistcast train tables DATA/train -o tables.safetensors --limit 20 --steps 500    # a trial
"""
_SIGNS = """examples:
  gistcast train signs DATA/train -o residual-2.safetensors
"""
_VIDEO_TABLES = """examples:
  gistcast train video-tables DATA/train -o video.safetensors --check DATA/val
"""
_GIST = """examples:
  gistcast train gist DATA --minutes 20 --export gist.safetensors
  gistcast train gist DATA --minutes 1 --clips 500                     # a first try
  gistcast encode in.mp4 -o out.gist --latent on --weights gist.safetensors
"""
_REFINER = """examples:
  gistcast train refiner DATA --minutes 60 --plan 60 --out run
  gistcast train refiner DATA --minutes 9 --plan 27 --out run      # again, until 27 are done
"""
_RECOGNISER = """examples:
  gistcast train recogniser DATA --export recogniser.safetensors
"""
_JUDGE = """examples:
  gistcast train judge --minutes 40 --export judge.safetensors
"""
_SCENES = """examples:
  gistcast train scenes --out run --minutes 60 --export scenes.safetensors --strip strip.png
  torchrun --nproc-per-node 8 -m gistcast train scenes --out run --device cuda
  gistcast generate "golf in the pool" -o golf.mp4 --weights scenes.safetensors
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = common.add_command(commands, "train", "train the tables, stage 1 or stage 2", EPILOG)
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    for name, summary, examples, fill in (
        ("tables", "the residual's probability model", _TABLES, _add_tables),
        ("signs", "the network of the residual's signs", _SIGNS, _add_signs),
        ("video-tables", "the model of AV1's frame headers", _VIDEO_TABLES, _add_video_tables),
        ("gist", "stage 1", _GIST, _add_gist),
        ("refiner", "stage 2", _REFINER, _add_refiner),
        ("recogniser", "the lab's judge of whole clips", _RECOGNISER, _add_recogniser),
        ("judge", "who tells what a clip of a scene shows", _JUDGE, _add_judge),
        ("scenes", "the generator of scenes, both stages", _SCENES, _add_scenes),
    ):
        fill(common.add_command(stages, name, summary, examples))


def _add_videos(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "videos", type=Path, metavar="VIDEOS", help="folder of training videos (*.mp4)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="the tables"
    )


def _add_tables(parser: argparse.ArgumentParser) -> None:
    _add_videos(parser)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="coding, then learning")
    parser.add_argument(
        "--steps", type=int, default=4000, metavar="N", help="length of a round's schedule"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use only so many clips")
    parser.set_defaults(run=run_tables)


def _add_signs(parser: argparse.ArgumentParser) -> None:
    _add_videos(parser)
    parser.add_argument(
        "--base", type=Path, metavar="FILE", help="tables to add it to (those of edition 1)"
    )
    parser.add_argument(
        "--steps", type=int, default=15000, metavar="N", help="length of the schedule"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="use only so many clips")
    parser.set_defaults(run=run_signs)


def _add_video_tables(parser: argparse.ArgumentParser) -> None:
    _add_videos(parser)
    parser.add_argument(
        "--limit", type=int, default=60, metavar="N", help="use only so many videos (default 60)"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed, other videos")
    parser.add_argument(
        "--check", type=Path, metavar="DIR", help="videos to compare with the shipped table on"
    )
    parser.set_defaults(run=run_video_tables)


def _add_run(parser: argparse.ArgumentParser, *, steps: int, batch: int) -> None:
    add_run_options(parser, steps=steps)
    parser.add_argument("--batch", type=int, default=batch, help="clips a step")


def _add_gist(parser: argparse.ArgumentParser) -> None:
    _add_run(parser, steps=20000, batch=64)
    parser.add_argument(
        "--clips", type=int, default=24000, metavar="N",
        help="drawn once, before the first step, to learn from (default 24000: minutes)",
    )  # fmt: skip
    parser.set_defaults(run=run_gist)


def _add_refiner(parser: argparse.ArgumentParser) -> None:
    add_refiner_options(parser)
    parser.set_defaults(run=run_refiner)


def _add_recogniser(parser: argparse.ArgumentParser) -> None:
    _add_run(parser, steps=1200, batch=16)
    parser.set_defaults(run=run_recogniser)


def _add_scene_options(parser: argparse.ArgumentParser, *, clips: int) -> None:
    add = parser.add_argument
    add(
        "--work", type=Path, default=Path("work"), metavar="DIR",
        help="renders, and runs without --out",
    )  # fmt: skip
    add("--out", type=Path, metavar="DIR", help="checkpoints and logs; a run there is gone on with")
    add("--minutes", type=float, default=30, metavar="N", help="stop (resumably) after these")
    add("--clips", type=int, default=clips, metavar="N", help="renders to learn from")
    add("--export", type=Path, metavar="OUT.safetensors", help="write the weights there")
    common.add_device(parser)


def _add_judge(parser: argparse.ArgumentParser) -> None:
    _add_scene_options(parser, clips=5000)
    parser.add_argument(
        "--steps", type=int, default=1400, metavar="N", help="length of the schedule"
    )
    parser.set_defaults(run=run_judge)


def _add_scenes(parser: argparse.ArgumentParser) -> None:
    _add_scene_options(parser, clips=6000)
    add = parser.add_argument
    for stage, steps in (("gist", 5800), ("guide", 2200), ("painter", 5500)):
        schedule = f"length of the {stage}'s schedule"
        add(f"--{stage}-steps", type=int, default=steps, metavar="N", help=schedule)
    add("--gist-batch", type=int, default=24, metavar="N", help="clips a step of stage 1")
    add("--painter-batch", type=int, default=4, metavar="N", help="clips a step of stage 2")
    add("--strip", type=Path, metavar="OUT.png", help="film strips of five prompts, at the end")
    parser.set_defaults(run=run_scenes)


def _check_videos(args: argparse.Namespace) -> None:
    if not any(args.videos.glob("*.mp4")):
        raise UsageError(f"no *.mp4 in {args.videos}")
    if not args.output.absolute().parent.is_dir():
        raise UsageError(f"no such folder: {args.output.parent}")


def run_tables(args: argparse.Namespace) -> None:
    """Train the residual's tables."""
    from gistcast.models.contexts import train

    _check_videos(args)
    train(args.videos, args.output, rounds=args.rounds, steps=args.steps, limit=args.limit)


def run_signs(args: argparse.Namespace) -> None:
    """Train the network of the residual's signs."""
    from gistcast.codec.tables import path_of
    from gistcast.models.signs import train_signs

    _check_videos(args)
    train_signs(
        args.videos, args.base or path_of(1), args.output, steps=args.steps, limit=args.limit
    )


def run_video_tables(args: argparse.Namespace) -> None:
    """Make the tables of the video layers."""
    from gistcast.cli.bench import DEMO
    from gistcast.models.video_tables import make

    _check_videos(args)
    make(
        args.videos,
        args.output,
        source=DEMO,
        limit=args.limit,
        seed=args.seed,
        check=args.check,
    )


def run_gist(args: argparse.Namespace) -> None:
    """Train stage 1."""
    from gistcast.models.train_gist import GistTraining, export_gist, train_gist

    config = GistTraining(
        args.data, args.work, _run_folder(args, "gist"),
        grids=args.clips, steps=args.steps, batch=args.batch,
    )  # fmt: skip
    print(f"drawing {args.clips} clips, unless {args.work} has them", file=sys.stderr)
    done = train_gist(config, minutes=args.minutes, device=args.device)
    _finish(done, args, lambda path: export_gist(config, path))


def run_refiner(args: argparse.Namespace) -> None:
    """Train stage 2."""
    from gistcast.models.run_refiner import run

    run(args)


def run_recogniser(args: argparse.Namespace) -> None:
    """Train the network behind the lab's Fréchet distance."""
    from gistcast.models.train_recogniser import (
        RecogniserTraining,
        export_recogniser,
        train_recogniser,
    )

    config = RecogniserTraining(
        args.data, args.work, _run_folder(args, "recogniser"), steps=args.steps, batch=args.batch
    )
    done = train_recogniser(config, minutes=args.minutes, device=args.device)
    _finish(done, args, lambda path: print(export_recogniser(config, path), file=sys.stderr))


def run_judge(args: argparse.Namespace) -> None:
    """Train the judge of scenes."""
    from gistcast.models.train_judge import JudgeTraining, export_judge, train_judge

    config = JudgeTraining(
        args.work / "scenes", args.out or args.work / "run-judge", clips=args.clips,
        steps=args.steps,
    )  # fmt: skip
    done = train_judge(config, minutes=args.minutes, device=args.device)
    _finish(done, args, lambda path: print(export_judge(config, path), file=sys.stderr))


def run_scenes(args: argparse.Namespace) -> None:
    """Train the generator of scenes."""
    from gistcast.eval.png import encode_png
    from gistcast.models.run_scenes import SceneRun, strip, train_scenes, trained

    run = SceneRun(
        args.work / "scenes",
        args.out or args.work / "run-scenes",
        clips=args.clips,
        gist_steps=args.gist_steps,
        guide_steps=args.guide_steps,
        painter_steps=args.painter_steps,
        gist_batch=args.gist_batch,
        painter_batch=args.painter_batch,
    )
    print(train_scenes(run, minutes=args.minutes, device=args.device), file=sys.stderr)
    if args.export or args.strip:
        model = trained(run, args.export)
        if args.strip:
            args.strip.write_bytes(encode_png(strip(model)))


def _run_folder(args: argparse.Namespace, name: str) -> Path:
    """Where a run writes; with --resume it starts from a copy of that run's checkpoint."""
    from gistcast.models.training import continue_from

    folder = run_folder(args, name)
    if args.resume:
        continue_from(args.resume, folder)
    return folder


def _finish(done: int, args: argparse.Namespace, export: Callable[[Path], None]) -> None:
    print(f"{done} steps done", file=sys.stderr)
    if args.export:
        export(args.export)
        print(f"weights: {args.export}", file=sys.stderr)
