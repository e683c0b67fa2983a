"""Data-parallel training under `torchrun`: every process steps on its own clips, gradients meet.

Without torchrun there is one process and nothing here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import distributed, nn


class Group:
    """The processes of a run.

    Attributes:
        rank, size: this process, and how many there are.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.size > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")

    @property
    def first(self) -> bool:
        """Whether this process writes logs and checkpoints."""
        return self.rank == 0

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their mean over all processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()

    def agree(self, stop: bool) -> bool:
        """Whether any process wants to stop: clocks differ, steps must not."""
        if self.size == 1:
            return stop
        votes: list[bool] = [False] * self.size
        distributed.all_gather_object(votes, stop)
        return any(votes)


def own_device(name: str) -> str:
    """`cuda` under torchrun is this process's own card."""
    if name.startswith("cuda") and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return name
