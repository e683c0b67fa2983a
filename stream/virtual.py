"""Streams in virtual time: an hour takes minutes, and a busy machine disturbs nothing.

The whole stack runs as it is, sockets on the loopback, ICE, DTLS and all. Only the clock is
another one: where the event loop would sleep, it moves its clock on to the next timer instead. So
timers are never late, whatever else the machine does, and waiting costs nothing.

Work in threads takes no virtual time, unless it is to be charged: aiortc's decoders are waited
for, `run_in_executor` is done on the spot.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import queue
import selectors
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

from aiortc import clock, rtcrtpreceiver

_T = TypeVar("_T")
_EPOCH = 1.7e9  # seconds since 1970 at which virtual time begins
_POLL = 0.001  # real seconds between looks at threads that work


class _WatchedQueue(queue.Queue[Any]):
    """A queue to a thread that takes one thing after another; knows whether that is at work."""

    def __init__(self) -> None:
        super().__init__()
        self._given = self._asked = 0  # each counted by one thread alone
        self._thread: threading.Thread | None = None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """As in `queue`."""
        self._given += 1
        super().put(item, block, timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """As in `queue`; who asks for more is done with what was got before."""
        self._asked += 1
        self._thread = threading.current_thread()
        return super().get(block, timeout)

    @property
    def busy(self) -> bool:
        """Whether anything put in is not done with."""
        working = self._thread is not None and self._thread.is_alive()
        return working and self._given >= self._asked


class _SkippingSelector(selectors.DefaultSelector):
    """Never sleeps: moves a clock on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.busy: Callable[[], bool] = bool

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As in `selectors`."""
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if timeout is None or self.busy():
            return super().select(_POLL)
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only where it would sleep.

    Args:
        charge: what is done in executors takes the processor time that it takes.
    """

    def __init__(self, *, charge: bool = False) -> None:
        self._skipping = _SkippingSelector()
        self._charge = charge
        super().__init__(self._skipping)
        self._queues: list[_WatchedQueue] = []
        self._skipping.busy = lambda: any(q.busy for q in self._queues)

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._skipping.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """As in `asyncio`, on the spot."""
        del executor
        done: asyncio.Future[Any] = self.create_future()
        begun = time.process_time()
        result, error = None, None
        try:
            result = func(*args)
        except Exception as raised:
            error = raised

        def finish() -> None:
            if done.done():  # cancelled
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        self.call_later(time.process_time() - begun if self._charge else 0, finish)
        return done

    def queue(self) -> _WatchedQueue:
        """A queue to a thread that this loop waits for."""
        self._queues.append(_WatchedQueue())
        return self._queues[-1]


@contextlib.contextmanager
def _clocks(loop: VirtualLoop) -> Iterator[None]:
    """Everybody reads the loop's clock."""

    def wall() -> float:
        return _EPOCH + loop.time()

    def today() -> datetime.datetime:
        return datetime.datetime.fromtimestamp(wall(), datetime.UTC)

    with (
        patch.object(time, "time", wall),
        patch.object(time, "monotonic", loop.time),
        patch.object(clock, "current_datetime", today),
        patch.object(rtcrtpreceiver, "queue", SimpleNamespace(Queue=loop.queue)),
    ):
        yield


def run(main: Coroutine[Any, Any, _T], *, charge: bool = False) -> _T:
    """As `asyncio.run`, in virtual time."""
    loop = VirtualLoop(charge=charge)
    with _clocks(loop), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
