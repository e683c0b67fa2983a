"""What kernels need that run as plain Python, with NUMBA_DISABLE_JIT=1."""

from __future__ import annotations

import numba
import numpy as np

from gistcast.codec import plan


def read_fields_by_name() -> None:
    """Let plain kernels read the fields of a group as attributes, as compiled ones do.

    Nothing changes where kernels are compiled.
    """
    if numba.config.DISABLE_JIT:
        plan.GROUP = np.dtype((np.record, plan.GROUP))
