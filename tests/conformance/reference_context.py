"""Which coefficients there are, what is known around each, and the integer network.

Part of the second decoder; see `reference.py`. Numbers are sections of `docs/bitstream.md`.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from operator import mul
from typing import NamedTuple

Plane = Sequence[Sequence[int]]
Band = tuple[int, int]  # (level, orientation)

HL, LH, HH = 1, 2, 3


class Group(NamedTuple):
    """In coding order when sorted."""

    diagonal: int
    rank: int
    plane: int
    orientation: int
    level: int
    temporal: int
    start: int
    stop: int


def band_sizes(height: int, width: int, levels: int) -> dict[Band, tuple[int, int]]:
    """Section 10.1."""
    sizes = {}
    for level in range(1, levels + 1):
        sizes[level, HL] = ((height + 1) // 2, width // 2)
        sizes[level, LH] = (height // 2, (width + 1) // 2)
        sizes[level, HH] = (height // 2, width // 2)
        height, width = (height + 1) // 2, (width + 1) // 2
    sizes[levels, 0] = (height, width)
    return sizes


class Layout:
    """Section 10: levels and band sizes of each plane, groups in coding order.

    `margins` are those of a canvas (section 10.5).
    """

    def __init__(
        self, frames: int, height: int, width: int, margins: Sequence[int] = (0, 0, 0, 0)
    ) -> None:
        luma, side = 0, min(height, width)
        while side >= 2 and luma < 7:
            luma, side = luma + 1, (side + 1) // 2
        height, width = height + margins[0] + margins[1], width + margins[2] + margins[3]
        chroma = max(0, luma - 1)
        self.frames, self.levels = frames, (luma, chroma, chroma)
        small = band_sizes((height + 1) // 2, (width + 1) // 2, chroma)
        self.sizes = (band_sizes(height, width, luma), small, small)
        self.groups = sorted(self._groups())

    def _groups(self) -> Iterator[Group]:
        for plane, levels in enumerate(self.levels):
            for level, orientation in self.sizes[plane]:
                rank = levels - level + 1 if orientation else 0
                for temporal in range(6):
                    start = 1 << (temporal - 1) if temporal else 0
                    stop = min(self.frames, 1 << temporal)
                    if start < stop:
                        diagonal = rank + temporal
                        yield Group(
                            diagonal, rank, plane, orientation, level, temporal, start, stop
                        )

    def parent(self, group: Group) -> Band | None:
        """Band of the spatial parent."""
        if group.orientation == 0:
            return None
        top = self.levels[group.plane]
        return (top, 0) if group.level == top else (group.level + 1, group.orientation)

    def luma(self, group: Group) -> Band | None:
        """Luma band of the same size, for chroma."""
        if group.plane == 0 or self.levels[0] != self.levels[1] + 1:
            return None
        return group.level + 1, group.orientation


class Tables:
    """Section 11: integers by name, as lists of rows."""

    def __init__(self, data: bytes) -> None:
        size = int.from_bytes(data[:8], "little")
        self.hash = hashlib.sha256(data).digest()[:4]
        self.rows: dict[str, list[list[int]]] = {}
        for name, entry in json.loads(data[8 : 8 + size]).items():
            if name != "__metadata__":
                code = {"I8": "b", "I16": "h", "U16": "H", "I32": "i"}[entry["dtype"]]
                start, stop = (8 + size + o for o in entry["data_offsets"])
                flat = [v for (v,) in struct.iter_unpack("<" + code, data[start:stop])]
                step = entry["shape"][1] if len(entry["shape"]) == 2 else len(flat)
                self.rows[name] = [flat[i : i + step] for i in range(0, len(flat), step)]
        self._columns = [
            list(zip(*self.rows[f"{layer}_weights"], strict=True))
            for layer in ("input", "hidden", "output")
        ]
        self.predicts_signs = "sign_rows" in self.rows

    def probabilities(self, features: list[int], bias: list[int]) -> tuple[int, int, int]:
        """Of the three flags, in 1/65536 (section 11.3)."""
        values, biases = features, bias
        for layer, columns in enumerate(self._columns):
            z = [b + sum(map(mul, values, c)) >> 6 for b, c in zip(biases, columns, strict=True)]
            if layer < 2:
                values = [min(255, max(0, v)) for v in z]
                biases = self.rows["output_bias" if layer else "hidden_bias"][0]
        table = self.rows["probability"][0]
        a, b, c = (table[176 + min(175, max(-176, v))] for v in z)
        return a, b, c

    def minus(self, inputs: list[int], group: Group) -> int:
        """Probability of a minus, in 1/65536 (section 11.4)."""
        rows = self.rows
        place = (group.plane * 8 + group.rank) * 4 + group.orientation
        even, odd = list(rows["sign_rows"][place * 6 + group.temporal]), [0] * 32
        for i, value in enumerate(inputs):
            for j, weight in enumerate(rows["sign_input_weights"][i]):
                if i < 48:
                    odd[j] += 16 * value * weight
                else:
                    even[j] += 16 * value * weight
        total = 0
        for turn in (1, -1):
            a = [min(255, max(0, e + turn * o >> 6)) for e, o in zip(even, odd, strict=True)]
            columns = zip(*rows["sign_hidden_weights"], strict=True)
            for j, column in enumerate(columns):
                z = rows["sign_hidden_bias"][0][j] + sum(map(mul, a, column))
                total += turn * min(255, max(0, z >> 6)) * rows["sign_output_weights"][0][j]
        return rows["probability"][0][176 + min(175, max(-176, total >> 6))]

    def bias(self, group: Group, frames: int, phase: int, t: int) -> list[int]:
        """Sum of the class rows for temporal plane t (section 11.2)."""
        chroma = min(1, group.plane)
        time = (chroma * 2 + phase) * 32 + min(31, t * 32 // frames)
        band = (group.plane * 4 + group.orientation) * 8 + group.rank
        rows = self.rows
        chosen = rows["time_rows"][time], rows["band_rows"][band]
        detail = rows["detail_rows"][chroma * 8 + group.level]
        return [x + y + z for x, y, z in zip(*chosen, detail, strict=True)]


@cache
def log(m: int) -> int:
    """round(8 * log2(1 + m)), at most 64, in integers."""
    return min(64, ((1 + min(m, 511)) ** 16).bit_length() // 2)


def pick(plane: Plane, y: int, x: int) -> int:
    """A value, or 0 outside."""
    return plane[y][x] if 0 <= y < len(plane) and 0 <= x < len(plane[0]) else 0


def cross(p: Plane, y: int, x: int) -> int:
    """Sum of the four nearest neighbours."""
    return pick(p, y - 1, x) + pick(p, y + 1, x) + pick(p, y, x - 1) + pick(p, y, x + 1)


def corners(p: Plane, y: int, x: int) -> int:
    """Sum of the four diagonal neighbours."""
    return sum(pick(p, y + dy, x + dx) for dy in (-1, 1) for dx in (-1, 1))


def sum_planes(planes: Sequence[Plane]) -> Plane:
    """Sum over time."""
    return [[sum(c) for c in zip(*rows, strict=True)] for rows in zip(*planes, strict=True)]


def activity(planes: Sequence[Plane]) -> int:
    """Mean magnitude of a block as a feature."""
    size = len(planes) * len(planes[0]) * len(planes[0][0])
    return log(sum(sum(map(sum, p)) for p in planes) * 64 // size)


class Levels:
    """Decoded levels of a clip, their capped magnitudes, and which groups are present."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.signed: list[dict[Band, list[list[list[int]]]]] = []
        self.magnitude: list[dict[Band, list[list[list[int]]]]] = []
        for store in (self.signed, self.magnitude):
            for sizes in layout.sizes:
                store.append(
                    {
                        band: [[[0] * w for _ in range(h)] for _ in range(layout.frames)]
                        for band, (h, w) in sizes.items()
                    }
                )
        self.present: set[tuple[int, Band, int]] = set()

    def presence_context(self, group: Group) -> tuple[int, int]:
        """Section 10.4: row and column of the presence table."""
        plane, time = group.plane, group.temporal
        level, orientation = group.level, group.orientation
        parent, luma = self.layout.parent(group), self.layout.luma(group)
        relatives = [(0, luma)] if luma else [(plane, (level, o)) for o in range(1, orientation)]
        column = int(parent is not None and (plane, parent, time) in self.present)
        column += 2 * ((plane, (level, orientation), time - 1) in self.present)
        column += 4 * any((p, band, time) in self.present for p, band in relatives)
        kind = {0: 0, HL: 1, LH: 1, HH: 2}[orientation]
        return ((min(1, plane) * 3 + kind) * 8 + group.rank) * 6 + time, column


