"""What happened lately, for plots: one record a clip, and a state now and then."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

_KEPT = 240  # clips

Record = Mapping[str, Any]


class History:
    """Keeps records of clips and lets anyone follow them. What is slow to read misses some."""

    def __init__(self) -> None:
        self.watching = 0  #: who follow
        self._records: deque[Record] = deque(maxlen=_KEPT)
        self._count = 0
        self._changed = asyncio.Event()

    def add(self, record: Record) -> None:
        """The newest clip."""
        self._records.append(record)
        self._count += 1
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self, every: float) -> AsyncGenerator[list[Record], None]:
        """All that is known, then what is new: at least every so many seconds, be it nothing."""
        seen = max(0, self._count - len(self._records))
        self.watching += 1
        try:
            while True:
                new = min(self._count - seen, len(self._records))
                seen = self._count
                yield list(self._records)[len(self._records) - new :]
                if seen < self._count:
                    continue
                changed = self._changed
                try:
                    async with asyncio.timeout(every):
                        await changed.wait()
                except TimeoutError:
                    pass
        finally:
            self.watching -= 1
