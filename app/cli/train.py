"""`gistcast train`: the coders' tables, stage 1 and stage 2; every run can be resumed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gistcast.cli import common
from gistcast.codec.errors import UsageError
from gistcast.models.options import add_place, add_refiner_options, add_run_options, run_folder

EPILOG = """DATA is a folder of videos, or one with train/, val/, stills/ and manifest.json:
docs/training.md.

examples:
  gistcast train tables DATA/train -o tables.safetensors
  gistcast train gist DATA --minutes 20 --export gist.safetensors
  gistcast train refiner DATA --minutes 9 --plan 27 -o run
  gistcast train refiner DATA --minutes 9 --plan 27 -o run      # goes on
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
  gistcast train refiner DATA --minutes 60 --plan 60 -o run
  gistcast train refiner DATA --minutes 9 --plan 27 -o run      # again, until 27 are done
"""
_RECOGNISER = """examples:
  gistcast train recogniser DATA --export recogniser.safetensors
"""
_JUDGE = """examples:
  gistcast train judge --minutes 40 --export judge.safetensors
"""
_SCENES = """examples:
  gistcast train scenes -o run --minutes 60 --export scenes.safetensors --strip strip.png
  torchrun --nproc-per-node 8 -m gistcast train scenes -o run --device cuda
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
    common.add_json(parser)


def _add_number(parser: argparse.ArgumentParser, name: str, default: int, what: str) -> None:
    """An option that is a number, and has a default."""
    parser.add_argument(
        name, type=int, default=default, metavar="N", help=f"{what} (default {default})"
    )


def _add_tables(parser: argparse.ArgumentParser) -> None:
    _add_videos(parser)
    _add_number(parser, "--rounds", 3, "coding, then learning")
    _add_number(parser, "--steps", 4000, "length of a round's schedule")
    parser.add_argument("--limit", type=int, metavar="N", help="use only so many clips")
    parser.set_defaults(run=run_tables)


def _add_signs(parser: argparse.ArgumentParser) -> None:
    _add_videos(parser)
    parser.add_argument(
        "--base", type=Path, metavar="FILE", help="tables to add it to (those of edition 1)"
    )
    _add_number(parser, "--steps", 15000, "length of the schedule")
    parser.add_argument("--limit", type=int, metavar="N", help="use only so many clips")
    parser.set_defaults(run=run_signs)


def _add_video_tables(parser: argparse.ArgumentParser) -> None:
    _add_videos(parser)
    _add_number(parser, "--limit", 60, "use only so many videos")
    _add_number(parser, "--seed", 1, "another seed, other videos")
    parser.add_argument(
        "--check", type=Path, metavar="DIR", help="videos to compare with the shipped table on"
    )
    parser.set_defaults(run=run_video_tables)


def _add_gist(parser: argparse.ArgumentParser) -> None:
    add_run_options(parser, steps=20000, batch=64)
    _add_number(
        parser, "--clips", 24000, "drawn once, before the first step, to learn from: takes minutes"
    )
    parser.set_defaults(run=run_gist)


def _add_refiner(parser: argparse.ArgumentParser) -> None:
    add_refiner_options(parser)
    parser.set_defaults(run=run_refiner)


def _add_recogniser(parser: argparse.ArgumentParser) -> None:
    add_run_options(parser, steps=1200, batch=16)
    parser.set_defaults(run=run_recogniser)


def _add_judge(parser: argparse.ArgumentParser) -> None:
    add_place(parser, "renders")
    _add_number(parser, "--clips", 5000, "renders to learn from")
    _add_number(parser, "--steps", 1400, "length of the schedule")
    parser.set_defaults(run=run_judge)


def _add_scenes(parser: argparse.ArgumentParser) -> None:
    add_place(parser, "renders")
    _add_number(parser, "--clips", 6000, "renders to learn from")
    for stage, steps in (("gist", 5800), ("guide", 2200), ("painter", 5500)):
        _add_number(parser, f"--{stage}-steps", steps, f"length of the {stage}'s schedule")
    _add_number(parser, "--gist-batch", 24, "clips a step of stage 1")
    _add_number(parser, "--painter-batch", 4, "clips a step of stage 2")
    parser.add_argument(
        "--strip", type=Path, metavar="OUT.png", help="film strips of five prompts, at the end"
    )
    parser.set_defaults(run=run_scenes)


def _check_videos(args: argparse.Namespace) -> None:
    if not any(args.videos.glob("*.mp4")):
        raise UsageError(f"no *.mp4 in {args.videos}")
    if not args.output.absolute().parent.is_dir():
        raise UsageError(f"no such folder: {args.output.parent}")