class Context:
    """Features of one group (section 12)."""

    def __init__(self, levels: Levels, group: Group, quantiser: int) -> None:
        layout, self._group, self._quantiser = levels.layout, group, quantiser
        bands = levels.magnitude[group.plane]
        self._band = bands[group.level, group.orientation]
        self._size = len(self._band[0]), len(self._band[0][0])
        start, stop = group.start, group.stop
        self._total = sum_planes(self._band[:start]) if group.temporal else []
        self._slow = activity(self._band[start // 2 : start]) if group.temporal else 0
        parent, luma = layout.parent(group), layout.luma(group)
        self._parent = bands[parent] if parent else []
        self._energy = sum_planes(self._parent[: 2 * stop]) if parent else []
        self._parent_activity = activity(self._parent[start:stop]) if parent else 0
        siblings = [bands[group.level, o] for o in range(1, group.orientation)]
        self._siblings = [{t: self._fit(s[t]) for t in range(start, stop)} for s in siblings]
        self._luma = levels.magnitude[0][luma] if luma else []
        other = self._luma or (siblings[-1] if siblings else [])
        self._other_activity = activity(other[start:stop]) if other else 0
        self._cb = levels.magnitude[1][group.level, group.orientation] if group.plane == 2 else []

    def _fit(self, p: Plane) -> Plane:
        return [[pick(p, y, x) for x in range(self._size[1])] for y in range(self._size[0])]

    def _up(self, y: int, x: int) -> tuple[int, int]:
        """Position in the parent."""
        height, width = len(self._parent[0]), len(self._parent[0][0])
        if (height, width) == self._size:
            return y, x
        return min(y // 2, height - 1), min(x // 2, width - 1)

    def features(self, phase: int, t: int, y: int, x: int) -> list[int]:
        """All 23 of one coefficient."""
        f = [0] * 23
        if self._group.temporal:
            slower, total = self._band[t // 2], self._total
            here, near = pick(total, y, x), cross(total, y, x) + corners(total, y, x)
            f[0], f[1] = log(slower[y][x]), log(cross(slower, y, x))
            f[2], f[3], f[4] = log(corners(slower, y, x)), log(here), log(here + near)
        if self._parent:
            py, px = self._up(y, x)
            f[5], f[6] = log(self._parent[t][py][px]), log(cross(self._parent[t], py, px))
            f[7] = log(self._energy[py][px])
        for slot, sibling in enumerate(self._siblings):
            f[8 + 2 * slot], f[9 + 2 * slot] = log(sibling[t][y][x]), log(cross(sibling[t], y, x))
        for slot, other in ((12, self._luma), (14, self._cb)):
            if other:
                f[slot], f[slot + 1] = log(other[t][y][x]), log(cross(other[t], y, x))
        f[16:20] = self._slow, self._parent_activity, self._other_activity, self._quantiser // 4
        if phase:
            band, start, stop = self._band, self._group.start, self._group.stop
            f[20] = log(pick(band[t], y, x - 1) + pick(band[t], y, x + 1))
            f[21] = log(pick(band[t], y - 1, x) + pick(band[t], y + 1, x))
            f[22] = log(sum(band[s][y][x] for s in (t - 1, t + 1) if start <= s < stop))
        return f


class Signs:
    """Inputs of the sign network for one group (section 12.1)."""

    def __init__(self, levels: Levels, group: Group) -> None:
        self._levels, self._group = levels, group
        self._parent, self._luma = levels.layout.parent(group), levels.layout.luma(group)
        self._own = (group.level, group.orientation)

    def _at(self, plane: int, band: Band, t: int, y: int, x: int) -> int:
        return max(-3, min(3, pick(self._levels.signed[plane][band][t], y, x)))

    def _five(self, plane: int, band: Band | None, t: int, y: int, x: int) -> list[int]:
        if band is None or t < 0:
            return [0] * 5
        around = ((0, 0), (0, -1), (-1, 0), (0, 1), (1, 0))
        return [self._at(plane, band, t, y + dy, x + dx) for dy, dx in around]

    def inputs(self, t: int, y: int, x: int) -> list[int]:
        """All 54, when levels in front have their signs and those behind are still positive."""
        group, plane, own = self._group, self._group.plane, self._own
        signed = self._levels.signed[plane]

        def here(t: int, dy: int, dx: int) -> int:
            return self._at(plane, own, t, y + dy, x + dx) if t >= 0 else 0

        causal = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
        out = [here(t, dy, dx) for dy, dx in causal] + self._five(plane, own, t - 1, y, x)
        out += [here(t - 1, dy, dx) for dy in (-1, 1) for dx in (-1, 1)]
        out += [here(0, 0, 0) if t else 0, *self._five(plane, own, t - 2, y, x)]
        py, px = y, x
        if self._parent:
            rows, columns = len(signed[self._parent][0]), len(signed[self._parent][0][0])
            if (rows, columns) != (len(signed[own][0]), len(signed[own][0][0])):
                py, px = min(y // 2, rows - 1), min(x // 2, columns - 1)
        out += self._five(plane, self._parent, t, py, px)
        for orientation in (HL, LH):
            known = group.orientation > orientation
            out += self._five(plane, (group.level, orientation) if known else None, t, y, x)
        out += self._five(0, self._luma, t, y, x)
        out += self._five(1, own if plane == 2 else None, t, y, x)
        above = self._parent
        lumas = (above[0] + 1, above[1]) if above and self._luma else None
        out.append(self._at(0, lumas, t, py, px) if lumas else 0)
        out.append(self._at(1, above, t, py, px) if above and plane == 2 else 0)
        sizes = [abs(pick(signed[own][t], y + dy, x + dx)) for dy, dx in ((0, 0), (0, 1), (1, 0))]
        out += [t % 2, y % 2, x % 2, min(4, sizes[0]) - 1, min(3, sizes[1]), min(3, sizes[2])]
        return out
