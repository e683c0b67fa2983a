"""Which operating point of a curve comes next.

Climb    every point from the coarsest on, until a payload exceeds the ceiling
Fit      for each byte budget the finest point whose payload fits, by bisection: what rate
         control would do at its best, with nothing interpolated
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gistcast.codec.errors import UsageError


class Walk(Protocol):
    """A way along the points."""

    def point(self) -> float | None:
        """The point to do now; None at the end."""

    def landed(self, size: int) -> None:
        """That point's payload has `size` bytes."""


class Climb:
    """Every point.

    Args:
        points: coarsest first.
        ceiling: bytes beyond which nothing is done.
    """

    def __init__(self, points: Sequence[float], ceiling: float) -> None:
        self._points, self._ceiling, self._at = points, ceiling, 0

    def point(self) -> float | None:
        """The next one."""
        return self._points[self._at] if self._at < len(self._points) else None

    def landed(self, size: int) -> None:
        """Go on, or end beyond the ceiling."""
        self._at = len(self._points) if size > self._ceiling else self._at + 1


class Fit:
    """The finest point within each budget, on the whole numbers between the first point and the
    last. Sizes are taken to grow towards finer points; where they do not, the point that is found
    still fits.

    Args:
        points: coarsest first.
        budgets: bytes.

    Raises:
        UsageError: a budget below one byte.
    """

    def __init__(self, points: Sequence[float], budgets: Sequence[float]) -> None:
        if any(budget < 1 for budget in budgets):
            raise UsageError(f"budgets are bytes, not {min(budgets):g}")
        first, last = round(points[0]), round(points[-1])
        step = 1 if last >= first else -1
        self.grid = [float(p) for p in range(first, last + step, step)]
        self._sizes: dict[int, int] = {}
        self._budgets = sorted(budgets)
        self._at: int | None = None
        self._choose()

    def point(self) -> float | None:
        """The next one that decides something."""
        return None if self._at is None else self.grid[self._at]

    def landed(self, size: int) -> None:
        """Halve the interval, or turn to the next budget."""
        if self._at is not None:
            self._sizes[self._at] = size
        self._choose()

    def _choose(self) -> None:
        self._at = None
        while self._budgets and self._at is None:
            self._at = self._middle(self._budgets[0])
            if self._at is None:
                self._budgets.pop(0)

    def _middle(self, budget: float) -> int | None:
        """A point between the finest known to fit and the coarsest known not to."""
        fits = [at for at, size in self._sizes.items() if size <= budget]
        low = max(fits, default=-1)
        too_fine = [at for at, size in self._sizes.items() if size > budget and at > low]
        high = min(too_fine, default=len(self.grid))
        if low == -1 and high == len(self.grid):
            return len(self.grid) // 2
        return (low + high) // 2 if high - low > 1 else None


def within(sizes: Sequence[int], budgets: Sequence[float]) -> dict[float, int]:
    """Budget -> the largest of `sizes` within it; without the budgets that none fits."""
    found = {b: max((size for size in sizes if size <= b), default=0) for b in budgets}
    return {budget: size for budget, size in found.items() if size}
