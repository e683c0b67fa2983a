"""In which order the coefficients of a clip are coded, and what may be known of each.

A group is one wavelet band of one plane over one dyadic range of temporal frequencies
({0}, {1}, {2, 3}, {4..7}, ...). Groups are coded along diagonals of (spatial rank + temporal
group), coarse and slow ones first, so that every prefix is a blurred version of the clip:

    rank 0: LL, rank 1: coarsest details, ..., rank L: finest details
    diagonal d: all groups with rank + temporal group = d, by rank, plane, orientation

When a group is coded, its spatial parent (rank - 1, same or next temporal group), its temporal
parent (temporal group - 1), earlier orientations of its rank and the luma group of the same
band size are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gistcast.codec.motion import Motion
from gistcast.codec.transform import HH, HL, LH, LL, BandKey, spatial_levels

MAX_RANK = 7
MAX_TEMPORAL_GROUP = 5


@dataclass(frozen=True)
class Group:
    """One band of one plane over the temporal DCT planes start..stop-1."""

    index: int
    plane: int  #: 0 luma, 1 Cb, 2 Cr
    band: BandKey
    rank: int
    temporal: int
    start: int
    stop: int
    parent: BandKey | None  #: band of the spatial parent in the same plane
    siblings: tuple[BandKey, ...]  #: earlier orientations of the same level
    luma: BandKey | None  #: band of equal size in luma, for chroma groups


@dataclass(frozen=True, eq=False)  # a layout is known by its identity, so that plans can be kept
class Layout:
    """Groups of a clip in coding order, and the band sizes per plane."""

    frames: int
    levels: tuple[int, int, int]
    shapes: tuple[dict[BandKey, tuple[int, int]], ...]
    groups: tuple[Group, ...]


def _band_shapes(height: int, width: int, levels: int) -> dict[BandKey, tuple[int, int]]:
    shapes: dict[BandKey, tuple[int, int]] = {}
    for level in range(1, levels + 1):
        low_h, low_w = (height + 1) // 2, (width + 1) // 2
        shapes[level, HL] = (low_h, width // 2)
        shapes[level, LH] = (height // 2, low_w)
        shapes[level, HH] = (height // 2, width // 2)
        height, width = low_h, low_w
    shapes[levels, LL] = (height, width)
    return shapes


def temporal_range(group: int, frames: int) -> tuple[int, int]:
    """DCT planes (start, stop) of a temporal group; empty when start >= stop."""
    if group == 0:
        return 0, 1
    return min(frames, 1 << (group - 1)), min(frames, 1 << group)


def _relatives(
    plane: int, band: BandKey, levels: tuple[int, int, int]
) -> tuple[BandKey | None, tuple[BandKey, ...], BandKey | None]:
    level, orientation = band
    top = levels[plane]
    if orientation == LL:
        parent = None
    elif level == top:
        parent = (top, LL)
    else:
        parent = (level + 1, orientation)
    siblings = tuple((level, o) for o in (HL, LH, HH) if o < orientation) if orientation else ()
    luma = None
    if plane and levels[0] == top + 1:
        luma = (level + 1, orientation)
    return parent, siblings, luma


@lru_cache(maxsize=64)
def make_layout(frames: int, height: int, width: int, motion: Motion | None = None) -> Layout:
    """The layout of a clip of `frames` frames of `height` x `width` luma samples, or its canvas.

    A canvas has the levels of its frames, hence as many groups.

    Raises:
        CorruptError: the canvas would be too big.
    """
    luma_levels = spatial_levels(height, width)
    if motion is not None:
        top, bottom, left, right = motion.margins(frames, height, width)
        height, width = height + top + bottom, width + left + right
    chroma_levels = max(0, luma_levels - 1)
    levels = (luma_levels, chroma_levels, chroma_levels)
    chroma_shapes = _band_shapes((height + 1) // 2, (width + 1) // 2, chroma_levels)
    shapes = (_band_shapes(height, width, luma_levels), chroma_shapes, chroma_shapes)

    keyed = []
    for plane in range(3):
        for band in shapes[plane]:
            level, orientation = band
            rank = 0 if orientation == LL else levels[plane] - level + 1
            for temporal in range(MAX_TEMPORAL_GROUP + 1):
                start, stop = temporal_range(temporal, frames)
                if start < stop and 0 not in shapes[plane][band]:
                    order = (rank + temporal, rank, plane, orientation)
                    keyed.append((order, plane, band, rank, temporal, start, stop))
    keyed.sort()
    groups = tuple(
        Group(index, plane, band, rank, temporal, start, stop, *_relatives(plane, band, levels))
        for index, (_, plane, band, rank, temporal, start, stop) in enumerate(keyed)
    )
    return Layout(frames, levels, shapes, groups)
