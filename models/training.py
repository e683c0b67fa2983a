"""What every training run needs: a device, a clock, a log, averages of weights, checkpoints.

A checkpoint is a folder of safetensors files below 16 MiB each and `state.json`; it is complete
before it takes the place of the one before, and a run resumed from it goes on exactly as if it had
not stopped.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from gistcast.codec.errors import ModelError, UsageError

_M = TypeVar("_M", bound=nn.Module)

_FILE_BYTES = 15 << 20  #: of a checkpoint's files


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


def placed(module: _M, device: torch.device) -> _M:
    """A module on a device, its convolutions' weights channels last: what CPUs convolve fastest."""
    module.to(device)
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: steps done.
        seconds: time they took, over all calls.
    """

    step: int = 0
    seconds: float = 0.0

    def share(self, steps: int, minutes: float | None = None) -> float:
        """0..1 of the schedule: of `steps`, or of a plan of minutes where there is one."""
        done = self.step / steps if minutes is None else self.seconds / (60 * minutes)
        return min(1.0, done)


def learning_rate(step: int, share: float, peak: float, warmup: int = 100) -> float:
    """Linear warm-up, constant, and linear decay to zero over the last 40 % of the schedule.

    Args:
        step: steps done, for the warm-up.
        share: 0..1 of the schedule that is done.
        peak: the constant.
    """
    return peak * min(1.0, (step + 1) / warmup, max(0.0, (1 - share) / 0.4))


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


def last_figures(run: Path) -> dict[str, Any]:
    """The newest of each figure in a run's log; none where there is no log yet."""
    path = run / "log.jsonl"
    figures: dict[str, Any] = {}
    for line in path.read_text().splitlines() if path.is_file() else ():
        figures |= json.loads(line)
    return figures


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
        present = module.state_dict()
        real = [key for key, value in present.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [self.state[key] for key in real], [present[key] for key in real], 1 - decay
        )
        for key in present.keys() - set(real):
            self.state[key].copy_(present[key])


@dataclass
class Trained:
    """A network with its optimiser and, if wanted, its average: what a checkpoint stores."""

    module: nn.Module
    optimizer: Optimizer
    average: Average | None = None


def save_checkpoint(folder: Path, progress: Progress, parts: Mapping[str, Trained]) -> None:
    """Write a checkpoint: `state.json` and as many `tensors-NN.safetensors` as it takes."""
    temporary, old = folder.with_suffix(".tmp"), folder.with_suffix(".old")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir(parents=True)
    tensors: dict[str, Tensor] = {}
    updates = {}
    for name, part in parts.items():
        tensors |= {f"{name}/weights/{k}": v for k, v in part.module.state_dict().items()}
        if part.average is not None:
            tensors |= {f"{name}/average/{k}": v for k, v in part.average.state.items()}
            updates[name] = part.average.updates
        for index, state in part.optimizer.state_dict()["state"].items():
            tensors |= {f"{name}/moments/{index}.{k}": v for k, v in state.items()}
    for number, file in enumerate(_files(tensors)):
        save_file(file, str(temporary / f"tensors-{number:02}.safetensors"))
    state = {"step": progress.step, "seconds": progress.seconds, "updates": updates}
    (temporary / "state.json").write_text(json.dumps(state))
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _files(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Tensors on the CPU, dealt out to files of at most `_FILE_BYTES`."""
    files: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if files[-1] and size + tensor.nbytes > _FILE_BYTES:
            files.append({})
            size = 0
        files[-1][name] = tensor.detach().cpu().contiguous().clone()
        size += tensor.nbytes
    return files


def load_checkpoint(folder: Path, parts: Mapping[str, Trained]) -> Progress:
    """Restore what `save_checkpoint` wrote into parts of the same shapes.

    A part that the checkpoint does not have keeps its fresh state (a critic may join later).

    Returns:
        How far the run has come; nothing if there is no checkpoint.

    Raises:
        ModelError: the checkpoint belongs to another network.
    """
    if not (folder / "state.json").is_file():
        return Progress()
    state = json.loads((folder / "state.json").read_text())
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("tensors-*.safetensors")):
        tensors |= load_file(str(path))
    for name, part in parts.items():
        weights = _under(tensors, f"{name}/weights/")
        if not weights:
            continue
        try:
            part.module.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError(f"{folder} holds another network: {error}") from error
        if part.average is not None:
            for key, value in _under(tensors, f"{name}/average/").items():
                part.average.state[key].copy_(value)
            part.average.updates = int(state["updates"][name])
        _load_moments(_under(tensors, f"{name}/moments/"), part.optimizer)
    return Progress(int(state["step"]), float(state["seconds"]))


def continue_from(source: Path, run: Path) -> None:
    """Give a run that has no checkpoint yet a copy of another run's.

    Raises:
        UsageError: `source` has none either.
    """
    if (run / "checkpoint" / "state.json").is_file():
        return
    if not (source / "checkpoint" / "state.json").is_file():
        raise UsageError(f"no checkpoint in {source}")
    shutil.copytree(source / "checkpoint", run / "checkpoint")


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _load_moments(tensors: Mapping[str, Tensor], optimizer: Optimizer) -> None:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = tensor
    whole: dict[str, Any] = optimizer.state_dict()
    whole["state"] = moments
    optimizer.load_state_dict(whole)


def compiled(function: Callable[..., Tensor], device: torch.device) -> Callable[..., Tensor]:
    """`torch.compile` on CUDA; the function itself on a CPU or where compiling fails."""
    if device.type != "cuda":
        return function
    fast = torch.compile(function, dynamic=False)

    def run(*args: Tensor) -> Tensor:
        nonlocal fast
        try:
            return fast(*args)
        except Exception as error:  # a compiler that is missing or fails has many ways to say so
            if fast is function:
                raise
            print(f"not compiled: {error}", file=sys.stderr)
            fast = function
            return fast(*args)

    return run
