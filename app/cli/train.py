"""`gistcast train`: the residual's tables, stage 1 and stage 2, each resumable."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("train", help="train the tables, stage 1 or stage 2")
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    tables = stages.add_parser("tables", help="the residual's probability model")
    tables.add_argument("videos", type=Path, help="folder of training videos (*.mp4)")
    tables.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors")
    tables.add_argument("--hidden", type=int, default=32)
    tables.add_argument("--rounds", type=int, default=3)
    tables.add_argument("--steps", type=int, default=4000)
    tables.add_argument("--limit", type=int, help="use only so many clips")
    tables.set_defaults(run=run_tables)


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
