"""The loop around trainers: steps, log rows, checkpoints, until it is over.

The refiner has a loop of its own, which validates on the way.
"""

# annotations are objects here: who inherits from `RunSettings` need not import what they name
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from gistcast.models.parallel import Group
from gistcast.models.training import Clock, Log, Progress


class Trainer(Protocol):
    """What can be stepped and saved."""

    @property
    def progress(self) -> Progress: ...

    def step(self) -> dict[str, float]:
        """Train on one batch; the figures to log."""

    def save(self) -> None:
        """Write the checkpoint."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What every run depends on.

    Attributes:
        cache: folder for what is decoded or drawn once.
        run: folder for the checkpoint and the log.
        steps, batch, rate: length of the schedule, clips a step, peak learning rate.
        seed: of everything, with the step number.
        checkpoint_minutes, report_every: between checkpoints; steps between log rows.
    """

    cache: Path
    run: Path
    steps: int
    batch: int
    rate: float
    seed: int = 1
    checkpoint_minutes: float = 2.0
    report_every: int = 50


def run_steps(
    trainer: Trainer,
    settings: RunSettings,
    minutes: float,
    *,
    plan: float | None = None,
    group: Group | None = None,
    progress: Callable[[int], None] = lambda step: None,
) -> int:
    """Train until the minutes or the schedule are over.

    Args:
        plan: minutes of the schedule, in place of its steps.
        group: processes that train together; by default this one alone.
        progress: called with the number of steps done.

    Returns:
        The number of steps done in all.
    """
    group = group or Group(torch.device("cpu"))
    done, clock, saved = trainer.progress, Clock(minutes), 0.0
    log = Log(settings.run / "log.jsonl")
    rows: list[dict[str, float]] = []
    while done.share(settings.steps, plan) < 1 and not group.agree(clock.over):
        began = time.monotonic()
        rows.append(trainer.step())
        done.seconds += time.monotonic() - began
        progress(done.step)
        if done.step % settings.report_every == 0 and group.first:
            _report(log, done, rows)
        if clock.elapsed - saved > settings.checkpoint_minutes * 60:
            trainer.save()
            saved = clock.elapsed
    if rows and group.first:
        _report(log, done, rows)
    trainer.save()
    return done.step


def _report(log: Log, done: Progress, rows: list[dict[str, float]]) -> None:
    """Write the means of `rows`, and empty it."""
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    log.write(step=done.step, seconds=done.seconds, **means)
    rows.clear()
