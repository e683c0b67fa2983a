"""A clip as the metrics look at it."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb

#: what one metric says of one clip: a figure, a vector, or None where it cannot be measured
Value = float | list[float] | None


class View:
    """A clip and its RGB form, converted when first asked for."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """uint8 (T, H, W, 3), by `gistcast.codec.colour.clip_to_rgb`, never a codec's own."""
        return clip_to_rgb(self.clip)


class Instrument(Protocol):
    """Measures decoded clips against the one reference that it was made with."""

    def measure(self, decoded: View, wanted: frozenset[str]) -> dict[str, Value]:
        """At least the `wanted` metrics of `decoded`, which has the reference's geometry."""
        ...


def changed(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the frames (T, ...) differ from the one before: a held picture is looked at once."""
    flat = frames.reshape(len(frames), -1)
    new: NDArray[np.bool_] = np.concatenate([[True], (flat[1:] != flat[:-1]).any(1)])
    return new
