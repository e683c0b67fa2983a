"""Command-line options of the training runs; nothing here imports torch."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_run_options(parser: argparse.ArgumentParser, *, steps: int) -> None:
    """What every run takes: data, a budget of minutes, where it goes on from and where it writes.

    Args:
        parser: to add to.
        steps: default length of the schedule.
    """
    add = parser.add_argument
    add("data", type=Path, metavar="DATA", help="train/, val/, stills/ and manifest.json")
    add("--work", type=Path, default=Path("work"), help="decoded frames, and runs without --out")
    add("--out", type=Path, metavar="DIR", help="checkpoint, log and weights")
    add("--resume", type=Path, metavar="DIR", help="go on from the run in DIR")
    add("--minutes", type=float, default=30, help="stop (resumably) after these")
    add("--steps", type=int, default=steps, help="length of the schedule")
    add("--export", type=Path, metavar="OUT.safetensors", help="write the weights there too")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")


def run_folder(args: argparse.Namespace, name: str) -> Path:
    """Where a run writes: --out, else --resume, else a folder of --work."""
    folder: Path = args.out or args.resume or args.work / f"run-{name}"
    return folder


def add_refiner_options(parser: argparse.ArgumentParser) -> None:
    """Options of stage 2's training."""
    add_run_options(parser, steps=7000)
    add = parser.add_argument
    add("--start", type=Path, metavar="FILE", help="weights to begin with")
    add("--plan", type=float, metavar="MINUTES", help="schedule by time over all calls instead")
    add("--batch", type=int, help="clips a step (2, on a GPU 48)")
    add("--windows", type=int, default=2, help="windows cut from a clip")
    add("--window", type=int, help="their side, luma samples (32, on a GPU 48)")
    add("--rate", type=float, default=1e-3, help="peak learning rate")
    add("--widths", type=_numbers, default=(32, 64, 96), metavar="A,B,C", help="channels")
    add("--blocks", type=_numbers, default=(1, 2, 3), metavar="A,B,C", help="blocks")
    add("--workers", type=int, help="processes that draw clips (0, beside a GPU all cores but two)")
    add("--vgg", type=Path, help="LPIPS-VGG weights (those of gistcast.models.lpips_weights)")
    add("--seed", type=int, default=1)


def _numbers(text: str) -> tuple[int, int, int]:
    a, b, c = (int(part) for part in text.split(","))
    return a, b, c
