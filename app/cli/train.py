"""`gistcast train`: the coders' tables, stage 1 and stage 2; every run can be resumed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from gistcast.models.options import add_refiner_options, add_run_options, run_folder

EPILOG = """DATA is a folder with train/, val/, stills/ and manifest.json.

examples:
  gistcast train tables DATA/train -o tables.safetensors
  gistcast train signs DATA/train -o codec/tables/residual-2.safetensors
  gistcast train video-tables DATA/train -o video.safetensors --check DATA/val
  gistcast train gist DATA --minutes 20 --export gist.safetensors
  gistcast train refiner DATA --minutes 9 --plan 27 --out run
  gistcast train refiner DATA --minutes 9 --plan 27 --out run      (goes on)
  gistcast train recogniser DATA --export recogniser.safetensors
  gistcast train judge --export judge.safetensors
  gistcast train scenes --out run --minutes 60 --export scenes.safetensors
  torchrun --nproc-per-node 8 -m gistcast train scenes --out run --device cuda
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "train",
        help="train the tables, stage 1 or stage 2",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    _add_tables(stages.add_parser("tables", help="the residual's probability model"))
    _add_signs(stages.add_parser("signs", help="the network of the residual's signs"))
    _add_video_tables(stages.add_parser("video-tables", help="the model of AV1's frame headers"))
    _add_gist(stages.add_parser("gist", help="stage 1"))
    _add_refiner(stages.add_parser("refiner", help="stage 2"))
    _add_recogniser(stages.add_parser("recogniser", help="the lab's judge of whole clips"))
    _add_judge(stages.add_parser("judge", help="who tells what a clip of a scene shows"))
    _add_scenes(stages.add_parser("scenes", help="the generator of scenes, both stages"))


def _add_tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("videos", type=Path, help="folder of training videos (*.mp4)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--limit", type=int, help="use only so many clips")
    parser.set_defaults(run=run_tables)


def _add_signs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("videos", type=Path, help="folder of training videos (*.mp4)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors")
    parser.add_argument("--base", type=Path, help="tables to add it to (those of edition 1)")
    parser.add_argument("--steps", type=int, default=15000, help="length of the schedule")
    parser.add_argument("--limit", type=int, help="clips to use, for a quick trial")
    parser.set_defaults(run=run_signs)


def _add_video_tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("videos", type=Path, help="folder of training videos (*.mp4)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors")
    parser.add_argument("--limit", type=int, default=60, help="use only so many videos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--check", type=Path, metavar="DIR", help="videos to compare with the shipped table on"
    )
    parser.set_defaults(run=run_video_tables)


def _add_run(parser: argparse.ArgumentParser, *, steps: int, batch: int) -> None:
    add_run_options(parser, steps=steps)
    parser.add_argument("--batch", type=int, default=batch, help="clips a step")


def _add_gist(parser: argparse.ArgumentParser) -> None:
    _add_run(parser, steps=20000, batch=64)
    parser.set_defaults(run=run_gist)


def _add_refiner(parser: argparse.ArgumentParser) -> None:
    add_refiner_options(parser)
    parser.set_defaults(run=run_refiner)


def _add_recogniser(parser: argparse.ArgumentParser) -> None:
    _add_run(parser, steps=1200, batch=16)
    parser.set_defaults(run=run_recogniser)


def _add_scene_options(parser: argparse.ArgumentParser, *, clips: int) -> None:
    add = parser.add_argument
    add("--work", type=Path, default=Path("work"), help="renders, and runs without --out")
    add("--out", type=Path, metavar="DIR", help="checkpoints and logs; a run there is gone on with")
    add("--minutes", type=float, default=30, help="stop (resumably) after these")
    add("--clips", type=int, default=clips, help="renders to learn from")
    add("--export", type=Path, metavar="OUT.safetensors", help="write the weights there")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")


def _add_judge(parser: argparse.ArgumentParser) -> None:
    _add_scene_options(parser, clips=5000)
    parser.add_argument("--steps", type=int, default=1400, help="length of the schedule")
    parser.set_defaults(run=run_judge)


def _add_scenes(parser: argparse.ArgumentParser) -> None:
    _add_scene_options(parser, clips=6000)
    add = parser.add_argument
    for stage, steps in (("gist", 5800), ("guide", 2200), ("painter", 5500)):
        add(f"--{stage}-steps", type=int, default=steps, help=f"length of the {stage}'s schedule")
    add("--gist-batch", type=int, default=24, help="clips a step of stage 1")
    add("--painter-batch", type=int, default=4, help="clips a step of stage 2")
    add("--strip", type=Path, metavar="OUT.png", help="film strips of five prompts, at the end")
    parser.set_defaults(run=run_scenes)


def run_tables(args: argparse.Namespace) -> None:
    """Train the residual's tables."""
    from gistcast.models.contexts import train

    train(
        args.videos,
        args.output,
        rounds=args.rounds,
        steps=args.steps,
        limit=args.limit,
    )


def run_signs(args: argparse.Namespace) -> None:
    """Train the network of the residual's signs."""
    from gistcast.codec.tables import path_of
    from gistcast.models.signs import train_signs

    train_signs(
        args.videos, args.base or path_of(1), args.output, steps=args.steps, limit=args.limit
    )


def run_video_tables(args: argparse.Namespace) -> None:
    """Make the tables of the video layers."""
    from gistcast.cli.bench import DEMO
    from gistcast.models.video_tables import make

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
        args.data, args.work, _run_folder(args, "gist"), steps=args.steps, batch=args.batch
    )
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
