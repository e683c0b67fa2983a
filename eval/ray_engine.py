"""Steps on a Ray cluster (`pip install "gistcast[ray]"`).

Every node must see the inputs under the same paths and have the same gistcast installed. The
cache stays on the machine that asks: nodes return payloads and figures.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from typing import Any

from gistcast.codec.errors import GistcastError
from gistcast.eval.engines import single_thread
from gistcast.eval.work import Done, Step, perform


class RayEngine:
    """A cluster: the one of RAY_ADDRESS, else one made of this machine's processors.

    Args:
        jobs: steps at a time; None takes a processor of the cluster each.

    Raises:
        GistcastError: Ray is not installed, or no cluster answers.
    """

    def __init__(self, jobs: int | None) -> None:
        try:
            import ray
        except ImportError as error:
            raise GistcastError('--engine ray needs Ray: pip install "gistcast[ray]"') from error
        self._ray: Any = ray
        self._started = not ray.is_initialized()
        if self._started:
            try:
                ray.init(
                    address=os.environ.get("RAY_ADDRESS"),
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise GistcastError(f"no Ray cluster: {error}") from error
        self.workers = jobs or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._perform = ray.remote(num_cpus=1, max_retries=2)(_perform)

    def submit(self, step: Step) -> Any:
        """Queue it on the cluster."""
        return self._perform.remote(step)

    def wait(self, handles: Collection[Any]) -> list[tuple[Any, Done]]:
        """Those that are done.

        Raises:
            GistcastError: a node failed more than twice.
        """
        done, _ = self._ray.wait(list(handles), num_returns=1)
        try:
            return [(handle, self._ray.get(handle)) for handle in done]
        except self._ray.exceptions.RayError as error:
            raise GistcastError(f"the cluster lost a step: {error}") from error

    def close(self) -> None:
        """Leave the cluster; one that was made for this run ends."""
        if self._started:
            self._ray.shutdown()


def _perform(step: Step) -> Done:
    single_thread()
    return perform(step)
