"""The sketch residual: quantised transform coefficients <-> layers of bytes.

    coefficients --choose--> levels --contexts, tables--> flags --range coder--> layer bytes
    layer bytes --range coder + the same contexts--> levels --reconstruct--> coefficients

A layer is a run of groups in coding order with a range coder of its own, so that the first k
layers decode without the rest. The work is done in `kernels/`. `docs/bitstream.md` is normative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.context import Symbols
from gistcast.codec.errors import CorruptError, ModelError
from gistcast.codec.layout import Group, Layout, make_layout
from gistcast.codec.motion import Motion, get_motion, put_motion
from gistcast.codec.quantiser import luma_step, plane_steps
from gistcast.codec.rangecoder import FlagDecoder, FlagEncoder
from gistcast.codec.tables import FEATURES, PLAIN, SIGNS, Tables
from gistcast.codec.transform import BandKey

if TYPE_CHECKING:
    from gistcast.codec.kernels.choice import Costs, Outcome
    from gistcast.codec.kernels.residual import State

F32 = NDArray[np.float32]

Coefficients = Sequence[Mapping[BandKey, F32]]  #: per plane, bands (T, h, w)


def state_of(symbols: Symbols, tables: Tables) -> State:
    """What the kernels work on; the arrays of `symbols` are shared."""
    from gistcast.codec.kernels.residual import State

    return State(
        symbols.plan.groups,
        symbols.values,
        symbols.magnitude,
        symbols.signs,
        symbols.points,
        symbols.present,
        tables.weights,
        tables.signs,
        tables.probability,
        tables.presence,
        tables.reconstruction,
    )


def _costs(tables: Tables) -> Costs:
    from gistcast.codec.kernels.choice import Costs

    p = tables.probability.astype(np.float64) / 65536
    one, zero = -np.log2(p), -np.log2(1 - p)
    return Costs(one.astype(np.float32), zero.astype(np.float32), one, zero)


def group_contexts(
    symbols: Symbols, group: Group, tables: Tables, quantiser: int, phase: int
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Features (n, 23) and logits (n, 3) of a phase of a coded group, in raster order, as they
    were when it was coded: what the tables learn from."""
    from gistcast.codec.kernels.network import make_room
    from gistcast.codec.kernels.residual import group_contexts

    most = (group.stop - group.start) * math.prod(symbols.signed[group.plane][group.band].shape[1:])
    features, logits = np.empty((most, FEATURES), np.uint8), np.empty((most, 3), np.int16)
    state = state_of(symbols, tables)
    count = group_contexts(state, group.index, phase, quantiser, make_room(), features, logits)
    return features[:count], logits[:count]


def group_signs(
    symbols: Symbols, group: Group, tables: Tables
) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
    """Inputs (n, 54) of the sign network for the levels of a group, in raster order, and whether
    each was negative: what the tables learn from. To be asked for in coding order."""
    from gistcast.codec.kernels.residual import group_signs

    levels = symbols.signed[group.plane][group.band][group.start : group.stop]
    count = int(np.count_nonzero(levels))
    around, negative = np.zeros((count, SIGNS + PLAIN), np.int8), np.zeros(count, np.uint8)
    if count:
        group_signs(state_of(symbols, tables), group.index, around, negative)
    return around, negative


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

    def choose(
        self,
        layout: Layout,
        coefficients: Coefficients,
        quantiser: int,
        motion: Motion | None = None,
    ) -> Chosen:
        """Levels of all groups by rate-distortion cost, with the flags that code them.

        Args:
            coefficients: on the 8-bit scale.
            motion: of the camera, by which `layout` was made; written before the first group.
        """
        from gistcast.codec.kernels.choice import Outcome, choose_groups
        from gistcast.codec.kernels.network import make_room

        symbols, count = Symbols(layout), len(layout.groups)
        state = state_of(symbols, self._tables)
        outcome = Outcome(
            np.zeros(count, np.uint16),
            np.zeros(count),
            np.zeros(count),
            np.empty((symbols.plan.size, 3), np.int16),
        )
        choose_groups(
            state,
            symbols.plan.flatten(coefficients),
            np.array([1 / step for step in plane_steps(quantiser)], np.float32),
            quantiser,
            self.weight,
            self._fast,
            _costs(self._tables),
            make_room(),
            outcome,
        )
        return Chosen(quantiser, symbols, motion, state, outcome)


