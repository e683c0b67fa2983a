"""A layout as flat arrays of integers, for the compiled kernels.

The bands of a clip lie one behind the other in one array; a row for each group says where the
group and its relatives lie. Magnitudes lie in a second array in which every plane of a band has a
border of one zero all around, so that kernels need not ask whether a neighbour is outside.

    values:     plane 0, band, t, y, x | next band | ...      (size,)
    magnitudes: the same with t, y + 2, x + 2                 (bordered_size,)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.layout import Group, Layout
from gistcast.codec.tables import (
    band_class,
    detail_class,
    presence_class,
    sign_class,
    time_class,
)
from gistcast.codec.transform import BandKey

Scalar = TypeVar("Scalar", bound=np.generic)

NOWHERE = -1

_RELATIVES = ("parent", "first", "second", "last")  # of another size than the group

_FIELDS = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("plane", "temporal", "start", "stop", "frames", "height", "width"),
            "values",  # where the band begins in values
            "band",  # and in magnitudes
            *_RELATIVES,
            *(f"{name}_{side}" for name in _RELATIVES for side in ("height", "width")),
            *("luma", "cb", "luma_parent", "cb_parent"),
            *("band_row", "detail_row", "time_row", "presence_row", "sign_row"),
            # numbers of groups whose presence counts
            *("parent_group", "slower_group", "cousin_0", "cousin_1"),
        )
    ],
    align=True,
)
#: Rows of `Plan.groups`. Relatives are where their band's magnitudes begin, or NOWHERE. Records, so
#: that fields are attributes in plain Python (NUMBA_DISABLE_JIT), too.
GROUP = np.dtype((np.record, _FIELDS))


@dataclass(frozen=True)
class Plan:
    """Where everything lies.

    Attributes:
        groups: records of `GROUP`, in coding order.
        size, bordered_size: of the two arrays.
        largest: positions of the largest group.
    """

    layout: Layout
    groups: NDArray[Any]
    size: int
    bordered_size: int
    largest: int

    def views(self, flat: NDArray[Scalar]) -> list[dict[BandKey, NDArray[Scalar]]]:
        """Bands (T, h, w) by plane, sharing the memory of values (size,)."""
        at, out = 0, []
        for shapes in self.layout.shapes:
            bands = {}
            for key, (height, width) in shapes.items():
                count = self.layout.frames * height * width
                bands[key] = flat[at : at + count].reshape(self.layout.frames, height, width)
                at += count
            out.append(bands)
        return out

    def flatten(self, bands: Sequence[Mapping[BandKey, NDArray[Scalar]]]) -> NDArray[Scalar]:
        """The counterpart of `views`: values (size,) from bands by plane."""
        parts = [
            bands[plane][key].ravel()
            for plane, shapes in enumerate(self.layout.shapes)
            for key in shapes
        ]
        return np.concatenate(parts)


@lru_cache(maxsize=16)
def make_plan(layout: Layout) -> Plan:
    """The plan of a layout."""
    values, bordered = dict[tuple[int, BandKey], int](), dict[tuple[int, BandKey], int]()
    size = bordered_size = 0
    for plane, shapes in enumerate(layout.shapes):
        for key, (height, width) in shapes.items():
            values[plane, key], bordered[plane, key] = size, bordered_size
            size += layout.frames * height * width
            bordered_size += layout.frames * (height + 2) * (width + 2)
    numbers = {(g.plane, g.band, g.temporal): g.index for g in layout.groups}
    rows = []
    for group in layout.groups:
        sides, place = layout.shapes[group.plane], (group.plane, group.band)
        own = (group.plane, group.temporal, group.start, group.stop, layout.frames)
        rows.append(
            (
                *(*own, *sides[group.band], values[place], bordered[place]),
                *_relatives(group, sides, bordered),
                *_rows(group),
                *_presence(group, numbers),
            )
        )
    groups = np.array(rows, GROUP)
    area = (groups["stop"] - groups["start"]) * groups["height"] * groups["width"]
    return Plan(layout, groups, size, bordered_size, int(area.max()))


def _relatives(
    group: Group,
    shapes: Mapping[BandKey, tuple[int, int]],
    bordered: Mapping[tuple[int, BandKey], int],
) -> list[int]:
    siblings = [*group.siblings[-2:], None, None]
    last = group.siblings[-1] if group.siblings else None
    at, sides = list[int](), list[int]()
    for key in (group.parent, *siblings[:2], last):
        at.append(NOWHERE if key is None else bordered[group.plane, key])
        sides += (0, 0) if key is None else shapes[key]
    luma = luma_parent = cb = cb_parent = NOWHERE
    if group.luma is not None:
        luma = bordered[0, group.luma]
        if group.parent is not None:
            level, orientation = group.parent
            luma_parent = bordered[0, (level + 1, orientation)]
    if group.plane == 2:
        cb = bordered[1, group.band]
        if group.parent is not None:
            cb_parent = bordered[1, group.parent]
    return [*at, *sides, luma, cb, luma_parent, cb_parent]


def _rows(group: Group) -> tuple[int, ...]:
    return (
        band_class(group),
        detail_class(group),
        time_class(group, 0),
        presence_class(group),
        sign_class(group),
    )


def _presence(group: Group, numbers: Mapping[tuple[int, BandKey, int], int]) -> list[int]:
    """Numbers of the groups that the context of its presence is made of."""
    keys: list[tuple[int, BandKey | None, int]] = [
        (group.plane, group.parent, group.temporal),
        (group.plane, group.band, group.temporal - 1),
    ]
    if group.luma is not None:
        keys += [(0, group.luma, group.temporal)]
    else:
        keys += [(group.plane, sibling, group.temporal) for sibling in group.siblings]
    keys += [(group.plane, None, group.temporal)] * 2
    return [
        NOWHERE if band is None else numbers.get((plane, band, temporal), NOWHERE)
        for plane, band, temporal in keys[:4]
    ]
