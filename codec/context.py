"""What is already known around a coefficient, as small integers.

Every feature is an integer in 0..64, made only of symbols that the decoder has at that point.
A group is coded in two phases, a checkerboard in (t, y, x): the second phase also sees the six
neighbours of the first.

    decoded magnitudes --sums over neighbours--> LOG table --> features (n, FEATURES) uint8
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.layout import Group, Layout
from gistcast.codec.transform import BandKey

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

FEATURES = 23
_STATIC = 20

#: round(8 * log2(1 + m)), at most 64, in integers: a magnitude or a sum of them as a feature
LOG = np.array([min(64, ((1 + m) ** 16).bit_length() // 2) for m in range(512)], np.uint8)


def _log(total: NDArray[np.int16]) -> U8:
    return np.asarray(LOG[np.minimum(total, 511)])


def _cross(a: NDArray[np.int16]) -> NDArray[np.int16]:
    """Sum of the four nearest neighbours over the last two axes, zero outside."""
    out = np.zeros_like(a)
    out[..., 1:, :] += a[..., :-1, :]
    out[..., :-1, :] += a[..., 1:, :]
    out[..., :, 1:] += a[..., :, :-1]
    out[..., :, :-1] += a[..., :, 1:]
    return out


def _diagonal(a: NDArray[np.int16]) -> NDArray[np.int16]:
    """Sum of the four diagonal neighbours over the last two axes, zero outside."""
    out = np.zeros_like(a)
    out[..., 1:, 1:] += a[..., :-1, :-1]
    out[..., 1:, :-1] += a[..., :-1, 1:]
    out[..., :-1, 1:] += a[..., 1:, :-1]
    out[..., :-1, :-1] += a[..., 1:, 1:]
    return out


@lru_cache(maxsize=512)
def phase_masks(start: int, shape: tuple[int, int, int]) -> tuple[NDArray[np.bool_], ...]:
    """The two checkerboard phases of a group whose first plane is `start`."""
    t, y, x = np.ogrid[start : start + shape[0], : shape[1], : shape[2]]
    odd = (t + y + x) % 2 == 1
    return ~odd, odd


class Symbols:
    """The quantised coefficients of a clip while they are coded: signed and as magnitudes.

    Attributes:
        signed: per plane and band int32 (T, band height, band width).
        magnitude: the same, min(|q|, 31), int16.
        present: per (plane, band, temporal group), whether the group holds any non-zero.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.signed: list[dict[BandKey, I32]] = []
        self.magnitude: list[dict[BandKey, NDArray[np.int16]]] = []
        for shapes in layout.shapes:
            self.signed.append(
                {b: np.zeros((layout.frames, *s), np.int32) for b, s in shapes.items()}
            )
            self.magnitude.append(
                {b: np.zeros((layout.frames, *s), np.int16) for b, s in shapes.items()}
            )
        self.present: dict[tuple[int, BandKey, int], bool] = {}

    def store(self, group: Group, values: I32) -> None:
        """Set a whole group (planes, h, w)."""
        window = slice(group.start, group.stop)
        self.signed[group.plane][group.band][window] = values
        self.magnitude[group.plane][group.band][window] = np.minimum(np.abs(values), 31)

    def presence(self, group: Group) -> int:
        """Context 0..7 of the group's presence flag: which relatives are present."""
        get = self.present.get
        parent = group.parent is not None and get(
            (group.plane, group.parent, group.temporal), False
        )
        slower = get((group.plane, group.band, group.temporal - 1), False)
        if group.luma is not None:
            cousin = get((0, group.luma, group.temporal), False)
        else:
            cousin = any(get((group.plane, s, group.temporal), False) for s in group.siblings)
        return int(parent) + 2 * int(slower) + 4 * int(cousin)


