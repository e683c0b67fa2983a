"""A run of stage 2's training: for a bounded time, resumable, with a look at unseen clips.

    python -m gistcast.models.run_refiner DATA --minutes 9 --plan 27 -o DIR [--resume DIR]

is `gistcast train refiner` for machines that have torch, numpy and scipy but not the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gistcast.codec.errors import GistcastError, UsageError
from gistcast.models.data import Sample, validation_store
from gistcast.models.lpips import load_lpips
from gistcast.models.options import add_refiner_options, run_folder
from gistcast.models.refine import GanRefiner
from gistcast.models.refiner import Generator, RefinerConfig
from gistcast.models.train_refiner import RefinerTrainer, RefinerTraining, export_generator
from gistcast.models.training import Clock, Log, continue_from, last_figures, pick_device
from gistcast.models.validate import mean, validate

_CHECKPOINT_MINUTES = 2.0
_REPORT_SECONDS = 20.0
_STEP = 120.0  #: luma step of the looks at unseen clips
_LOOKS = 12  #: clips that are looked at


def look(generator: Generator, device: torch.device, samples: Sequence[Sample]) -> dict[str, float]:
    """Figures of unseen clips at one step, for the log."""
    refiner = GanRefiner(generator, device)
    rows = validate(refiner, samples, _STEP, ("fidelity", "balanced"), load_lpips("alex"))
    out: dict[str, float] = {}
    for key, row in rows.items():
        quality = mean(row)
        out |= {f"val_psnr_{key}": quality.psnr, f"val_motion_{key}": quality.motion}
        out[f"val_lpips_{key}"] = quality.lpips or 0.0
    return out


def train_refiner(
    config: RefinerTraining,
    *,
    minutes: float,
    device: str = "auto",
    workers: int | None = None,
    validation: Sequence[Sample] = (),
    look_minutes: float = 2.0,
) -> int:
    """Train, or go on training, for some minutes or until the schedule ends.

    Args:
        config: see `RefinerTraining`.
        minutes: of this call.
        device: auto, cpu or cuda.
        workers: processes that draw clips ahead; by default none on a CPU, which has no cores to
            spare, and nearly all cores beside a GPU.
        validation: unseen clips to look at on the way.
        look_minutes: between two looks.

    Returns:
        The number of steps done in all.
    """
    clock, where = Clock(minutes), pick_device(device)
    if workers is None:
        workers = max(1, (os.cpu_count() or 1) - 2) if where.type == "cuda" else 0
    trainer = RefinerTrainer(config, where, workers)
    log, saved, looked, reported = Log(config.run / "log.jsonl"), 0.0, 0.0, 0.0
    rows: list[dict[str, Tensor]] = []
    while trainer.share < 1 and not clock.over:
        started = time.monotonic()
        rows.append(trainer.step())
        trainer.progress.seconds += time.monotonic() - started
        if clock.elapsed - reported > _REPORT_SECONDS:
            _report(log, trainer, rows)
            reported = clock.elapsed
        if validation and clock.elapsed - looked > 60 * look_minutes:
            figures = look(trainer.averaged(), where, validation)
            log.write(step=trainer.progress.step, **figures)
            looked = clock.elapsed
        if clock.elapsed - saved > 60 * _CHECKPOINT_MINUTES:
            trainer.save()
            saved = clock.elapsed
    _report(log, trainer, rows)
    trainer.save()
    return trainer.progress.step


def _report(log: Log, trainer: RefinerTrainer, rows: list[dict[str, Tensor]]) -> None:
    """Write the means of `rows`, and empty it."""
    keys = dict.fromkeys(key for row in rows for key in row)
    means = {key: float(np.mean([float(row[key]) for row in rows if key in row])) for key in keys}
    if rows:
        seconds = round(trainer.progress.seconds, 1)
        log.write(step=trainer.progress.step, seconds=seconds, share=trainer.share, **means)
    rows.clear()


def export_refiner(config: RefinerTraining, path: Path) -> None:
    """Write the averaged generator of a run's checkpoint as fp16 safetensors with its shape.

    Raises:
        UsageError: the run has no checkpoint.
    """
    trainer = RefinerTrainer(config, torch.device("cpu"))
    if trainer.progress.step == 0:
        raise UsageError(f"no checkpoint in {config.run}")
    export_generator(trainer.averaged(), path)


def run(args: argparse.Namespace) -> None:
    """Train as the arguments say, and say how far it came."""
    gpu = pick_device(args.device).type == "cuda"
    out = run_folder(args, "refiner")
    if args.resume:
        continue_from(args.resume, out)
    config = RefinerTraining(
        args.data,
        args.work,
        out,
        start=args.init,
        steps=args.steps,
        plan=args.plan,
        batch=args.batch or (48 if gpu else 2),
        windows=args.windows,
        window=(args.window or 64) // 2,
        rate=args.rate,
        decay=0.9995 if gpu else 0.999,
        seed=args.seed,
        vgg=args.vgg,
        network=replace(RefinerConfig(), widths=args.widths, blocks=args.blocks),
    )
    print(
        f"{args.minutes:g} minutes at most; what becomes of it: {out / 'log.jsonl'}",
        file=sys.stderr,
    )
    samples = validation_store(args.data, args.work)
    chosen = samples[:: max(1, len(samples) // _LOOKS)]
    done = train_refiner(
        config,
        minutes=args.minutes,
        device=args.device,
        workers=args.workers,
        validation=chosen,
        look_minutes=2.0 if gpu else 10.0,
    )
    if args.export:
        export_refiner(config, args.export)
    weights = args.export or out / "refiner.safetensors"
    figures = last_figures(out)
    if args.json:
        facts = {"stage": "refiner", "run": str(out), "weights": str(weights)}
        print(json.dumps(facts | figures))
    else:
        share = f"{100 * figures.get('share', 1):.0f} % of the schedule"
        print(f"{done} steps done, {share}; weights: {weights}", file=sys.stderr)


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_refiner_options(parser)
    args = parser.parse_args()
    try:
        run(args)
    except GistcastError as error:
        print(f"run_refiner: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
