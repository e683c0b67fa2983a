"""One direction of an emulated link, in virtual time.

packet (time, bytes) -> drop-tail queue -> rate or trace -> loss -> delay, jitter -> arrivals
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from gistcast.stream.network.bottleneck import make_bottleneck
from gistcast.stream.network.fates import CLEAN, Fates
from gistcast.stream.network.spec import Conditions

_DELAYS = 1 << 16


@dataclass
class PathCounts:
    """What a direction carried; bytes have all headers down to IP.

    Attributes:
        packets, bytes: that entered.
        lost: packets lost behind the bottleneck; dropped: refused by a full queue.
        duplicated, overtaking: packets that arrived twice, or before one that entered earlier.
        delivered, delivered_bytes: arrivals, copies included.
        queue_ms: from entering the queue to having left the bottleneck, the latest 65,536.
    """

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    dropped: int = 0
    duplicated: int = 0
    overtaking: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    queue_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_DELAYS))

    def to_json(self) -> dict[str, Any]:
        """For `--json`; the queue's delay as p50 and p95 (nearest rank)."""
        out = {name: value for name, value in vars(self).items() if name != "queue_ms"}
        ordered = sorted(self.queue_ms)
        ranks = {p: -(-len(ordered) * p // 100) - 1 for p in (50, 95)}
        out["queue_ms"] = {
            f"p{p}": round(ordered[rank], 1) if ordered else None for p, rank in ranks.items()
        }
        return out


class Path:
    """Decides what arrives of each packet, and when.

    Args:
        conditions: what the path is like.
        seed: decides the fates.
        direction: 0 or 1; the two directions of a link share a seed and nothing else.
    """

    def __init__(self, conditions: Conditions, seed: int = 0, direction: int = 0) -> None:
        self.counts = PathCounts()
        self.clean = False  #: packets that enter now have no number and no fate but their delay
        self._conditions = conditions
        self._fates = Fates(conditions, seed, direction)
        self._bottleneck = make_bottleneck(conditions)
        self._latest = 0.0  # arrival, of all so far

    def send(self, now: float, size: int) -> list[float]:
        """Send the next packet.

        Args:
            now: seconds, never less than in the call before.
            size: bytes with all headers.

        Returns:
            When it arrives, in seconds: never, once or twice.
        """
        counts = self.counts
        counts.packets += 1
        counts.bytes += size
        fate = CLEAN if self.clean else self._fates.next()
        left = self._bottleneck.join(now, size) if self._bottleneck else now
        if left is None:
            counts.dropped += 1
            return []
        counts.queue_ms.append(1000 * (left - now))
        if fate.lost:
            counts.lost += 1
            return []
        arrival = self._arrival(left, fate.jitter, skips=fate.skips)
        copies = 1 + fate.twice
        counts.duplicated += fate.twice
        counts.delivered += copies
        counts.delivered_bytes += copies * size
        return [arrival] * copies

    def _arrival(self, left: float, jitter: float, *, skips: bool) -> float:
        conditions = self._conditions
        arrival = left if skips else left + conditions.delay + conditions.jitter * jitter
        if conditions.ordered and not skips:
            arrival = max(arrival, self._latest)
        self.counts.overtaking += arrival < self._latest
        self._latest = max(arrival, self._latest)
        return arrival
