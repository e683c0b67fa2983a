"""How kernels are compiled.

Without the interpreter's lock; without fast-math: everything between bytes and symbols is integer
arithmetic. Indices are not checked: kernels take them from the layout or clamp them, never from
bytes. What Python calls is kept on disk beside the source; where that cannot be written, in the
user's cache directory; or wherever NUMBA_CACHE_DIR says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])

_HERE = Path(__file__).parent
_CONSTANTS = ("context", "golomb", "quantiser", "rangecoder", "tables")  # modules of `codec`


@lru_cache(maxsize=1)
def _digest() -> str:
    """Of all sources that kernels are made of: numba looks at that of the outermost alone, and
    would keep using what older parts were compiled into."""
    sources = sorted(_HERE.glob("*.py")) + [_HERE.parent / f"{name}.py" for name in _CONSTANTS]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def kernel(function: Function) -> Function:
    """Compile a function that Python calls, at its first call or from disk."""
    function.__qualname__ += f"_{_digest()}"  # by this numba finds it on disk
    return cast(Function, njit(cache=True, nogil=True, error_model="numpy")(function))


def part(function: Function) -> Function:
    """Compile a function that only kernels call."""
    return cast(Function, njit(nogil=True, error_model="numpy", no_cpython_wrapper=True)(function))
