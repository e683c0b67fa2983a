"""AV1 frames <-> the payload of video layers, without what the receiver knows or can guess.

    OBUs --walk--> header fields --adaptive contexts--> flags --range coder--> payload
                   tile data ------------------------->

The headers of an AV1 clip of this size are a third of its bytes and nearly all guessable: what
follows from the structure is not sent, the rest is coded with contexts that learn as they go.
Units, sequence header and headers are put back bit for bit. `docs/bitstream.md`, section 19.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from gistcast.codec.av1 import (
    FRAME,
    FRAME_HEADER,
    SHOW,
    TABLE,
    BitReader,
    BitWriter,
    Sequence,
    Step,
    UnsupportedError,
    obu,
)
from gistcast.codec.av1frame import FIELDS, REPEATED, References, walk
from gistcast.codec.errors import CorruptError
from gistcast.codec.rangecoder import HALF, FlagDecoder, FlagEncoder

_LENGTH_BITS = 21  #: a tail has less than 2**21 - 1 bytes
_LENGTH = "length"
_GROUPS = 3


def _first_contexts() -> dict[str, int]:
    """Field -> its first context. A field of n bits has 2**n - 1 in each group of frames."""
    out, at = {}, 0
    for name, bits in FIELDS.items():
        out[name] = at
        at += _GROUPS * ((1 << bits) - 1)
    for name in REPEATED:
        out[name] = at
        at += _GROUPS
    out[_LENGTH] = at
    out["end"] = at + _GROUPS * _LENGTH_BITS
    return out


CONTEXTS = _first_contexts()


@lru_cache(maxsize=1)
def _counts() -> NDArray[np.uint8]:
    counts: NDArray[np.uint8] = load(TABLE.read_bytes())["counts"]
    return counts


class Model:
    """Adaptive probabilities and the last values of repeated fields, of one clip."""

    def __init__(self) -> None:
        self._counts: list[list[int]] = _counts().tolist()
        self._last: dict[tuple[str, int], int] = {}
        self._quantisers: list[int] = []
        self.references = References()

    def probability(self, context: int) -> int:
        """P(flag = 1) * 65536."""
        zeros, ones = self._counts[context]
        return min(65535, max(1, (ones << 16) // (zeros + ones)))

    def learn(self, context: int, flag: int) -> None:
        """Take note of a flag."""
        self._counts[context][flag] += 1

    def expected(self, name: str, step: Step) -> int:
        """What a repeated field is expected to be: as in the last frame of this level, else as
        the field before it in the header (0 for the first)."""
        same = self._last.get((name, step.level))
        if same is not None:
            return same
        return self._last.get((_BEFORE[name], step.level), 0) if name in _BEFORE else 0

    def keep(self, name: str, step: Step, value: int) -> None:
        """Note a repeated field's value."""
        self._last[name, step.level] = value
        if name == "base_q_idx":
            self._quantisers.append(value)

    @property
    def mean_quantiser(self) -> float:
        """Mean base_q_idx of the frames so far."""
        return sum(self._quantisers) / len(self._quantisers)


_BEFORE = {"loop_filter_y1": "loop_filter_y0", "loop_filter_v": "loop_filter_u"}


class _Packing:
    """Fields read from an AV1 header go to the range coder."""

    def __init__(self, header: bytes, step: Step, model: Model, out: list[tuple[int, int]]) -> None:
        self.reader, self._step, self._model, self._out = BitReader(header), step, model, out

    def fixed(self, value: int, count: int) -> None:
        found = self.reader.read(count)
        if found != value:
            at = self.reader.position
            raise UnsupportedError(f"{found} for {value} before bit {at} of a frame's header")

    def flag(self, flag: int, context: int) -> None:
        self._out.append((flag, self._model.probability(context)))
        self._model.learn(context, flag)

    def raw(self, value: int, count: int) -> None:
        self._out += [(value >> shift & 1, HALF) for shift in range(count - 1, -1, -1)]

    def bits(self, name: str) -> int:
        count = FIELDS[name]
        value = self.reader.read(count)
        first = CONTEXTS[name] + self._step.group * ((1 << count) - 1)
        for shift in range(count - 1, -1, -1):
            self.flag(
                value >> shift & 1, first + (1 << count - 1 - shift) - 1 + (value >> shift + 1)
            )
        return value

    def repeated(self, name: str) -> int:
        value = self.reader.read(REPEATED[name])
        if name == "base_q_idx" and not value:
            raise UnsupportedError("lossless")
        same = value == self._model.expected(name, self._step)
        self.flag(int(same), CONTEXTS[name] + self._step.group)
        if not same:
            self.raw(value, REPEATED[name])
        self._model.keep(name, self._step, value)
        return value


