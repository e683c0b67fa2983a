"""Video layers of format 2.0: bytes -> AV1 units, planes -> all frames.

Part of the second decoder; see `reference.py`. Numbers are sections of `docs/bitstream.md`. The
AV1 units themselves are decoded by whatever decoder the caller brings.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import NamedTuple

from reference_bytes import RangeDecoder, need, varint

HALF = 32768
Rows = list[bytes]
AV1Decoder = Callable[[list[bytes]], list[tuple[Rows, ...]]]  # units -> frames, plane by plane


def field_table(document: str, heading: str) -> dict[str, tuple[int, int]]:
    """19.3: name -> bits and first context, from the document's own table."""
    lines = document.split(f"#### {heading}\n")[1].strip().splitlines()[2:]
    table = lines[: next((i for i, line in enumerate(lines) if line[:1] != "|"), len(lines))]
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table]
    return {name: (int(bits), int(first)) for name, _, bits, first in cells}


class VideoTables:
    """Section 19.5, and the field tables of 19.3."""

    def __init__(self, file: bytes, document: str) -> None:
        (size,) = struct.unpack_from("<Q", file)
        head = json.loads(file[8 : 8 + size])
        data = file[8 + size :]
        rows = {}
        for name in ("structure", "counts"):
            begin, end = head[name]["data_offsets"]
            width = head[name]["shape"][1]
            rows[name] = [data[at : at + width] for at in range(begin, end, width)]
        self.structure, self.counts = rows["structure"], rows["counts"]
        self.fields = field_table(document, "Coded fields")
        self.repeated = field_table(document, "Repeated fields")
        # tails come behind the last field's contexts
        self.length = max(first for _, first in self.repeated.values()) + 3


