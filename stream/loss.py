"""Emulated loss, for experiments: decided by a seed, the same on every run.

This is no network. Messages are discarded at the sender just before they would be sent, so that
what a given loss does to the picture can be seen and compared.
"""

from __future__ import annotations

import random

from gistcast.codec.errors import UsageError


class Dropper:
    """Decides message by message; each is lost with probability `rate`, independently."""

    def __init__(self, rate: float, seed: int = 0) -> None:
        if not 0 <= rate <= 1:
            raise UsageError(f"a loss rate lies between 0 and 1, not {rate}")
        self._rate = rate
        self._random = random.Random(seed)
        self.dropped = 0  #: messages discarded so far

    def loses(self) -> bool:
        """Whether the next message is discarded."""
        lost = self._random.random() < self._rate
        self.dropped += lost
        return lost
