"""`gistcast train`: the residual's tables, stage 1 and stage 2; every run can be resumed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from gistcast.cli import common

EPILOG = """DATA is a folder with train/, val/, stills/ and manifest.json.

examples:
  gistcast train tables DATA/train -o tables.safetensors
  gistcast train gist DATA --minutes 20 --export gist.safetensors
  gistcast train pairs DATA --shards 60
  gistcast train refiner DATA --minutes 9 --device cuda --batch 64
  gistcast train recogniser DATA --export recogniser.safetensors
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
    _add_gist(stages.add_parser("gist", help="stage 1"))
    _add_pairs(stages.add_parser("pairs", help="sketches for stage 2 to learn from"))
    _add_refiner(stages.add_parser("refiner", help="stage 2"))
    _add_recogniser(stages.add_parser("recogniser", help="the lab's judge of whole clips"))


def _add_tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("videos", type=Path, help="folder of training videos (*.mp4)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors")
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--limit", type=int, help="use only so many clips")
    parser.set_defaults(run=run_tables)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--work", type=Path, default=Path("work"), help="caches and checkpoints")


def _add_run(parser: argparse.ArgumentParser, *, steps: int, batch: int) -> None:
    _add_common(parser)
    parser.add_argument("--minutes", type=float, default=30, help="stop (resumably) after these")
    parser.add_argument("--steps", type=int, default=steps, help="length of the schedule")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--export", type=Path, metavar="OUT.safetensors", help="write the weights")
    common.add_device(parser)


def _add_gist(parser: argparse.ArgumentParser) -> None:
    _add_run(parser, steps=20000, batch=64)
    parser.set_defaults(run=run_gist)


def _add_pairs(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument("--shards", type=int, default=40, help="of 64 clips each")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.set_defaults(run=run_pairs)


def _add_refiner(parser: argparse.ArgumentParser) -> None:
    _add_run(parser, steps=6000, batch=4)
    parser.set_defaults(run=run_refiner)


def _add_recogniser(parser: argparse.ArgumentParser) -> None:
    _add_run(parser, steps=1500, batch=16)
    parser.set_defaults(run=run_recogniser)


def run_tables(args: argparse.Namespace) -> None:
    """Train the residual's tables."""
    from gistcast.models.contexts import train

    train(
        args.videos,
        args.output,
        hidden=args.hidden,
        rounds=args.rounds,
        steps=args.steps,
        limit=args.limit,
    )


def run_gist(args: argparse.Namespace) -> None:
    """Train stage 1."""
    from gistcast.models.train_gist import GistTraining, export_gist, train_gist

    config = GistTraining(
        args.data, args.work, args.work / "run-gist", steps=args.steps, batch=args.batch
    )
    done = train_gist(config, minutes=args.minutes, device=args.device)
    _finish(done, args, lambda path: export_gist(config, path))


def run_pairs(args: argparse.Namespace) -> None:
    """Make training pairs for stage 2."""
    from gistcast.models.make_pairs import make_pairs

    make_pairs(args.data, args.work, shards=args.shards, first=args.first)


def run_refiner(args: argparse.Namespace) -> None:
    """Train stage 2."""
    from gistcast.models.train_refiner import RefinerTraining, export_refiner, train_refiner

    config = RefinerTraining(
        args.work,
        args.work / "run-refiner",
        steps=args.steps,
        batch=args.batch,
        validation=args.data if (args.data / "val").is_dir() else None,
    )
    done = train_refiner(config, minutes=args.minutes, device=args.device)
    _finish(done, args, lambda path: export_refiner(config, path))


def run_recogniser(args: argparse.Namespace) -> None:
    """Train the network behind the lab's Fréchet distance."""
    from gistcast.models.train_recogniser import (
        RecogniserTraining,
        export_recogniser,
        train_recogniser,
    )

    config = RecogniserTraining(
        args.data, args.work, args.work / "run-recogniser", steps=args.steps, batch=args.batch
    )
    done = train_recogniser(config, minutes=args.minutes, device=args.device)
    _finish(done, args, lambda path: print(export_recogniser(config, path), file=sys.stderr))


def _finish(done: int, args: argparse.Namespace, export: Callable[[Path], None]) -> None:
    print(f"{done} steps done", file=sys.stderr)
    if args.export:
        export(args.export)
        print(f"weights: {args.export}", file=sys.stderr)