class Bits:
    """A number that grows at its low end."""

    def __init__(self) -> None:
        self.value = self.count = 0

    def put(self, value: int, count: int) -> None:
        self.value, self.count = self.value << count | value, self.count + count

    def whole(self) -> bytes:
        """Filled up with zeros to whole bytes."""
        filling = -self.count % 8
        return (self.value << filling).to_bytes((self.count + filling) // 8, "big")


def unit(kind: int, payload: bytes) -> bytes:
    """An OBU with a size field."""
    size, n = b"", len(payload)
    while n >= 128:
        size, n = size + bytes([n % 128 + 128]), n // 128
    return bytes([kind * 8 + 2]) + size + bytes([n]) + payload


def sequence_header(width: int, height: int, tools: int) -> bytes:
    """19.1."""
    bits = Bits()
    bits.put(0, 24)
    bits.put(31, 5)
    bits.put(0, 1)
    lengths = [max(1, (side - 1).bit_length()) for side in (width, height)]
    for length in lengths:
        bits.put(length - 1, 4)
    for side, length in zip((width, height), lengths, strict=True):
        bits.put(side - 1, length)
    intra, masked, jnt, restoration = (tools >> i & 1 for i in range(4))
    for bit in (0, 0, intra, 1, 1, masked, 1, 0, 1, jnt, 1, 1, 1, 1, 1, 0, 0, 1, restoration):
        bits.put(bit, 1)  # order_hint_bits_minus_1 is the 1, 1, 0
    bits.put(0, 8)
    bits.put(1, 1)
    return unit(1, bits.whole())


class Walker:
    """Headers of the frames of a clip, 19.2 to 19.4."""

    def __init__(self, tables: VideoTables, size: tuple[int, int], restoration: bool) -> None:
        self.tables, self.size, self.restoration = tables, size, restoration
        self.counts = [list(pair) for pair in tables.counts]
        self.before: dict[tuple[str, int], int] = {}
        self.slots = [0] * 8
        self.quantiser = 0

    def flag(self, context: int) -> int:
        zeros, ones = self.counts[context]
        bit = self.coder.flag(min(65535, max(1, 65536 * ones // (zeros + ones))))
        self.counts[context][bit] += 1
        return bit

    def plain(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = 2 * value + self.coder.flag(HALF)
        return value

    def get(self, name: str) -> int:
        """A coded field."""
        bits, first = self.tables.fields[name]
        value = 0
        for done in range(bits):
            value = 2 * value + self.flag(first + self.group * (2**bits - 1) + 2**done - 1 + value)
        self.head.put(value, bits)
        return value

    def again(self, name: str) -> int:
        """A repeated field."""
        bits, first = self.tables.repeated[name]
        other = {"loop_filter_y1": "loop_filter_y0", "loop_filter_v": "loop_filter_u"}.get(name, "")
        value = self.before.get((name, self.level), self.before.get((other, self.level), 0))
        if not self.flag(first + self.group):
            value = self.plain(bits)
        need(value > 0 or name != "base_q_idx", "base_q_idx")
        self.before[name, self.level] = value
        self.head.put(value, bits)
        return value

    def step(self, row: bytes, coder: RangeDecoder) -> tuple[bytes, int]:
        """The unit of a step, and the bytes of its tail."""
        _, _, kind, shown, order, primary, refresh, *references = row
        self.coder, self.head = coder, Bits()
        put = self.head.put
        if kind == 2:
            put(8 + order, 4)
            put(1, 1)
            return unit(3, self.head.whole()), 0
        key = kind == 0
        self.group = 0 if key else 1 if refresh else 2
        self.level = 7 if key else (order & -order).bit_length() - 1
        put(kind, 3)  # show_existing_frame 0 and frame_type
        put(shown, 1)
        if not shown:
            put(1, 1)
        put(0, 3 if key else 4)
        put(order, 7)
        if not key:
            put(primary, 3)
            put(refresh, 8)
            put(0, 1)
            for slot in references:
                put(slot, 3)
        put(0, 1)
        if not key:
            self.get("high_precision")
            if not self.get("is_filter_switchable"):
                self.get("interpolation_filter")
            self.get("is_motion_mode_switchable")
            self.get("use_ref_frame_mvs")
        self.get("disable_frame_end_update_cdf")
        put(1, 1)
        for side in self.size:
            if side > 64:
                put(0, 1)
        self.filters()
        self.get("tx_mode_select")
        more = False
        if not key:
            if self.get("reference_select") and self.two_sided(order, references):
                self.get("skip_mode_present")
            self.get("allow_warped_motion")
        put(0, 1)
        for _ in range(0 if key else 7):
            more = more or bool(self.get("is_global"))
            if more:
                break
        for slot in range(8):
            if refresh >> slot & 1 or key:
                self.slots[slot] = order
        length = self.tail_length()
        tail = bytes(self.plain(8) for _ in range(length)) if length <= self.left else b""
        self.left -= length
        need(self.left >= 0, "tails are too long")
        if not more:
            return unit(6, self.head.whole() + tail), length
        room = (self.head.count + 8 * length) // 8 * 8 - self.head.count
        need(room >= 0, "no tail")
        put(int.from_bytes(tail, "big") >> (8 * length - room), room)
        return unit(6, self.head.whole()), length

    def filters(self) -> None:
        """Quantiser to loop restoration."""
        put = self.head.put
        self.again("base_q_idx")
        put(0, 5)
        if self.get("delta_q_present"):
            self.get("delta_q_res")
            put(0, 1)
        levels = self.again("loop_filter_y0"), self.again("loop_filter_y1")
        if any(levels):
            self.again("loop_filter_u")
            self.again("loop_filter_v")
        put(0, 4)
        self.get("cdef_damping")
        for _ in range(2 ** self.get("cdef_bits")):
            for name in ("y_primary", "y_secondary", "uv_primary", "uv_secondary"):
                self.get("cdef_" + name)
        if self.restoration:
            types = [self.get("lr_type_" + plane) for plane in "yuv"]
            if any(types):
                if self.get("lr_unit_shift"):
                    self.get("lr_unit_extra_shift")
                if any(types[1:]):
                    self.get("lr_uv_shift")

    def two_sided(self, order: int, references: list[int]) -> bool:
        """AV1, 5.9.22: skipModeAllowed."""
        hints = [self.slots[slot] for slot in references]
        forward = [h for h in hints if h < order]
        if not forward:
            return False
        return any(h > order for h in hints) or any(h < max(forward) for h in forward)

    def tail_length(self) -> int:
        first, digits = self.tables.length + self.group * 21, 0
        while self.flag(first + digits):
            digits += 1
            need(digits < 21, "a tail is too long")
        return 2**digits + self.plain(digits) - 1


class Units(NamedTuple):
    """The AV1 of some layers: units behind the sequence header, and what they show."""

    sequence: bytes
    units: list[bytes]
    orders: list[int]
    frames: int
    complete: bool


def read_units(
    payloads: list[bytes], frames: int, width: int, height: int, tables: VideoTables
) -> Units:
    """19.1 and 19.2, and the late frames of 19.6."""
    need(len(payloads[0]) > 0, "video is empty")
    head = payloads[0][0]
    count = 2 ** (head & 7)
    need(count <= min(32, frames), "structure")
    rows = [row for row in tables.structure if (row[0], row[1]) == (head >> 3 & 1, count)]
    size = max(16, width + width % 2), max(16, height + height % 2)
    walker = Walker(tables, size, bool(head >> 7))
    units: list[bytes] = []
    done = 0
    for index, payload in enumerate(payloads):
        steps, at = varint(payload, int(index == 0), len(rows) - done)
        coder, walker.left = RangeDecoder(payload[at:]), len(payload) - at + 16
        for row in rows[done : done + (steps or len(rows) - done)]:
            units.append(walker.step(row, coder)[0])
            done += 1
    orders: list[int] = []
    hidden: set[int] = set()
    slots = [0] * 8
    for _, _, kind, shown, order, _, refresh, *_ in rows[:done]:
        if kind == 2:
            orders.append(slots[order])
            hidden.discard(slots[order])
            continue
        if shown:
            orders.append(order)
        else:
            hidden.add(order)
        for slot in range(8):
            if refresh >> slot & 1 or kind == 0:
                slots[slot] = order
    for order in sorted(hidden):
        row = bytes([0, count, 2, 1, slots.index(order), *[0] * 9])
        units.append(walker.step(row, RangeDecoder(b""))[0])
        orders.append(order)
    return Units(sequence_header(*size, head >> 4), units, orders, count, done == len(rows))


def filled(known: dict[int, Rows], frames: int) -> list[Rows]:
    """19.6: rows of one plane of all frames, from those of the known times."""
    times = sorted(known)
    out = []
    for t in range(frames):
        later = [time for time in times if time >= t]
        sooner = [time for time in times if time < t]
        if not later or not sooner:
            out.append(known[later[0] if later else sooner[-1]])
            continue
        a, b = sooner[-1], later[0]
        out.append(
            [
                bytes(
                    (p * (b - t) + q * (t - a) + (b - a) // 2) // (b - a)
                    for p, q in zip(*rows, strict=True)
                )
                for rows in zip(known[a], known[b], strict=True)
            ]
        )
    return out


def decode_video(
    payloads: list[bytes],
    frames: int,
    width: int,
    height: int,
    tables: VideoTables,
    av1: AV1Decoder,
) -> tuple[Units, list[list[Rows]]]:
    """The units, and rows of all frames, per plane."""
    units = read_units(payloads, frames, width, height, tables)
    pictures = av1([units.sequence + units.units[0], *units.units[1:]])
    need(len(pictures) == len(units.orders), "frames")
    half = (width + 1) // 2, (height + 1) // 2
    planes: list[list[Rows]] = []
    for plane, (columns, rows) in enumerate(((width, height), half, half)):
        known = {
            (2 * order + 1) * frames // (2 * units.frames): [
                row[:columns] for row in picture[plane][:rows]
            ]
            for order, picture in zip(units.orders, pictures, strict=True)
        }
        planes.append(filled(known, frames))
    return units, planes
