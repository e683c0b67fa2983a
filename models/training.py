"""What every training run needs: a device, a clock, a log, averages of weights, checkpoints.

A checkpoint is a folder of safetensors files and `state.json`; it is complete before it takes the
place of the one before, and a run resumed from it goes on exactly as if it had not stopped.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from gistcast.codec.errors import ModelError, UsageError


def pick_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` -> a device.

    Raises:
        UsageError: unknown, or CUDA asked for where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"device must be auto, cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device here")
    cuda = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if cuda else "cpu")


def learning_rate(step: int, steps: int, peak: float, warmup: int = 100) -> float:
    """Linear warm-up, constant, and linear decay to zero over the last 40 % of `steps`."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * min(1.0, max(0.0, (steps - step) / (0.4 * steps)))


class Clock:
    """A budget of minutes."""

    def __init__(self, minutes: float) -> None:
        self._start, self._seconds = time.monotonic(), minutes * 60

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def over(self) -> bool:
        return self.elapsed >= self._seconds


class Log:
    """One JSON object a line, appended to a file and echoed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def write(self, **fields: float | str) -> None:
        """Append a row; floats are cut to five significant digits."""
        row = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in fields.items()}
        with open(self._path, "a") as out:
            out.write(json.dumps(row) + "\n")


class Average:
    """Exponential moving average of a module's floating-point state.

    Args:
        module: whose state is averaged.
        decay: per update; the first updates use less, so that the start is forgotten quickly.
    """

    def __init__(self, module: nn.Module, decay: float = 0.998) -> None:
        self._decay = decay
        self.updates = 0
        self.state = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards the module's present state."""
        self.updates += 1
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)


@dataclass
class Trained:
    """A network with its optimiser and, if wanted, its average: what a checkpoint stores."""

    module: nn.Module
    optimizer: Optimizer
    average: Average | None = None


def save_checkpoint(folder: Path, step: int, parts: Mapping[str, Trained]) -> None:
    """Write a checkpoint: for each part `NAME.safetensors` and `NAME.optimizer.safetensors`."""
    temporary, old = folder.with_suffix(".tmp"), folder.with_suffix(".old")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir(parents=True)
    updates = {}
    for name, part in parts.items():
        tensors = {f"weights.{k}": v for k, v in part.module.state_dict().items()}
        if part.average is not None:
            tensors |= {f"average.{k}": v for k, v in part.average.state.items()}
            updates[name] = part.average.updates
        _save(tensors, temporary / f"{name}.safetensors")
        moments = {
            f"{index}.{key}": value
            for index, state in part.optimizer.state_dict()["state"].items()
            for key, value in state.items()
        }
        _save(moments, temporary / f"{name}.optimizer.safetensors")
    (temporary / "state.json").write_text(json.dumps({"step": step, "updates": updates}))
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, str(path))


def load_checkpoint(folder: Path, parts: Mapping[str, Trained]) -> int:
    """Restore what `save_checkpoint` wrote into parts of the same shapes.

    A part that the checkpoint does not have keeps its fresh state (a critic may join later).

    Returns:
        The number of steps done; 0 if there is no checkpoint.

    Raises:
        ModelError: the checkpoint belongs to another network.
    """
    if not (folder / "state.json").is_file():
        return 0
    state = json.loads((folder / "state.json").read_text())
    for name, part in parts.items():
        if not (folder / f"{name}.safetensors").is_file():
            continue
        tensors = load_file(str(folder / f"{name}.safetensors"))
        try:
            part.module.load_state_dict(_under(tensors, "weights."))
        except RuntimeError as error:
            raise ModelError(f"{folder} holds another network: {error}") from error
        if part.average is not None:
            for key, value in _under(tensors, "average.").items():
                part.average.state[key].copy_(value)
            part.average.updates = int(state["updates"][name])
        _load_moments(folder / f"{name}.optimizer.safetensors", part.optimizer)
    return int(state["step"])


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _load_moments(path: Path, optimizer: Optimizer) -> None:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in load_file(str(path)).items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = tensor
    whole: dict[str, Any] = optimizer.state_dict()
    whole["state"] = moments
    optimizer.load_state_dict(whole)
