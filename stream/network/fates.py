"""What happens to packet n, decided by seed, direction and n alone.

Philox (J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011) is keyed with
seed and direction and counted by the packet's number: block n holds the four draws of packet n.
What a packet's size is, or when it comes, changes no draw, so that two codecs meet the same
network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gistcast.stream.network.spec import Conditions

_BLOCK = 1024  # packets drawn at a time
_WORDS = 4  # of a Philox block


@dataclass(frozen=True)
class Fate:
    """What is decided about a packet.

    Attributes:
        lost: it does not arrive.
        jitter: -1 to 1, in units of the jitter.
        skips: it skips the delay.
        twice: it arrives twice.
    """

    lost: bool
    jitter: float
    skips: bool
    twice: bool


CLEAN = Fate(lost=False, jitter=0.0, skips=False, twice=False)


class Fates:
    """The packets' fates, in order.

    Losses are independent, or follow Gilbert's model: a chain of a good state that loses nothing
    and a bad one that loses everything (E. N. Gilbert, 1960; Elliott's with h = 0, k = 1). The
    bad state is left with probability 1 / burst a packet and entered so that a share of `loss`
    of the packets falls into it; the chain starts in its stationary distribution.
    """

    def __init__(self, conditions: Conditions, seed: int, direction: int) -> None:
        self._conditions = conditions
        self._philox = np.random.Philox(key=np.array([seed, direction], np.uint64))
        self._draws: list[list[float]] = []
        self._next = 0
        loss, burst = conditions.loss, conditions.burst
        chained = bool(burst) and 0 < loss < 1
        self._bad: float = 1 - 1 / burst if chained else loss  # to be lost after a loss
        self._good: float = loss / (burst * (1 - loss)) if chained else loss  # after none
        self._lost: bool | None = None

    def next(self) -> Fate:
        """The fate of the next packet."""
        if self._next == len(self._draws):
            raw = self._philox.random_raw(_BLOCK * _WORDS).reshape(_BLOCK, _WORDS)
            self._draws = ((raw >> np.uint64(11)) * 2.0**-53).tolist()
            self._next = 0
        loss, jitter, skip, twice = self._draws[self._next]
        self._next += 1
        if self._lost is None:
            chance = self._conditions.loss
        else:
            chance = self._bad if self._lost else self._good
        self._lost = loss < chance
        return Fate(
            self._lost,
            2 * jitter - 1,
            skip < self._conditions.reorder,
            twice < self._conditions.duplicate,
        )
