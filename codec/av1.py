"""AV1 from the outside: open bitstream units, the sequence header, the structures that are used.

    AV1 packets --split--> OBUs        Sequence --to_obu--> OBU        frame --obu--> OBU

Only what the video layer needs: 8-bit 4:2:0, one operating point, one tile, no scaling, no film
grain. Source: AV1 Bitstream & Decoding Process Specification, version 1.0.0 with Errata 1;
section numbers in comments are its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from safetensors.numpy import load

from gistcast.codec.released import released_file

SEQUENCE, TEMPORAL_DELIMITER, FRAME_HEADER, FRAME = 1, 2, 3, 6  #: OBU types, 6.2.2
ORDER_HINT_BITS = 7
NO_FRAME = 7  #: primary_ref_frame of a frame that inherits nothing
_SUPERBLOCK = 64


class UnsupportedError(Exception):
    """AV1 that the video layer has no words for; the encoder then does without."""


class BitReader:
    """Reads unsigned numbers, most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._size = 8 * len(data)
        self.position = 0

    def read(self, count: int) -> int:
        """The next `count` bits.

        Raises:
            UnsupportedError: there are not so many.
        """
        self.position += count
        if self.position > self._size:
            raise UnsupportedError("an OBU ends early")
        return self._value >> (self._size - self.position) & ((1 << count) - 1)

    def rest(self) -> bytes:
        """What is left, moved to a byte boundary and filled up with zeros."""
        left = self._size - self.position
        return (self.read(left) << -left % 8).to_bytes(-(-left // 8), "big")


class BitWriter:
    """Writes what `BitReader` reads."""

    def __init__(self) -> None:
        self._value, self.size = 0, 0

    def write(self, value: int, count: int) -> None:
        """Append a number of `count` bits."""
        self._value = self._value << count | value
        self.size += count

    def to_bytes(self) -> bytes:
        """All of it, filled up with zeros to a whole byte."""
        return (self._value << -self.size % 8).to_bytes(-(-self.size // 8), "big")


def obu(kind: int, payload: bytes) -> bytes:
    """One open bitstream unit with its size (5.3)."""
    size, value = bytearray(), len(payload)
    while value > 127:
        size.append(value & 127 | 128)
        value >>= 7
    return bytes([kind << 3 | 2, *size, value]) + payload


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each unit in an encoder's packet.

    Raises:
        UnsupportedError: layers, or a unit that is cut off.
    """
    at = 0
    while at < len(data):
        head, at = data[at], at + 1
        if head & 0x85 or not head & 2:
            raise UnsupportedError("an OBU with an extension or without a size")
        size = shift = 0
        while True:
            if at >= len(data) or shift > 28:
                raise UnsupportedError("an OBU ends early")
            size |= (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 128:
                break
        if at + size > len(data):
            raise UnsupportedError("an OBU ends early")
        yield head >> 3, data[at : at + size]
        at += size


@dataclass(frozen=True)
class Sequence:
    """What varies in the sequence headers that are used (5.5).

    Attributes:
        width, height: of a frame.
        tools: bit 0 filter_intra, 1 masked_compound, 2 jnt_comp, 3 restoration.
    """

    width: int
    height: int
    tools: int

    @property
    def restoration(self) -> bool:
        """Whether frames say how they are restored."""
        return bool(self.tools & 8)

    @property
    def tile_bits(self) -> int:
        """Bits in which a frame says that it has one tile: one a direction that could have two."""
        return (self.width > _SUPERBLOCK) + (self.height > _SUPERBLOCK)

    def to_obu(self) -> bytes:
        """The sequence header, in a unit."""
        bits = BitWriter()
        bits.write(0, 3 + 1 + 1 + 1 + 1 + 5 + 12)  # main profile, one operating point, no timing
        bits.write(31, 5)  # level: no constraint
        bits.write(0, 1)  # tier
        for side in (self.width, self.height):
            bits.write((side - 1).bit_length() - 1 if side > 1 else 0, 4)
        for side in (self.width, self.height):
            bits.write(side - 1, max(1, (side - 1).bit_length()))
        for value, count in self._flags():
            bits.write(value, count)
        bits.write(1, 1)  # trailing bit
        return obu(SEQUENCE, bits.to_bytes())

    def _flags(self) -> list[tuple[int, int]]:
        """Everything behind the frame size, as (value, bits)."""
        tools = self.tools
        return [
            (0, 1),  # frame_id_numbers_present_flag
            (0, 1),  # use_128x128_superblock
            (tools & 1, 1),  # enable_filter_intra
            (1, 1),  # enable_intra_edge_filter
            (1, 1),  # enable_interintra_compound
            (tools >> 1 & 1, 1),  # enable_masked_compound
            (1, 1),  # enable_warped_motion
            (0, 1),  # enable_dual_filter
            (1, 1),  # enable_order_hint
            (tools >> 2 & 1, 1),  # enable_jnt_comp
            (1, 1),  # enable_ref_frame_mvs
            (1, 1),  # seq_choose_screen_content_tools
            (1, 1),  # seq_choose_integer_mv
            (ORDER_HINT_BITS - 1, 3),
            (0, 1),  # enable_superres
            (1, 1),  # enable_cdef
            (tools >> 3 & 1, 1),  # enable_restoration
            (0, 1),  # high_bitdepth
            (0, 1),  # mono_chrome
            (0, 1),  # color_description_present_flag
            (0, 1),  # color_range
            (0, 2),  # chroma_sample_position
            (0, 1),  # separate_uv_delta_q
            (0, 1),  # film_grain_params_present
        ]


_TOOL_FLAGS = {2: 0, 5: 1, 9: 2, 16: 3}  # place in `_flags` -> bit of `tools`


def parse_sequence(payload: bytes) -> Sequence:
    """The sequence header of an encoder.

    Raises:
        UnsupportedError: it has something that `Sequence` has not.
    """
    bits = BitReader(payload)
    head = bits.read(24)
    if bits.read(5) > 7:
        bits.read(1)
    lengths = bits.read(4) + 1, bits.read(4) + 1
    width, height = (bits.read(n) + 1 for n in lengths)
    tools = 0
    for index, (value, count) in enumerate(Sequence(1, 1, 0)._flags()):
        found = bits.read(count)
        if index in _TOOL_FLAGS:
            tools |= found << _TOOL_FLAGS[index]
        elif found != value:
            raise UnsupportedError(f"field {index} of the sequence header is {found}")
    if head:
        raise UnsupportedError("profile, timing or operating points")
    return Sequence(width, height, tools)


KEY, INTER, SHOW = 0, 1, 2  #: kinds of `Step`


@dataclass(frozen=True)
class Step:
    """A frame of a structure, or a frame that is shown late.

    Attributes:
        kind: KEY, INTER or SHOW.
        shown: whether the frame is shown at once.
        order: order hint: its place among the coded frames, in order of time.
        primary: primary_ref_frame.
        refresh: refresh_frame_flags.
        references: ref_frame_idx, for an INTER frame.
        slot: which is shown, for SHOW.
    """

    kind: int
    shown: bool = True
    order: int = 0
    primary: int = NO_FRAME
    refresh: int = 255
    references: tuple[int, ...] = ()
    slot: int = 0

    @property
    def level(self) -> int:
        """Place in the hierarchy: 0 for every second frame, then more; 7 for the first."""
        return (self.order & -self.order).bit_length() - 1 if self.order else 7

    @property
    def group(self) -> int:
        """0 for the key frame, 1 for frames that others refer to, 2 for the rest."""
        return 0 if self.kind == KEY else 1 if self.refresh else 2


TABLE = Path(__file__).parent / "tables" / "video-1.safetensors"
TABLE_HASH = "a308041484ad23cb891ed6803a4613b1ad06bfd19dbae04c60af209a9bab8561"  #: SHA-256


@lru_cache(maxsize=1)
def structures() -> dict[tuple[int, int], tuple[Step, ...]]:
    """(Variant, number of coded frames) -> the steps that code them (`docs/bitstream.md`,
    section 19).

    Raises:
        ModelError: the tables are missing or not those of this version.
    """
    out: dict[tuple[int, int], tuple[Step, ...]] = {}
    for row in load(released_file(TABLE, TABLE_HASH))["structure"].tolist():
        variant, frames, kind, shown, order, primary, refresh, *references = row
        step = Step(kind, bool(shown), order, primary, refresh, tuple(references))
        if kind == SHOW:
            step = Step(kind, slot=order)
        elif kind == KEY:
            step = Step(kind)
        out[variant, frames] = (*out.get((variant, frames), ()), step)
    return out


#: Numbers of frames for which there are structures.
CODED_FRAMES = (1, 2, 4, 8, 16, 32)


def output(steps: Iterable[Step]) -> tuple[list[int], list[Step]]:
    """What comes out of the first steps of a structure.

    Returns:
        Orders of the frames in which a decoder gives them, and the steps that bring to light
        what was coded but not shown; their frames come behind the others.
    """
    orders: list[int] = []
    slots = [0] * 8
    hidden: dict[int, int] = {}  # order -> slot
    for step in steps:
        if step.kind == SHOW:
            orders.append(slots[step.slot])
            hidden.pop(slots[step.slot], None)
            continue
        for slot in range(8):
            if step.refresh >> slot & 1:
                slots[slot] = step.order
        if step.shown:
            orders.append(step.order)
        else:
            hidden[step.order] = slots.index(step.order)
    late = [Step(SHOW, slot=hidden[order]) for order in sorted(hidden)]
    return orders + sorted(hidden), late