class _Unpacking:
    """Fields from the range coder go to an AV1 header."""

    def __init__(self, source: FlagDecoder, step: Step, model: Model) -> None:
        self._source, self._step, self._model = source, step, model
        self.writer = BitWriter()

    def fixed(self, value: int, count: int) -> None:
        self.writer.write(value, count)

    def flag(self, context: int) -> int:
        flag = self._source.flag(self._model.probability(context))
        self._model.learn(context, flag)
        return flag

    def raw(self, count: int) -> int:
        value = 0
        for flag in self._source.get(np.full(count, HALF)).tolist():
            value = 2 * value + flag
        return value

    def bits(self, name: str) -> int:
        count, value = FIELDS[name], 0
        first = CONTEXTS[name] + self._step.group * ((1 << count) - 1)
        for done in range(count):
            value = 2 * value + self.flag(first + (1 << done) - 1 + value)
        self.writer.write(value, count)
        return value

    def repeated(self, name: str) -> int:
        value = self._model.expected(name, self._step)
        if not self.flag(CONTEXTS[name] + self._step.group):
            value = self.raw(REPEATED[name])
        if name == "base_q_idx" and not value:
            raise CorruptError("base_q_idx is 0", field="video")
        self._model.keep(name, self._step, value)
        self.writer.write(value, REPEATED[name])
        return value


def _put_length(packing: _Packing, length: int, step: Step) -> None:
    """Exp-Golomb of order 0 with a learned prefix."""
    size = (length + 1).bit_length()
    if size > _LENGTH_BITS:
        raise UnsupportedError(f"a frame of {length} bytes")
    first = CONTEXTS[_LENGTH] + step.group * _LENGTH_BITS
    for index in range(size):
        packing.flag(int(index < size - 1), first + index)
    packing.raw(length + 1 - (1 << size - 1), size - 1)


def _get_length(unpacking: _Unpacking, step: Step) -> int:
    first = CONTEXTS[_LENGTH] + step.group * _LENGTH_BITS
    size = 0
    while unpacking.flag(first + size):
        size += 1
        if size == _LENGTH_BITS:
            raise CorruptError("a frame's length is out of range", field="video")
    return (1 << size) + unpacking.raw(size) - 1


def pack(
    units: Many[tuple[int, bytes]], steps: Many[Step], sequence: Sequence, model: Model
) -> bytes:
    """The payload of some steps.

    Args:
        units: (type, payload) of the frame units, one for each step.
        steps: of the structure, in coding order.
        model: is updated; the next payload of the clip goes on with it.

    Raises:
        UnsupportedError: a unit is not what its step says.
    """
    out = FlagEncoder()
    for (kind, payload), step in zip(units, steps, strict=True):
        flags: list[tuple[int, int]] = []
        packing = _Packing(payload, step, model, flags)
        if kind != (FRAME_HEADER if step.kind == SHOW else FRAME):
            raise UnsupportedError(f"a unit of type {kind} in place of {step}")
        goes_on = walk(packing, step, sequence, model.references)
        if step.kind == SHOW:
            continue
        if not goes_on:
            packing.fixed(0, -packing.reader.position % 8)
        tail = packing.reader.rest()
        _put_length(packing, len(tail), step)
        values, chances = np.array(flags, np.int64).T
        out.put(values, chances)
        bits = np.unpackbits(np.frombuffer(tail, np.uint8))
        out.put(bits, np.full(bits.size, HALF))
    return out.finish()


def unpack(payload: bytes, steps: Many[Step], sequence: Sequence, model: Model) -> list[bytes]:
    """The OBUs of some steps, back from their payload.

    Raises:
        CorruptError: nothing that `pack` writes.
    """
    source, left = FlagDecoder(payload, "video"), len(payload) + 16
    units = []
    for step in steps:
        unpacking = _Unpacking(source, step, model)
        writer = unpacking.writer
        goes_on = walk(unpacking, step, sequence, model.references)
        if step.kind == SHOW:
            writer.write(1, 1)  # trailing bit
            units.append(obu(FRAME_HEADER, writer.to_bytes()))
            continue
        length = _get_length(unpacking, step)
        left -= length
        if left < 0:
            raise CorruptError("frames are longer than their payload", field="video")
        tail = np.packbits(source.get(np.full(8 * length, HALF)).astype(np.uint8)).tobytes()
        if not goes_on:
            units.append(obu(FRAME, writer.to_bytes() + tail))
            continue
        size = (writer.size + 8 * length) // 8 * 8 - writer.size  # the tail's filling is cut off
        if size < 0:
            raise CorruptError("a frame's header is cut off", field="video")
        value = int.from_bytes(tail, "big") >> 8 * length - size
        writer.write(value, size)
        units.append(obu(FRAME, writer.to_bytes()))
    return units
