"""Command-line options of the training runs; nothing here imports torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from gistcast.codec.errors import UsageError


def add_run_options(
    parser: argparse.ArgumentParser, *, steps: int, batch: int | None = None
) -> None:
    """What every run on recordings takes.

    Args:
        parser: to add to.
        steps: default length of the schedule.
        batch: default clips a step; None adds no such option.
    """
    add = parser.add_argument
    add(
        "data", type=Path, metavar="DATA",
        help="folder of videos, or of train/, val/, stills/ and manifest.json",
    )  # fmt: skip
    add_place(parser, "decoded frames")
    add("--resume", type=Path, metavar="DIR", help="go on from the run in DIR")
    add(
        "--steps", type=int, default=steps, metavar="N",
        help=f"length of the schedule (default {steps})",
    )  # fmt: skip
    if batch is not None:
        add(
            "--batch", type=int, default=batch, metavar="N",
            help=f"clips a step (default {batch})",
        )  # fmt: skip


def add_place(parser: argparse.ArgumentParser, kept: str) -> None:
    """Where a run writes, how long it goes on, and on what: what every run takes.

    Args:
        parser: to add to.
        kept: what the cache holds.
    """
    add = parser.add_argument
    add(
        "--work", type=Path, default=Path("work"), metavar="DIR",
        help=f"{kept}, and runs without -o (default work)",
    )  # fmt: skip
    add(
        "-o", "--output", "--out", type=Path, metavar="DIR",
        help="checkpoint, log and weights; a run there is gone on with",
    )  # fmt: skip
    add(
        "--minutes", type=float, default=30, metavar="N",
        help="stop after these; the same command goes on (default 30)",
    )  # fmt: skip
    add("--export", type=Path, metavar="OUT.safetensors", help="write the weights there, too")
    add("--json", action="store_true", help="print one JSON object on stdout")
    add(
        "--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="to train on (default auto: a GPU where there is one)",
    )  # fmt: skip


def run_folder(args: argparse.Namespace, name: str) -> Path:
    """Where a run writes: -o, else --resume, else a folder of --work.

    Raises:
        UsageError: what it is to learn from is no folder; decoded frames in --work would hide that.
    """
    if not args.data.is_dir():
        raise UsageError(f"no such folder: {args.data}")
    folder: Path = args.output or args.resume or args.work / f"run-{name}"
    return folder


def add_refiner_options(parser: argparse.ArgumentParser) -> None:
    """Options of stage 2's training."""
    add_run_options(parser, steps=7000)
    add = parser.add_argument
    add("--init", "--start", type=Path, metavar="FILE", help="weights to begin with")
    add("--plan", type=float, metavar="MINUTES", help="schedule by time over all calls instead")
    add("--batch", type=int, metavar="N", help="clips a step (default 2, on a GPU 48)")
    add("--windows", type=int, default=1, metavar="N", help="windows cut from a clip (default 1)")
    add("--window", type=int, metavar="N", help="their side, luma samples (default 64)")
    add("--rate", type=float, default=1e-3, help="peak learning rate (default 0.001)")
    add(
        "--widths", type=_numbers, default=(32, 64, 96), metavar="A,B,C",
        help="channels at each scale (default 32,64,96)",
    )  # fmt: skip
    add(
        "--blocks", type=_numbers, default=(1, 2, 3), metavar="A,B,C",
        help="blocks at each scale (default 1,2,3)",
    )  # fmt: skip
    add(
        "--workers", type=int, metavar="N",
        help="processes that draw clips (default 0, beside a GPU all cores but two)",
    )  # fmt: skip
    add(
        "--vgg", type=Path, metavar="FILE",
        help="LPIPS-VGG weights (default: those of gistcast.models.lpips_weights)",
    )  # fmt: skip
    add("--seed", type=int, default=1, help="of data, dials and noise (default 1)")


def _numbers(text: str) -> tuple[int, int, int]:
    a, b, c = (int(part) for part in text.split(","))
    return a, b, c