def _upsampled(parent: NDArray[np.int16], height: int, width: int) -> NDArray[np.int16]:
    """Parent values at their children's positions (equal size: unchanged)."""
    ph, pw = parent.shape[-2:]
    if (ph, pw) == (height, width):
        return parent
    rows = np.minimum(np.arange(height) // 2, ph - 1)
    columns = np.minimum(np.arange(width) // 2, pw - 1)
    return np.asarray(parent[..., rows[:, None], columns])


def _activity(block: NDArray[np.int16]) -> int:
    """Mean magnitude of a coded block as one feature."""
    return int(LOG[min(511, int(block.sum()) * 64 // max(1, block.size))])


def static_features(symbols: Symbols, group: Group, quantiser: int) -> U8:
    """Features known before the group is begun: uint8 (20, planes, h, w).

    Args:
        quantiser: the quantiser index 0..255.
    """
    bands = symbols.magnitude[group.plane]
    band = bands[group.band]
    height, width = band.shape[1:]
    window = slice(group.start, group.stop)
    out = np.zeros((_STATIC, group.stop - group.start, height, width), np.uint8)

    if group.temporal > 0:
        slower = band[np.arange(group.start, group.stop) // 2]
        out[0], out[1], out[2] = _log(slower), _log(_cross(slower)), _log(_diagonal(slower))
        total = band[: group.start].sum(0, dtype=np.int16)
        out[3], out[4] = _log(total), _log(total + _cross(total) + _diagonal(total))
        out[16] = _activity(band[group.start // 2 : group.start])
    if group.parent is not None:
        whole = bands[group.parent]
        parent = whole[window]
        out[5] = _log(_upsampled(parent, height, width))
        out[6] = _log(_upsampled(_cross(parent), height, width))
        energy = whole[: group.stop * 2].sum(0, dtype=np.int16)
        out[7] = _log(_upsampled(energy, height, width))
        out[17] = _activity(parent)
    for slot, sibling in enumerate(group.siblings[-2:]):
        other = bands[sibling][window]
        if other.shape[1:] != (height, width):
            other = _fitted(other, height, width)
        out[8 + 2 * slot], out[9 + 2 * slot] = _log(other), _log(_cross(other))
    if group.luma is not None:
        luma = symbols.magnitude[0][group.luma][window]
        out[12], out[13] = _log(luma), _log(_cross(luma))
        out[18] = _activity(luma)
    elif group.siblings:
        out[18] = _activity(bands[group.siblings[-1]][window])
    if group.plane == 2:
        cb = symbols.magnitude[1][group.band][window]
        out[14], out[15] = _log(cb), _log(_cross(cb))
    out[19] = quantiser // 4
    return out


def _fitted(a: NDArray[np.int16], height: int, width: int) -> NDArray[np.int16]:
    """Crop or zero-pad the last two axes (bands of odd-sized frames differ by one)."""
    out = np.zeros((*a.shape[:-2], height, width), a.dtype)
    h, w = min(height, a.shape[-2]), min(width, a.shape[-1])
    out[..., :h, :w] = a[..., :h, :w]
    return out


def phase_features(static: U8, mask: NDArray[np.bool_], coded: NDArray[np.int16] | None) -> U8:
    """All features of one phase: uint8 (n, FEATURES).

    Args:
        static: of `static_features`.
        mask: positions of this phase (planes, h, w).
        coded: magnitudes of the group with the first phase filled in and zeros elsewhere, for
            the second phase; None for the first.
    """
    out = np.zeros((int(mask.sum()), FEATURES), np.uint8)
    out[:, :_STATIC] = static[:, mask].T
    if coded is not None:
        around = np.zeros((3, *coded.shape), np.int16)
        around[0, :, :, 1:] += coded[:, :, :-1]
        around[0, :, :, :-1] += coded[:, :, 1:]
        around[1, :, 1:] += coded[:, :-1]
        around[1, :, :-1] += coded[:, 1:]
        around[2, 1:] += coded[:-1]
        around[2, :-1] += coded[1:]
        out[:, _STATIC:] = _log(around[:, mask]).T
    return out
