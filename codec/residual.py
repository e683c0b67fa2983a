"""The sketch residual: quantised transform coefficients <-> layers of bytes.

    coefficients --choose--> levels --contexts, tables--> flags --range coder--> layer bytes
    layer bytes --range coder + the same contexts--> levels --reconstruct--> coefficients

A layer is a run of groups in coding order with a range coder of its own, so that the first k
layers decode without the rest. `docs/bitstream.md` is normative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.context import Symbols, phase_features, phase_masks, static_features
from gistcast.codec.errors import CorruptError
from gistcast.codec.golomb import get_golomb, put_golomb
from gistcast.codec.layout import Group, Layout, make_layout
from gistcast.codec.motion import Motion, get_motion, put_motion
from gistcast.codec.quantiser import UNARY, Costs, choose, luma_step, reconstruct
from gistcast.codec.rangecoder import HALF, FlagDecoder, FlagEncoder
from gistcast.codec.tables import Tables, presence_class
from gistcast.codec.transform import BandKey

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
Logits = NDArray[np.int16]

Coefficients = Sequence[Mapping[BandKey, F32]]  #: per plane, bands (T, h, w) in units of a step

_ESCAPE_ORDER = 2  # of the Exp-Golomb code for what exceeds the learned flags

# least bits that a level, and all that a group holds, are taken to cost by the fast choice
_FAST_LEVEL_BITS, _FAST_GROUP_BITS = 4.0, 8.0


class GroupState:
    """One group while it is coded: its features, and what is filled in so far."""

    def __init__(self, symbols: Symbols, group: Group, tables: Tables, quantiser: int) -> None:
        self._group, self._tables, self._layout = group, tables, symbols.layout
        height, width = symbols.layout.shapes[group.plane][group.band]
        self.shape = (group.stop - group.start, height, width)
        self.masks = phase_masks(group.start, self.shape)
        self._static = static_features(symbols, group, quantiser)
        self.values = np.zeros(self.shape, np.int32)
        self.points = np.zeros(self.shape, np.float32)

    def features(self, phase: int) -> NDArray[np.uint8]:
        """Features of a phase (n, 23); the second needs the first filled in."""
        coded = np.minimum(np.abs(self.values), 31).astype(np.int16) if phase else None
        return phase_features(self._static, self.masks[phase], coded)

    def logits(self, phase: int) -> Logits:
        """Logits of a phase, (n, 3)."""
        planes = np.nonzero(self.masks[phase])[0]
        return self._tables.logits(self.features(phase), self._group, self._layout, phase, planes)

    def fill(self, phase: int, values: I32, logits: Logits) -> None:
        """Set the levels of a phase (n,) and their reconstruction."""
        mask = self.masks[phase]
        self.values[mask] = values
        at = np.flatnonzero(values)
        points = np.zeros(values.shape, np.float32)
        points[at] = reconstruct(values[at], logits[at, 0], self._tables)
        self.points[mask] = points


def _empty_points(layout: Layout) -> list[dict[BandKey, F32]]:
    return [
        {b: np.zeros((layout.frames, *s), np.float32) for b, s in shapes.items()}
        for shapes in layout.shapes
    ]


def presence_probability(symbols: Symbols, group: Group, tables: Tables) -> int:
    """P(group holds a non-zero) * 65536."""
    return int(tables.presence[presence_class(group), symbols.presence(group)])


# --- encoder -----------------------------------------------------------------------------------


class ResidualEncoder:
    """Chooses the levels of a clip once and writes them as layers.

    Args:
        tables: the learned model.
        weight: lambda of the rate-distortion choice, in squared steps a bit.
        fast: leave out groups in which little stands above the dead zone, without a closer look.
    """

    def __init__(self, tables: Tables, weight: float, *, fast: bool = False) -> None:
        self.weight = weight
        self._tables, self._fast = tables, fast
        self._costs = Costs.of(tables)

    def choose(
        self,
        layout: Layout,
        coefficients: Coefficients,
        quantiser: int,
        motion: Motion | None = None,
    ) -> Chosen:
        """Levels of all groups by rate-distortion cost, with the flags that code them.

        Args:
            motion: of the camera, by which `layout` was made; written before the first group.
        """
        symbols, points = Symbols(layout), _empty_points(layout)
        flags: list[FlagEncoder] = []
        distortion = 0.0
        for group in layout.groups:
            window = slice(group.start, group.stop)
            x = coefficients[group.plane][group.band][window]
            encoder = FlagEncoder()
            if not flags:
                put_motion(encoder, motion)
            p = presence_probability(symbols, group, self._tables)
            state = self._code_group(symbols, group, x, quantiser, encoder, p)
            symbols.present[group.plane, group.band, group.temporal] = state is not None
            if state is not None:
                symbols.store(group, state.values)
                points[group.plane][group.band][window] = state.points
            error = x if state is None else x - state.points
            distortion += float(np.square(error).sum())
            flags.append(encoder)
        return Chosen(quantiser, symbols, points, flags, distortion)

    def _promising(self, x: F32) -> bool:
        """Whether coding a group can pay at all (exactly, or roughly when fast)."""
        size = np.abs(x)
        if not self._fast:
            return bool(size.max() > 0.5)
        above = size[size > 0.5]
        saved = np.maximum(2 * above - 1 - _FAST_LEVEL_BITS * self.weight, 0).sum()
        return bool(saved >= _FAST_GROUP_BITS * self.weight)

    def _code_group(
        self, symbols: Symbols, group: Group, x: F32, quantiser: int, out: FlagEncoder, p: int
    ) -> GroupState | None:
        """Choose one group's levels and write its flags; None when it is left empty."""
        absent = np.array([p])
        if self._promising(x):
            state = GroupState(symbols, group, self._tables, quantiser)
            chosen = []
            distortion = bits = 0.0
            for phase, mask in enumerate(state.masks):
                logits = state.logits(phase)
                values, d, b = choose(x[mask], logits, self._costs, self._tables, self.weight)
                state.fill(phase, values, logits)
                chosen.append((values, logits))
                distortion, bits = distortion + d, bits + b
            bits += float(np.log2((65536 - p) / p))  # presence flag: 1 instead of 0
            saved = float((x * x).sum()) - distortion
            if state.values.any() and saved > self.weight * bits:
                out.put(np.ones(1, np.int32), absent)
                for values, logits in chosen:
                    put_levels(out, values, logits, self._tables)
                return state
        out.put(np.zeros(1, np.int32), absent)
        return None


