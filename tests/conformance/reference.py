"""A second decoder of formats 1.0 to 3.0, from bytes to symbols, written from `docs/bitstream.md`.

Slow on purpose: integers, lists and loops, one coefficient at a time; of the standard library,
zlib inflates text and json reads the head of the tables file. It shares nothing with gistcast,
so that the two agree only where the document says what both of them do. Numbers in comments
are sections of the document.

    bytes --read_clips--> packets --decode_clip--> text, latent, levels     (pixels: not here)
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from reference_bytes import CorruptInputError, RangeDecoder, need, read_clips, varint
from reference_context import Band, Context, Group, Layout, Levels, Signs, Tables
from reference_motion import Motion, margins, read_golomb, read_motion
from reference_video import AV1Decoder, Rows, Units, VideoTables, decode_video

TEXT, LATENT, RESIDUAL, VIDEO = 0, 1, 2, 12


def decode_text(payload: bytes, dictionary: bytes, samples: bytes) -> str:
    """Section 8."""
    if payload and payload[0] & 6 == 6:
        return decode_letters(payload, samples)
    inflate = zlib.decompressobj(-15, dictionary)
    try:
        raw = inflate.decompress(payload, 1001)
        need(len(raw) <= 1000 and inflate.eof and not inflate.unused_data, "text")
        return raw.decode("utf-8")
    except (zlib.error, UnicodeDecodeError) as error:
        raise CorruptInputError("text") from error


def decode_letters(payload: bytes, samples: bytes) -> str:
    """Section 8.2."""
    length, at = payload[0] // 8 * 2 + payload[0] % 2, 1
    if length == 63:
        need(len(payload) >= 3, "text")
        length, at = 63 + payload[1] * 256 + payload[2], 3
    need(length <= 1000, "text")
    coder, text = RangeDecoder(payload[at:]), b"\n"
    follows = letters_after(samples)
    for _ in range(length):
        seen: list[int] = []
        letter = None
        for order in range(min(6, len(text)), -1, -1):
            row = follows.get(text[len(text) - order :], {})
            weights = [(2 * n - 1, c) for c, n in row.items() if c not in seen]
            if not weights:
                continue
            total = sum(w for w, _ in weights)
            if coder.flag(share(total, total + len(weights))):
                weights.sort(key=lambda pair: (-pair[0], pair[1]))
                while len(weights) > 1 and not coder.flag(share(weights[0][0], total)):
                    total -= weights.pop(0)[0]
                letter = weights[0][1]
                break
            seen += [c for _, c in weights]
        if letter is None:
            letter = sum(coder.flag(32768) << bit for bit in range(7, -1, -1))
        text += bytes([letter])
    try:
        return text[1:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptInputError("text") from error


def share(part: int, whole: int) -> int:
    """P(a, b) of section 9."""
    return min(65535, max(1, part * 65536 // whole))


@lru_cache(maxsize=1)
def letters_after(samples: bytes) -> dict[bytes, dict[int, int]]:
    """Section 8.2: how often which letter follows which ending."""
    follows: dict[bytes, dict[int, int]] = {}
    for sentence in samples.split(b"\n")[:-1]:
        line = b"\n" + sentence
        for at in range(1, len(line)):
            for order in range(min(at, 6) + 1):
                row = follows.setdefault(line[at - order : at], {})
                row[line[at]] = row.get(line[at], 0) + 1
    return follows


def decode_latent(payload: bytes, frequencies: Sequence[Sequence[int]]) -> list[int]:
    """Section 9."""
    coder = RangeDecoder(payload)
    values = []
    for row in frequencies:
        middle = len(row) // 2
        sides = row[middle + 1 :], row[:middle][::-1]

        def flag(part: int, whole: int) -> int:
            return coder.flag(min(65535, max(1, part * 65536 // whole)))

        value = 0
        if flag(32768 - row[middle], 32768):
            minus = flag(sum(sides[1]), sum(sides[0]) + sum(sides[1]))
            side, value = sides[minus], 1
            while value < middle and flag(sum(side[value:]), sum(side[value - 1 :])):
                value += 1
            value = -value if minus else value
        values.append(value)
    return values


def read_phase(coder: RangeDecoder, chances: list[tuple[int, int, int]], signed: bool) -> list[int]:
    """Section 13.2: levels of one phase from the probabilities of its positions; their magnitudes
    alone, unless `signed`, as before version 3 (section 18)."""
    levels = [coder.flag(p[0]) for p in chances]
    found = [i for i, level in enumerate(levels) if level]
    minus = {i for i in found if signed and coder.flag(32768)}
    open_ = [i for i in found if coder.flag(chances[i][1])]
    for i in open_:
        levels[i] = 2
    for _ in range(13):
        open_ = [i for i in open_ if coder.flag(chances[i][2])]
        for i in open_:
            levels[i] += 1
    for i in open_:
        levels[i] += read_golomb(coder, 2)
    return [-level if i in minus else level for i, level in enumerate(levels)]


def read_group(
    coder: RangeDecoder, levels: Levels, group: Group, tables: Tables, quantiser: int
) -> None:
    """Section 13.2: presence flag and, if it is 1, both phases and the signs."""
    row, column = levels.presence_context(group)
    band, frames = (group.level, group.orientation), levels.layout.frames
    if not coder.flag(tables.rows["presence"][row][column]):
        return
    levels.present.add((group.plane, band, group.temporal))
    context = Context(levels, group, quantiser)
    height, width = levels.layout.sizes[group.plane][band]
    for phase in (0, 1):
        places, chances = [], []
        for t in range(group.start, group.stop):
            bias = tables.bias(group, frames, phase, t)
            for y in range(height):
                for x in range((t + y + phase) % 2, width, 2):
                    places.append((t, y, x))
                    chances.append(tables.probabilities(context.features(phase, t, y, x), bias))
        found = read_phase(coder, chances, not tables.predicts_signs)
        for (t, y, x), level in zip(places, found, strict=True):
            levels.signed[group.plane][band][t][y][x] = level
            levels.magnitude[group.plane][band][t][y][x] = min(31, abs(level))
    if tables.predicts_signs:
        read_signs(coder, levels, group, tables)


def read_signs(coder: RangeDecoder, levels: Levels, group: Group, tables: Tables) -> None:
    """Section 13.2: the signs of a group, all of whose levels are positive so far."""
    signs, band = Signs(levels, group), (group.level, group.orientation)
    for t in range(group.start, group.stop):
        for y, row in enumerate(levels.signed[group.plane][band][t]):
            for x, level in enumerate(row):
                if level and coder.flag(tables.minus(signs.inputs(t, y, x), group)):
                    row[x] = -level


@dataclass
class Residual:
    """What the residual layers of a clip say."""

    quantiser: int | None = None
    layers: int = 0
    motion: Motion | None = None
    levels: list[dict[Band, list[list[list[int]]]]] = field(default_factory=list)


def read_residual(
    payloads: list[bytes], size: tuple[int, int, int], tables: Tables, moving: bool
) -> Residual:
    """Section 13.1; `size` is frames, height and width; `moving`: not version 1."""
    if not payloads or not payloads[0]:
        return Residual()
    found, done = Residual(payloads[0][0], len(payloads)), 0
    layout = Layout(*size)
    levels = Levels(layout)
    for index, payload in enumerate(payloads):
        try:
            count, start = varint(payload, int(index == 0), len(layout.groups))
            left = len(layout.groups) - done
            need(count <= left, "more groups than there are")
            coder = RangeDecoder(payload[start:])
            if index == 0 and moving:
                found.motion = read_motion(coder)
                if found.motion:
                    layout = Layout(*size, margins(found.motion, *size))
                    levels = Levels(layout)
            for group in layout.groups[done : done + (count or left)]:
                read_group(coder, levels, group, tables, payloads[0][0])
            done += count or left
        except CorruptInputError:
            return read_residual(payloads[:index], size, tables, moving)
    found.levels = levels.signed
    return found


@dataclass
class DecodedClip:
    """Symbols of a clip."""

    number: int
    frames: int
    text: str | None = None
    latent: list[int] | None = None
    video: tuple[Units, list[list[Rows]]] | None = None
    residual: Residual = field(default_factory=Residual)

    def sha256(self) -> str:
        """As in tests/golden/v*/symbols.json."""
        digest = hashlib.sha256()
        if self.latent is not None:
            digest.update(struct.pack(f"<{len(self.latent)}i", *self.latent))
        residual = self.residual
        digest.update(repr((self.text, residual.quantiser, residual.layers)).encode())
        if residual.motion:
            digest.update(repr((residual.motion.unit, residual.motion.rows)).encode())
        if self.video:
            for data in self.video[0].units:
                digest.update(data)
            for frames in self.video[1]:
                for rows in frames:
                    digest.update(b"".join(rows))
        for plane in residual.levels:
            for band in sorted(plane):
                for rows in plane[band]:
                    for row in rows:
                        digest.update(struct.pack(f"<{len(row)}i", *row))
        return digest.hexdigest()


def run(layers: dict[int, bytes], first: int, end: int) -> list[bytes]:
    """Payloads of layers `first`, `first` + 1, .. up to the first that is missing."""
    found: list[bytes] = []
    while first + len(found) < end and first + len(found) in layers:
        found.append(layers[first + len(found)])
    return found


def decode(
    data: bytes,
    tables_file: bytes,
    dictionary: bytes,
    frequencies: Sequence[Sequence[int]] | None = None,
    video_tables: VideoTables | None = None,
    av1: AV1Decoder | None = None,
    samples: bytes = b"",
) -> list[DecodedClip]:
    """All clips of a file; video with the AV1 decoder that is brought along."""
    header, clips = read_clips(data)
    tables, decoded = Tables(tables_file), []
    need(hashlib.sha256(tables.hash + dictionary).digest()[:4] == header.tables, "other tables")
    for number, packets in clips:
        lengths = {p.frames or header.clip_frames for p in packets}
        need(len(lengths) == 1 and max(lengths) <= header.clip_frames, "frames")
        clip = DecodedClip(number, lengths.pop())
        layers = {p.layer: p.payload for p in packets}
        with suppress(CorruptInputError):
            if TEXT in layers:
                clip.text = decode_text(layers[TEXT], dictionary, samples)
        if LATENT in layers and header.model and frequencies is not None:
            with suppress(CorruptInputError):
                clip.latent = decode_latent(layers[LATENT], frequencies)
        coded = run(layers, VIDEO, 16) if header.version > 1 else []
        while coded and video_tables and av1 and clip.video is None:
            with suppress(CorruptInputError):
                clip.video = decode_video(
                    coded, clip.frames, header.width, header.height, video_tables, av1
                )
            coded.pop()
        payloads = run(layers, RESIDUAL, VIDEO if header.version > 1 else 16)
        if clip.video:
            payloads = []
        size = clip.frames, header.height, header.width
        clip.residual = read_residual(payloads, size, tables, header.version > 1)
        decoded.append(clip)
    return decoded
