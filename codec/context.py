"""What is known of a clip while it is coded.

The contexts of a level are integers in 0..64, made only of symbols that the decoder has at that
point: `kernels/context.py`. A group is coded in two phases, a checkerboard in (t, y, x): the
second phase also sees the six neighbours of the first.
"""

from __future__ import annotations

import numpy as np

from gistcast.codec.layout import Group, Layout
from gistcast.codec.plan import NOWHERE, make_plan
from gistcast.codec.tables import FEATURES

__all__ = ["FEATURES", "LOG", "Symbols"]

#: round(8 * log2(1 + m)), at most 64, in integers: a magnitude or a sum of them as a feature
LOG = np.array([min(64, ((1 + m) ** 16).bit_length() // 2) for m in range(512)], np.uint8)


class Symbols:
    """The quantised coefficients of a clip while they are coded, flat and by band.

    Attributes:
        plan: where everything lies.
        values: int32 (plan.size,), levels.
        magnitude: uint8 (plan.bordered_size,), min(|level|, 31), with borders of zeros.
        signs: int8 (plan.bordered_size,), levels clipped to -3..3, with borders of zeros.
        points: float32 (plan.size,), reconstruction in steps.
        present: uint8 (groups,), whether the group holds any non-zero.
        signed: `values` per plane and band, (T, band height, band width).
    """

    def __init__(self, layout: Layout) -> None:
        self.plan = make_plan(layout)
        self.values = np.zeros(self.plan.size, np.int32)
        self.magnitude = np.zeros(self.plan.bordered_size, np.uint8)
        self.signs = np.zeros(self.plan.bordered_size, np.int8)
        self.points = np.zeros(self.plan.size, np.float32)
        self.present = np.zeros(len(layout.groups), np.uint8)
        self.signed = self.plan.views(self.values)

    def presence(self, group: Group) -> int:
        """Context 0..7 of the group's presence flag: which relatives are present."""
        row = self.plan.groups[group.index]

        def of(name: str) -> bool:
            return bool(row[name] != NOWHERE and self.present[row[name]])

        cousin = of("cousin_0") or of("cousin_1")
        return int(of("parent_group")) + 2 * int(of("slower_group")) + 4 * int(cousin)