@dataclass(frozen=True)
class Chosen:
    """The outcome of the choice: levels, reconstruction, and the flags of each group."""

    quantiser: int
    symbols: Symbols
    points: list[dict[BandKey, F32]]
    flags: list[FlagEncoder]
    distortion: float  #: sum of squared errors, in squared steps

    def cost(self, bits: float, weight: float) -> float:
        """D + lambda R on the scale of the 8-bit samples, to compare different quantisers."""
        return luma_step(self.quantiser) ** 2 * (self.distortion + weight * bits)

    def group_bits(self) -> list[float]:
        """Bits of each group, in coding order."""
        return [f.bits() for f in self.flags]

    def layer(self, start: int, stop: int) -> bytes:
        """Range-coded bytes of the groups start..stop-1."""
        whole = FlagEncoder()
        for flags in self.flags[start:stop]:
            whole.extend(flags)
        return whole.finish()


def put_levels(out: FlagEncoder, values: I32, logits: Logits, tables: Tables) -> None:
    """Write levels (n,): non-zero flags; then signs and "> 1"; then the rest, level by level."""
    p = tables.probability
    nonzero = values != 0
    out.put(nonzero, p[logits[:, 0]])
    at = np.flatnonzero(nonzero)
    magnitude, further = np.abs(values[at]), p[logits[at, 2]]
    out.put(values[at] < 0, np.full(at.size, HALF))
    out.put(magnitude > 1, p[logits[at, 1]])
    for threshold in range(2, UNARY + 1):
        left = magnitude >= threshold
        if not left.any():
            return
        magnitude, further = magnitude[left], further[left]
        out.put(magnitude > threshold, further)
    for value in magnitude[magnitude > UNARY].tolist():
        put_golomb(out, value - UNARY - 1, _ESCAPE_ORDER)


# --- decoder -----------------------------------------------------------------------------------


def get_levels(source: FlagDecoder, logits: Logits, tables: Tables) -> I32:
    """Read levels (n,) written by `put_levels`."""
    p = tables.probability
    values = source.get(p[logits[:, 0]])
    at = np.flatnonzero(values)
    if not at.size:
        return values
    flags = source.get(np.concatenate([np.full(at.size, HALF), p[logits[at, 1]]]))
    sign, magnitude = 1 - 2 * flags[: at.size], 1 + flags[at.size :]
    further = p[logits[at, 2]]
    left = np.flatnonzero(magnitude > 1)
    for _ in range(2, UNARY + 1):
        if not left.size:
            break
        more = source.get(further[left])
        magnitude[left] += more
        left = left[more == 1]
    for index in left.tolist():
        magnitude[index] += get_golomb(source, _ESCAPE_ORDER)
    values[at] = sign * magnitude
    return values


class ResidualDecoder:
    """Reads layers one after the other; after each, `points` holds what is known so far.

    Args:
        frames, height, width: of the clip.
        moving: whether motion is coded (not so in version 1).

    Attributes:
        motion: of the camera, once the first layer is read; None without any.
        layout: of the frames, or of the canvas.
        symbols, points: levels and their reconstruction in steps.
    """

    def __init__(
        self,
        frames: int,
        height: int,
        width: int,
        tables: Tables,
        quantiser: int,
        *,
        moving: bool = True,
    ) -> None:
        self._size = frames, height, width
        self._tables, self._quantiser = tables, quantiser
        self._next, self._awaits_motion = 0, moving
        self._begin(None)

    def _begin(self, motion: Motion | None) -> None:
        self.motion = motion
        self.layout = make_layout(*self._size, motion)
        self.symbols, self.points = Symbols(self.layout), _empty_points(self.layout)

    def layer(self, data: bytes, groups: int) -> None:
        """Decode the next `groups` groups (0: all that are left) from a layer's bytes.

        Raises:
            CorruptError: the layer is damaged or asks for more groups than there are.
        """
        left = len(self.layout.groups) - self._next
        if groups > left:
            raise CorruptError(f"layer has {groups} groups, {left} are left", field="groups")
        source = FlagDecoder(data)
        if self._awaits_motion:
            self._begin(get_motion(source))
            self._awaits_motion = False
        for group in self.layout.groups[self._next : self._next + (groups or left)]:
            p = presence_probability(self.symbols, group, self._tables)
            present = bool(source.get(np.array([p]))[0])
            self.symbols.present[group.plane, group.band, group.temporal] = present
            if present:
                self._group(source, group)
            self._next += 1

    def _group(self, source: FlagDecoder, group: Group) -> None:
        state = GroupState(self.symbols, group, self._tables, self._quantiser)
        for phase in range(2):
            logits = state.logits(phase)
            state.fill(phase, get_levels(source, logits, self._tables), logits)
        self.symbols.store(group, state.values)
        self.points[group.plane][group.band][group.start : group.stop] = state.points
