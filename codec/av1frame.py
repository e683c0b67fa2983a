"""The header of an AV1 frame, walked once for both directions.

    AV1 header bits --Fields that reads--> values --Fields that writes--> AV1 header bits

A walk names every field in order. What the structure says, and what the encoders that are used
never change, is `fixed` and costs nothing; the rest are `bits`. Source: as `av1`, section 5.9.
"""

from __future__ import annotations

from typing import Protocol

from gistcast.codec.av1 import INTER, KEY, ORDER_HINT_BITS, SHOW, Sequence, Step

#: Coded fields and their bits, in the order of their contexts.
FIELDS = {
    "high_precision": 1,
    "is_filter_switchable": 1,
    "interpolation_filter": 2,
    "is_motion_mode_switchable": 1,
    "use_ref_frame_mvs": 1,
    "disable_frame_end_update_cdf": 1,
    "delta_q_present": 1,
    "delta_q_res": 2,
    "cdef_damping": 2,
    "cdef_bits": 2,
    "cdef_y_primary": 4,
    "cdef_y_secondary": 2,
    "cdef_uv_primary": 4,
    "cdef_uv_secondary": 2,
    "lr_type_y": 2,
    "lr_type_u": 2,
    "lr_type_v": 2,
    "lr_unit_shift": 1,
    "lr_unit_extra_shift": 1,
    "lr_uv_shift": 1,
    "tx_mode_select": 1,
    "reference_select": 1,
    "skip_mode_present": 1,
    "allow_warped_motion": 1,
    "is_global": 1,
}

#: Coded as "as before" or anew, with their bits.
REPEATED = {"base_q_idx": 8, "loop_filter_y0": 6, "loop_filter_y1": 6, "loop_filter_u": 6,
            "loop_filter_v": 6}  # fmt: skip


class Fields(Protocol):
    """Where a walk takes its fields from, or puts them."""

    def fixed(self, value: int, count: int) -> None:
        """`count` bits that have this value."""

    def bits(self, name: str) -> int:
        """A field of `FIELDS`."""

    def repeated(self, name: str) -> int:
        """A field of `REPEATED`."""


class References:
    """Order hints of the eight slots, as frames refresh them."""

    def __init__(self) -> None:
        self._hints = [0] * 8

    def store(self, step: Step) -> None:
        """Note that a frame was coded."""
        for slot in range(8):
            if step.refresh >> slot & 1:
                self._hints[slot] = step.order

    def skip_mode(self, step: Step) -> bool:
        """Whether skip mode has two frames to predict from (5.9.22)."""
        hints = {self._hints[slot] for slot in step.references}
        before = sorted(hint for hint in hints if hint < step.order)
        return len(before) > 1 or bool(before and max(hints) > step.order)


def walk(io: Fields, step: Step, sequence: Sequence, references: References) -> bool:
    """Walk through one frame's header up to its global motion.

    Returns:
        Whether global motion follows. If not, the header ends here.
    """
    if step.kind == SHOW:
        io.fixed(1, 1)
        io.fixed(step.slot, 3)
        return False
    intra = step.kind == KEY
    _head(io, step)
    if not intra:
        _motion(io)
    io.bits("disable_frame_end_update_cdf")
    io.fixed(1 << sequence.tile_bits, 1 + sequence.tile_bits)  # uniform spacing, one tile
    io.repeated("base_q_idx")
    io.fixed(0, 3 + 1 + 1)  # no further deltas, no matrices, no segments
    if io.bits("delta_q_present"):
        io.bits("delta_q_res")
        io.fixed(0, 1)  # delta_lf_present
    _loop_filter(io)
    _cdef(io)
    if sequence.restoration:
        _restoration(io)
    io.bits("tx_mode_select")
    if not intra:
        if io.bits("reference_select") and references.skip_mode(step):
            io.bits("skip_mode_present")
        io.bits("allow_warped_motion")
    io.fixed(0, 1)  # reduced_tx_set
    references.store(step)
    return not intra and any(io.bits("is_global") for _ in range(7))


def _head(io: Fields, step: Step) -> None:
    """What the structure says: 5.9.2 up to the frame's size."""
    io.fixed(0, 1)  # show_existing_frame
    io.fixed(step.kind, 2)
    io.fixed(int(step.shown), 1)
    if not step.shown:
        io.fixed(1, 1)  # showable_frame
    if step.kind == INTER:
        io.fixed(0, 1)  # error_resilient_mode
    io.fixed(0, 1 + 1 + 1)  # CDFs are updated, no screen content tools, the sequence's size
    io.fixed(step.order, ORDER_HINT_BITS)
    if step.kind == INTER:
        io.fixed(step.primary, 3)
        io.fixed(step.refresh, 8)
        io.fixed(0, 1)  # frame_refs_short_signaling
        for slot in step.references:
            io.fixed(slot, 3)
    io.fixed(0, 1)  # render_and_frame_size_different


def _motion(io: Fields) -> None:
    io.bits("high_precision")
    if not io.bits("is_filter_switchable"):
        io.bits("interpolation_filter")
    io.bits("is_motion_mode_switchable")
    io.bits("use_ref_frame_mvs")


def _loop_filter(io: Fields) -> None:
    """5.9.11."""
    horizontal, vertical = io.repeated("loop_filter_y0"), io.repeated("loop_filter_y1")
    if horizontal or vertical:
        io.repeated("loop_filter_u")
        io.repeated("loop_filter_v")
    io.fixed(0, 3 + 1)  # sharpness, delta_enabled


def _cdef(io: Fields) -> None:
    """5.9.19."""
    io.bits("cdef_damping")
    for _ in range(1 << io.bits("cdef_bits")):
        io.bits("cdef_y_primary")
        io.bits("cdef_y_secondary")
        io.bits("cdef_uv_primary")
        io.bits("cdef_uv_secondary")


def _restoration(io: Fields) -> None:
    """5.9.20."""
    luma = io.bits("lr_type_y")
    u, v = io.bits("lr_type_u"), io.bits("lr_type_v")
    if luma or u or v:
        if io.bits("lr_unit_shift"):
            io.bits("lr_unit_extra_shift")
        if u or v:
            io.bits("lr_uv_shift")