@dataclass(frozen=True)
class Chosen:
    """The outcome of the choice: levels, and what codes them."""

    quantiser: int
    symbols: Symbols
    motion: Motion | None
    _state: State
    _outcome: Outcome

    @property
    def points(self) -> list[dict[BandKey, F32]]:
        """Reconstruction in steps, per plane and band."""
        return self.symbols.plan.views(self.symbols.points)

    @property
    def distortion(self) -> float:
        """Sum of squared errors, in squared steps."""
        return float(self._outcome.distortion.sum())

    def cost(self, bits: float, weight: float) -> float:
        """D + lambda R on the scale of the 8-bit samples, to compare different quantisers."""
        return luma_step(self.quantiser) ** 2 * (self.distortion + weight * bits)

    def group_bits(self) -> NDArray[np.float64]:
        """Bits of each group, in coding order; the motion's belong to the first."""
        head = FlagEncoder()
        put_motion(head, self.motion)
        bits = self._outcome.bits.copy()
        bits[0] += head.bits()
        return bits

    def layer(self, start: int, stop: int) -> bytes:
        """Range-coded bytes of the groups start..stop-1.

        Raises:
            ModelError: the tables have no sign network: they are of an edition that is not written.
        """
        from gistcast.codec.kernels.choice import count_flags, put_groups
        from gistcast.codec.kernels.network import make_room

        if not self._state.sign_weights.known:
            raise ModelError("tables without a sign network write no layers")
        whole = FlagEncoder()
        if start == 0:
            put_motion(whole, self.motion)
        count = count_flags(self._state, start, stop)
        flags, chances = np.empty(count, np.uint8), np.empty(count, np.uint16)
        put_groups(self._state, start, stop, self._outcome, make_room(), flags, chances)
        whole.put(flags, chances)
        return whole.finish()


# --- decoder -----------------------------------------------------------------------------------


class ResidualDecoder:
    """Reads layers one after the other; after each, `points` holds what is known so far.

    Args:
        frames, height, width: of the clip.
        moving: whether motion is coded (not so in version 1).

    Attributes:
        motion: of the camera, once the first layer is read; None without any.
        layout: of the frames, or of the canvas.
        symbols: levels and their reconstruction in steps.
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
        from gistcast.codec.kernels.network import make_room

        self._size = frames, height, width
        self._tables, self._quantiser = tables, quantiser
        self._next, self._awaits_motion = 0, moving
        self._room = make_room()
        self._begin(None)

    def _begin(self, motion: Motion | None) -> None:
        self.motion = motion
        self.layout = make_layout(*self._size, motion)
        self.symbols = Symbols(self.layout)
        self._state = state_of(self.symbols, self._tables)

    @property
    def points(self) -> list[dict[BandKey, F32]]:
        """Reconstruction in steps, per plane and band."""
        return self.symbols.plan.views(self.symbols.points)

    def layer(self, data: bytes, groups: int) -> None:
        """Decode the next `groups` groups (0: all that are left) from a layer's bytes.

        Raises:
            CorruptError: the layer is damaged or asks for more groups than there are.
        """
        from gistcast.codec.kernels.residual import OUT_OF_RANGE, decode_groups

        left = len(self.layout.groups) - self._next
        if groups > left:
            raise CorruptError(f"layer has {groups} groups, {left} are left", field="groups")
        source = FlagDecoder(data)
        if self._awaits_motion:
            self._begin(get_motion(source))
            self._awaits_motion = False
        stop = self._next + (groups or left)
        outcome = decode_groups(
            self._state,
            self._next,
            stop,
            self._quantiser,
            not self._tables.signs.known,
            self._room,
            source.state,
            source.data,
        )
        source.check()
        if outcome == OUT_OF_RANGE:
            raise CorruptError("a number is out of range", field="residual")
        self._next = stop
