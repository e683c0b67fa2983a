"""Where the steps of a sweep run: in this process, in processes of this machine, or on a cluster.

submit(step) -> a handle; wait(handles) -> those that are done
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Protocol

from gistcast.codec.errors import GistcastError, UsageError
from gistcast.eval.work import Done, Step, perform

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Runs steps.

    Attributes:
        workers: how many steps run at a time.
    """

    workers: int

    def submit(self, step: Step) -> Any:
        """Start a step; a handle."""

    def wait(self, handles: Collection[Any]) -> list[tuple[Any, Done]]:
        """Wait until at least one of the steps is done; those that are."""

    def close(self) -> None:
        """Stop; steps that run are abandoned."""


def make_engine(name: str, jobs: int | None) -> Engine:
    """An engine by name.

    Args:
        name: local, or ray (the cluster of the RAY_ADDRESS variable, or one of this machine).
        jobs: steps at a time; None takes a processor each.

    Raises:
        UsageError: an unknown name, or no job at all.
        GistcastError: Ray is not installed.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"at least one job, not {jobs}")
    if name == "ray":
        from gistcast.eval.ray_engine import RayEngine

        return RayEngine(jobs)
    if name != "local":
        raise UsageError(f"no engine {name!r}; there are {', '.join(ENGINES)}")
    jobs = jobs or os.cpu_count() or 1
    return Here() if jobs == 1 else Processes(jobs)


class Here:
    """This process, one step at a time."""

    workers = 1

    def __init__(self) -> None:
        self._done: dict[int, Done] = {}
        self._count = 0

    def submit(self, step: Step) -> int:
        """Do it."""
        self._count += 1
        self._done[self._count] = perform(step)
        return self._count

    def wait(self, handles: Collection[Any]) -> list[tuple[Any, Done]]:
        """Everything is done already."""
        return [(handle, self._done.pop(handle)) for handle in list(handles)]

    def close(self) -> None:
        """Nothing to stop."""


class Processes:
    """Processes of this machine, with one thread each."""

    def __init__(self, jobs: int) -> None:
        self.workers = jobs
        # spawned: a forked copy of torch's threads would hang
        self._pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_start_worker)

    def submit(self, step: Step) -> Future[Done]:
        """Queue it."""
        return self._pool.submit(perform, step)

    def wait(self, handles: Collection[Any]) -> list[tuple[Any, Done]]:
        """Those that are done.

        Raises:
            GistcastError: a process died.
        """
        done, _ = wait(handles, return_when=FIRST_COMPLETED)
        try:
            return [(handle, handle.result()) for handle in done]
        except BrokenProcessPool as error:
            raise GistcastError(
                "a worker process died (out of memory, or a codec's library crashed); what was "
                "measured is kept: run again, with --jobs 1 to see which clip it is"
            ) from error

    def close(self) -> None:
        """Drop what waits and end the processes."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def single_thread() -> None:
    """One thread for torch: the workers share the processors."""
    import torch

    torch.set_num_threads(1)


def _start_worker() -> None:
    """A worker ends with its parent, however that ends."""
    single_thread()
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