def _report_tables(args: argparse.Namespace, figures: Mapping[str, Any]) -> None:
    facts = {"stage": args.stage, "weights": str(args.output), **figures}
    shown = ", ".join(f"{key}: {value}" for key, value in figures.items())
    common.report(args, facts, f"tables: {args.output}; {shown}")


def run_tables(args: argparse.Namespace) -> None:
    """Train the residual's tables."""
    from gistcast.models.contexts import train

    _check_videos(args)
    figures = train(
        args.videos, args.output, rounds=args.rounds, steps=args.steps, limit=args.limit
    )
    _report_tables(args, figures)


def run_signs(args: argparse.Namespace) -> None:
    """Train the network of the residual's signs."""
    from gistcast.codec.tables import path_of
    from gistcast.models.signs import train_signs

    _check_videos(args)
    base = args.base or path_of(1)
    figures = train_signs(args.videos, base, args.output, steps=args.steps, limit=args.limit)
    _report_tables(args, figures)


def run_video_tables(args: argparse.Namespace) -> None:
    """Make the tables of the video layers."""
    from gistcast.cli.bench import DEMO
    from gistcast.models.video_tables import make

    _check_videos(args)
    told = {"limit": args.limit, "seed": args.seed, "check": args.check}
    _report_tables(args, make(args.videos, args.output, source=DEMO, **told))


def run_gist(args: argparse.Namespace) -> None:
    """Train stage 1."""
    from gistcast.models.train_gist import GistTraining, export_gist, train_gist

    config = GistTraining(
        data=args.data, cache=args.work, run=_run_folder(args, "gist"), grids=args.clips,
        steps=args.steps, batch=args.batch,
    )  # fmt: skip
    print(f"drawing {args.clips} clips, unless {args.work} has them", file=sys.stderr)
    done = train_gist(config, minutes=args.minutes, device=args.device)
    if args.export:
        export_gist(config, args.export)
    _report_run(args, config.run, f"{done} steps done")


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
        data=args.data, cache=args.work, run=_run_folder(args, "recogniser"), steps=args.steps,
        batch=args.batch,
    )  # fmt: skip
    done = train_recogniser(config, minutes=args.minutes, device=args.device)
    accuracy = export_recogniser(config, args.export) if args.export else {}
    _report_run(args, config.run, f"{done} steps done", accuracy)


def run_judge(args: argparse.Namespace) -> None:
    """Train the judge of scenes."""
    from gistcast.models.train_judge import JudgeTraining, export_judge, train_judge

    config = JudgeTraining(
        cache=args.work / "scenes", run=args.output or args.work / "run-judge", clips=args.clips,
        steps=args.steps,
    )  # fmt: skip
    done = train_judge(config, minutes=args.minutes, device=args.device)
    accuracy = asdict(export_judge(config, args.export)) if args.export else {}
    _report_run(args, config.run, f"{done} steps done", accuracy)


def run_scenes(args: argparse.Namespace) -> None:
    """Train the generator of scenes."""
    from gistcast.eval.png import encode_png
    from gistcast.models.run_scenes import SceneRun, strip, train_scenes, trained

    run = SceneRun(
        args.work / "scenes",
        args.output or args.work / "run-scenes",
        clips=args.clips,
        gist_steps=args.gist_steps,
        guide_steps=args.guide_steps,
        painter_steps=args.painter_steps,
        gist_batch=args.gist_batch,
        painter_batch=args.painter_batch,
    )
    reached = train_scenes(run, minutes=args.minutes, device=args.device)
    if args.export or args.strip:
        model = trained(run, args.export)
        if args.strip:
            args.strip.write_bytes(encode_png(strip(model)))
    _report_run(args, reached.run, str(reached))


def _run_folder(args: argparse.Namespace, name: str) -> Path:
    """Where a run writes; with --resume it starts from a copy of that run's checkpoint."""
    from gistcast.models.training import continue_from

    folder = run_folder(args, name)
    if args.resume:
        continue_from(args.resume, folder)
    return folder


def _report_run(
    args: argparse.Namespace, run: Path, line: str, accuracy: Mapping[str, float] | None = None
) -> None:
    """The run, the newest figures of its log, and the weights that were written, if any."""
    from gistcast.models.training import last_figures

    weights = str(args.export) if args.export else None
    facts = {"stage": args.stage, "run": str(run), "weights": weights, **last_figures(run)}
    if accuracy:
        facts["accuracy"] = dict(accuracy)
        line += f"; {', '.join(f'{key}: {value:.3g}' for key, value in accuracy.items())}"
    common.report(args, facts, line + (f"; weights: {weights}" if weights else ""))
