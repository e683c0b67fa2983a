"""Random numbers that are the same on every machine and with every version of NumPy.

Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is keyed by
(seed, index); each purpose has a counter range of its own, so that one more draw for the people
leaves the texture as it was. Only raw 64-bit words are taken: NumPy promises those, but not the
streams of `Generator`'s methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import UsageError

Item = TypeVar("Item")


class Domain(IntEnum):
    """What a stream of draws is for; append only."""

    LABELS = 0
    SPLIT = 1
    CAMERA = 2
    PEOPLE = 3
    CAPTION = 4
    PLACE = 5
    TEXTURE = 6
    WEATHER = 7
    PARTICLES = 8
    BACKDROP = 9
    LATENT = 10
    NOISE = 11


class Draws:
    """A stream of draws.

    Args:
        seed, index: 0 .. 2^64 - 1 each.
        domain: the purpose.

    Raises:
        UsageError: a seed or an index out of range.
    """

    def __init__(self, seed: int, index: int, domain: Domain) -> None:
        for name, value in (("seed", seed), ("index", index)):
            if not 0 <= value < 1 << 64:
                raise UsageError(f"{name} must be 0 to 2^64 - 1, not {value}")
        self._bits = np.random.Philox(
            key=np.array([seed, index], np.uint64),
            counter=np.array([0, 0, 0, domain], np.uint64),
        )

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next raw 64-bit words, (count,)."""
        return np.asarray(self._bits.random_raw(count), np.uint64)

    def uniforms(self, *shape: int) -> NDArray[np.float64]:
        """Uniform in [0, 1), 53 bits each."""
        count = 1
        for side in shape:
            count *= side
        return ((self.words(count) >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number, uniform in [low, high)."""
        return low + (high - low) * float(self.uniforms(1)[0])

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items, each as likely."""
        return items[int(self.uniform() * len(items))]

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability
