"""Makes the tables of the video layers: structures, and the counts that contexts begin with.

    a clip --SVT-AV1--> frame headers --read_step--> structures
    clips --SVT-AV1--> units --pack--> flags of each clip and context --fit--> counts

A table is part of the format's version: this makes a new file, never the one that is shipped.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence as Many
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load
from safetensors.numpy import save as dump_safetensors
from scipy.special import betaln
from tqdm import tqdm

from gistcast.codec import av1
from gistcast.codec.av1 import INTER, KEY, SHOW, Step, UnsupportedError
from gistcast.codec.clip import Clip
from gistcast.codec.errors import GistcastError
from gistcast.codec.media import load_clip
from gistcast.codec.video import encode
from gistcast.codec.videocoder import CONTEXTS, Model, pack

Seen = NDArray[np.int64]
Structures = dict[tuple[int, int], tuple[Step, ...]]

_SIZES, _CRFS = ((64, 64), (128, 96), (256, 256)), (30, 60)  # that structures are looked for at
_PRESETS = (4,), (6, 8)  # of SVT-AV1, by variant
_TOTALS = 2, 3, 4, 6, 8, 12, 20, 32, 60, 120, 250  # zeros and ones that a context may begin with


def read_step(kind: int, payload: bytes) -> Step:
    """The step that a frame unit is, from the head of its header (AV1, 5.9.2).

    Args:
        kind: OBU type.
        payload: of the unit.

    Raises:
        UnsupportedError: it ends early, or is no frame that steps can say.
    """
    bits = av1.BitReader(payload)
    if bits.read(1):
        return Step(SHOW, slot=bits.read(3))
    frame, shown = bits.read(2), bool(bits.read(1))
    if frame == KEY and shown:
        return Step(KEY)
    if kind != av1.FRAME or frame != INTER:
        raise UnsupportedError(f"a frame of type {frame} in a unit of type {kind}")
    bits.read((not shown) + 4)  # up to frame_size_override_flag; `pack` checks what is passed over
    order, primary, refresh = bits.read(av1.ORDER_HINT_BITS), bits.read(3), bits.read(8)
    bits.read(1)  # frame_refs_short_signaling
    return Step(INTER, shown, order, primary, refresh, tuple(bits.read(3) for _ in range(7)))


def find_structures(
    source: Path, sizes: Many[tuple[int, int]] = _SIZES, crfs: Many[float] = _CRFS
) -> Structures:
    """(Variant, coded frames) -> the steps in which SVT-AV1 codes most often.

    Args:
        source: a video of 32 frames or more.
        sizes: (width, height) to code it at.
        crfs: to code it at.

    Raises:
        UnsupportedError: an encode is not what the format can say.
    """
    clips = [load_clip(source, size=size)[0] for size in sizes]
    out: Structures = {}
    for kept in av1.CODED_FRAMES:
        for variant, presets in enumerate(_PRESETS):
            found: Counter[tuple[Step, ...]] = Counter()
            for clip, preset, crf in ((c, p, q) for c in clips for p in presets for q in crfs):
                units = encode(clip, kept, crf, preset)
                steps = tuple(read_step(*unit) for unit in units.units)
                pack(units.units, steps, units.sequence, Model())
                found[steps] += 1
            out[variant, kept] = found.most_common(1)[0][0]
    return out


def structure_rows(structures: Structures) -> NDArray[np.uint8]:
    """Rows of the table (`docs/bitstream.md`, section 19.5), by coded frames and variant."""
    rows = []
    for (variant, kept), steps in sorted(structures.items(), key=lambda item: item[0][::-1]):
        for s in steps:
            said = (s.shown, s.order, s.primary, s.refresh)
            fields = (True, s.slot, 0, 0) if s.kind == SHOW else said
            rows.append((variant, kept, s.kind, *fields, *(s.references or (0,) * 7)))
    return np.array(rows, np.uint8)


class _Recorder(Model):
    """A model that learns nothing and counts the flags of every context, (contexts, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = np.zeros((CONTEXTS["end"], 2), np.int64)

    def learn(self, context: int, flag: int) -> None:
        self.seen[context, flag] += 1


def record(
    clip: Clip, kept: int, crf: float, preset: int, structures: Structures
) -> tuple[Seen, int]:
    """Code a clip: zeros and ones of every context (contexts, 2), bytes with the shipped table.

    Raises:
        UnsupportedError: the structures do not say how SVT-AV1 coded it.
    """
    units, recorder = encode(clip, kept, crf, preset), _Recorder()
    steps = structures[units.variant, kept]
    if len(steps) != len(units.units):
        raise UnsupportedError("another structure")
    pack(units.units, steps, units.sequence, recorder)
    return recorder.seen, len(pack(units.units, steps, units.sequence, Model()))


def draw(
    folder: Path, structures: Structures, *, limit: int, seed: int
) -> tuple[Seen, NDArray[np.int64]]:
    """`record` of some videos of a folder (`*.mp4`), stacked: of each its first clip, at a random
    size, with 32 to 4 frames kept, two random qualities each. What structures cannot say is left
    out; GistcastError if nothing is left."""
    rng, paths, found = np.random.default_rng(seed), sorted(folder.glob("*.mp4")), []
    sizes = [(64, 64)] * 3 + [(128, 128)] * 2 + [(96, 160), (256, 256)]
    order = rng.permutation(len(paths))[:limit].tolist()
    for number in tqdm(order, disable=not sys.stderr.isatty(), desc="clips"):
        clip, _ = load_clip(paths[number], size=sizes[rng.integers(len(sizes))])
        for kept in (k for k in (32, 16, 8, 4) if k <= clip.frames):
            for crf in rng.choice((40, 45, 50, 54, 57, 60, 63, 66), 2, replace=False).tolist():
                preset = int(rng.choice((4, 4, 6, 8)))
                with suppress(UnsupportedError):
                    found.append(record(clip, kept, crf, preset, structures))
    if not found:
        raise GistcastError(f"no videos in {folder} that can be coded")
    return np.stack([seen for seen, _ in found]), np.array([size for _, size in found])


def header_bits(seen: Seen, counts: NDArray[np.generic]) -> NDArray[np.float64]:
    """Bits that adaptive contexts take, (..., contexts), if they begin with these counts.

    The order of a context's flags does not matter: with z zeros and o ones to begin with, they
    have the probability B(z + zeros, o + ones) / B(z, o).
    """
    begin = counts.astype(np.float64)
    after = betaln(*np.moveaxis(begin + seen, -1, 0))
    return np.asarray((betaln(begin[..., 0], begin[..., 1]) - after) / np.log(2))


def fit(seen: Seen) -> NDArray[np.uint8]:
    """Counts with which clips (clips, contexts, 2) take fewest bits: for each total, those in
    proportion to all flags; then the best total. A context never seen begins with (1, 1)."""
    flags = seen.sum(0)
    share = (flags[:, 1] + 0.3) / (flags.sum(-1) + 0.6)
    totals = np.array(_TOTALS)[:, None]
    ones = np.clip(np.rint(share * totals), 1, totals - 1)
    choices = np.stack([totals - ones, ones], -1)  # (totals, contexts, 2)
    bits = np.stack([header_bits(seen, choice).sum(0) for choice in choices])
    best = choices[bits.argmin(0), np.arange(len(flags))]
    return np.asarray(np.where(flags.any(-1)[:, None], best, 1), dtype=np.uint8)


def make(
    folder: Path, target: Path, *, source: Path, limit: int, seed: int, check: Path | None = None
) -> dict[str, float]:
    """Write a table with new counts.

    Args:
        folder: training videos (`*.mp4`).
        source: the video that structures come from.
        limit: use only so many videos of a folder.
        check: videos on which new and shipped counts are compared.

    Returns:
        `samples`, `structures_as_shipped`; with `check` also how many were `checked`, and mean
        bytes of all and of headers with the shipped counts and the new ones.
    """
    structures = find_structures(source)
    rows, shipped = structure_rows(structures), load(av1.TABLE.read_bytes())
    seen, _ = draw(folder, structures, limit=limit, seed=seed)
    counts = fit(seen)
    target.write_bytes(dump_safetensors({"structure": rows, "counts": counts}))
    same = np.array_equal(rows, shipped["structure"])
    figures: dict[str, float] = {"samples": len(seen), "structures_as_shipped": same}
    if check:
        seen, sizes = draw(check, structures, limit=limit, seed=seed)
        old, new = (header_bits(seen, c).sum(-1).mean() / 8 for c in (shipped["counts"], counts))
        means = {"shipped_headers": old, "new_headers": new}
        means |= {"shipped": sizes.mean(), "new": sizes.mean() + new - old}
        figures |= {"checked": len(seen), **{k: round(float(v), 2) for k, v in means.items()}}
    return figures
