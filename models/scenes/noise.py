"""Periodic noise pictures at falling sharpness, and a plane of them seen in perspective.

white noise --sums of octaves--> texture --blur, blur, ...--> levels
plane in perspective: row of the screen -> rows of two levels, lerp -> columns, lerp
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

from gistcast.models.scenes.draws import Draws
from gistcast.models.scenes.exact import Image, log2

SIDE = 128  #: texels in a period
LEVELS = 7

Index = NDArray[np.int64]


def _blur(image: Image, step: int) -> Image:
    """A [1 2 1] / 4 blur with taps `step` texels apart, both ways, periodic."""
    for axis in (0, 1):
        near = _rolled(image, -step, axis) + _rolled(image, step, axis)
        image = image * np.float32(0.5) + near * np.float32(0.25)
    return image


def _rolled(image: Image, step: int, axis: int) -> Image:
    """`np.roll` by -step along one axis, several times as fast for pictures of this size."""
    if axis == 0:
        return np.concatenate((image[step:], image[:step]), 0)
    return np.concatenate((image[:, step:], image[:, :step]), 1)


def _grow(image: Image, side: int) -> Image:
    """A periodic picture doubled in size until it is `side` wide."""
    while len(image) < side:
        for axis in (0, 1):
            between = (image + _rolled(image, 1, axis)) * np.float32(0.5)
            shape = list(image.shape)
            shape[axis] *= 2
            image = np.stack([image, between], axis + 1).reshape(shape)
    return image


def fractal(draws: Draws, *, octaves: tuple[float, ...] = (1, 1, 1, 1, 1)) -> Image:
    """Fractal noise (SIDE, SIDE) in [0, 1].

    Args:
        octaves: weights from the finest (one value a texel) to the coarsest.
    """
    total = np.zeros((SIDE, SIDE), np.float32)
    for number, weight in enumerate(octaves):
        side = SIDE >> number
        if weight:
            values = draws.uniforms(side, side).astype(np.float32) - np.float32(0.5)
            total = total + np.float32(weight) * _grow(values, SIDE)
    total = total - total.min()
    out: Image = total / max(float(total.max()), 1e-6)
    return out


class Texture:
    """A periodic picture, ready to be looked up in perspective.

    Args:
        image: (SIDE, SIDE) in [0, 1].
        period: its side on the ground, view units.
    """

    def __init__(self, image: Image, period: float) -> None:
        self.period = period
        levels = [image]
        for number in range(LEVELS - 1):
            levels.append(_blur(levels[-1], 1 << number))
        stack = np.stack(levels)
        # one column more, so that the neighbour on the right is always there
        padded = np.concatenate([stack, stack[:, :, :1]], 2)
        self._rows = padded.reshape(LEVELS * SIDE, SIDE + 1)

    def tiled(self, period: float) -> Texture:
        """The same picture at another size."""
        other = copy(self)
        other.period = period
        return other

    def plane(self, x: Image, z: Image, spread: Image) -> Image:
        """Values where the rows of a screen meet the plane.

        Args:
            x: (T, H, W) ground coordinate of each pixel.
            z: (T, H) ground coordinate of each row.
            spread: (T, H) size of a pixel on the ground.

        Returns:
            float32 (T, H, W).
        """
        texel = np.float32(SIDE / self.period)
        level = np.clip(log2(np.maximum(spread * texel, np.float32(1e-6))), 0, LEVELS - 1.001)
        sharp = np.floor(level)
        blend = (level - sharp)[..., None]
        z = z * texel
        row = np.floor(z)
        part = (z - row)[..., None]
        top = np.mod(row, SIDE).astype(np.int64)
        bottom = np.mod(row + 1, SIDE).astype(np.int64)
        first = sharp.astype(np.int64) * SIDE
        lines = self._lines(first, top, bottom, part)
        lines = lines + blend * (self._lines(first + SIDE, top, bottom, part) - lines)
        x = x * texel
        column = np.floor(x)
        part = x - column
        index = np.mod(column, SIDE).astype(np.int64)
        frames, height, _ = x.shape
        index += np.arange(frames * height).reshape(frames, height, 1) * (SIDE + 1)
        flat = lines.reshape(-1)
        left = flat[index]
        index += 1
        out: Image = left + part * (flat[index] - left)
        return out

    def _lines(self, first: Index, top: Index, bottom: Index, part: Image) -> Image:
        upper = self._rows[first + top]
        return np.asarray(upper + part * (self._rows[first + bottom] - upper))
