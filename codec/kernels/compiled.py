"""How kernels are compiled.

Without the interpreter's lock; without fast-math: everything between bytes and symbols is integer
arithmetic. Indices are not checked: kernels take them from the layout or clamp them, never from
bytes. What Python calls is kept on disk beside the source; where that cannot be written, in the
user's cache directory; or wherever NUMBA_CACHE_DIR says. Where nothing can be written, it is
compiled in every process anew.

numba compiles a function once for every literal integer that it is called with: constants that
kernels hand to their parts are numpy's integers, whose type says nothing of their value.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit
from numba.core.caching import FunctionCache

try:
    import fcntl
except ImportError:  # Windows: numba guards against the others there
    fcntl = None

Function = TypeVar("Function", bound=Callable[..., object])

_LOG = logging.getLogger(__name__)
_HERE = Path(__file__).parent
_CONSTANTS = ("context", "golomb", "quantiser", "rangecoder", "tables")  # modules of `codec`
_LOCK = "gistcast.lock"  # beside what it guards


@lru_cache(maxsize=1)
def _digest() -> str:
    """Of all sources that kernels are made of: numba looks at that of the outermost alone, and
    would keep using what older parts were compiled into."""
    sources = sorted(_HERE.glob("*.py")) + [_HERE.parent / f"{name}.py" for name in _CONSTANTS]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:12]


class _DiskCache(FunctionCache):
    """numba's cache of one function, for several processes at once and for disks that fail.

    numba numbers the files of a function's signatures: two processes that compile two signatures
    at the same time would give both the same number, and one of them would later run machine code
    that was made for other arguments. So one saves after the other. Whatever goes wrong with the
    files, the function is compiled instead.
    """

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError), _alone(Path(self.cache_path)):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = None
        try:
            found = super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception:  # cut short, or damaged: whatever unpickling makes of it
            with contextlib.suppress(OSError), _alone(Path(self.cache_path)):
                self.flush()  # type: ignore[no-untyped-call]
        if found is None:
            _LOG.info("compiling kernels, once: up to half a minute")
        return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder."""
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def kernel(function: Function) -> Function:
    """Compile a function that Python calls, at its first call or from disk."""
    function.__qualname__ += f"_{_digest()}"  # by this numba finds it on disk
    compiled = njit(nogil=True, error_model="numpy")(function)
    if hasattr(compiled, "_cache"):  # not so where NUMBA_DISABLE_JIT leaves it as it is
        with contextlib.suppress(RuntimeError):  # no folder can be written
            compiled._cache = _DiskCache(function)  # type: ignore[no-untyped-call]
    return cast(Function, compiled)


def part(function: Function) -> Function:
    """Compile a function that only kernels call."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # nobody else needs those
    return cast(Function, njit(nogil=True, error_model="numpy", **options)(function))
