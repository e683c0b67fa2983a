"""Traces in mahimahi's format: when a link let packets through.

A text file with a whole number of milliseconds on every line, in ascending order. Each line is
one opportunity to deliver 1,504 bytes at that time; a number that stands n times is n of them.
After the last line the trace begins again, the last number being its period.

R. Netravali et al., "Mahimahi: Accurate Record-and-Replay for HTTP", USENIX ATC 2015;
`mm-link(1)`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from gistcast.codec.errors import UsageError

FULL_PACKET = 1504  #: bytes of a delivery opportunity
_MAX_BYTES = 16 << 20
_MAX_MS = 1 << 40


@dataclass(frozen=True)
class Trace:
    """Delivery opportunities.

    Attributes:
        times: milliseconds, ascending; the last is the period and positive.
    """

    times: tuple[int, ...]

    def __post_init__(self) -> None:
        times = self.times
        if not times or not 0 < times[-1] <= _MAX_MS or times[0] < 0:
            raise UsageError("network: a trace needs at least one time after 0 ms")
        if any(later < earlier for earlier, later in pairwise(times)):
            raise UsageError("network: the times of a trace must not decrease")

    def time(self, index: int) -> int:
        """When opportunity `index` comes, in ms; indices go on for ever."""
        turn, place = divmod(index, len(self.times))
        return turn * self.times[-1] + self.times[place]

    def after(self, ms: float) -> int:
        """Index of the first opportunity later than `ms` (not negative)."""
        turn = int(ms // self.times[-1])
        left = ms - turn * self.times[-1]
        return turn * len(self.times) + bisect_right(self.times, left)


def read_trace(path: Path) -> Trace:
    """Read a trace.

    Raises:
        UsageError: the file cannot be read, is too large, or holds anything but such lines.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"network: trace={path} cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise UsageError(f"network: trace={path} has more than {_MAX_BYTES >> 20} MiB")
    lines = data.split()
    for number, line in enumerate(lines, 1):
        if not line.isdigit() or len(line) > 12:
            shown = line[:20].decode(errors="replace")
            raise UsageError(
                f"network: trace={path}, line {number}: {shown!r} is no time in whole ms"
            )
    return Trace(tuple(map(int, lines)))
