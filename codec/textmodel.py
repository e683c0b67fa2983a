"""Letters of a text, predicted from those before by what sample sentences hold (PPM, method D).

    letters before --longest known ending--> counts --> "one of these?" --yes--> which
                            '--one shorter <-- no --'        (flags with integer probabilities)

All probabilities are quotients of counts, so that every machine reads the same letters. Source:
Cleary and Witten, "Data Compression Using Adaptive Coding and Partial String Matching" (1984);
Howard, "The Design and Analysis of Efficient Lossless Data Compression Systems" (1993), for D.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from gistcast.codec.rangecoder import FlagDecoder, FlagEncoder

ORDER = 6  #: most letters looked back at
_EVEN = 32768  # probability one half

Counts = dict[bytes, dict[int, int]]
Flag = Callable[[int, int | None], int]  # probability, the flag if it is known -> the flag


@lru_cache(maxsize=1)
def sample_counts() -> Counts:
    """How often each letter follows each ending of 0 to 6 letters in `tables/text-2.txt`."""
    return count((Path(__file__).parent / "tables" / "text-2.txt").read_bytes())


def count(samples: bytes) -> Counts:
    """Counts of samples that end with line feeds."""
    counts: Counts = {}
    for line in samples.splitlines():
        text = b"\n" + line
        for at in range(1, len(text)):
            for order in range(min(at, ORDER) + 1):
                row = counts.setdefault(text[at - order : at], {})
                row[text[at]] = row.get(text[at], 0) + 1
    return counts


def encode_letters(text: bytes) -> bytes:
    """Letters -> bytes; their number is not part of them."""
    out = FlagEncoder()

    def put(probability: int, flag: int | None) -> int:
        out.put(np.array([flag]), np.array([probability]))
        return int(flag or 0)

    for at in range(len(text)):
        _letter(put, b"\n" + text[:at], text[at])
    return out.finish()


def decode_letters(data: bytes, length: int) -> bytes:
    """Bytes -> `length` letters.

    Raises:
        CorruptError: the bytes cannot have been written for them.
    """
    source = FlagDecoder(data, "text")

    def get(probability: int, flag: int | None) -> int:
        return int(source.get(np.array([probability]))[0])

    text = b"\n"
    for _ in range(length):
        text += bytes([_letter(get, text, None)])
    return text[1:]


def _letter(code: Flag, before: bytes, known: int | None) -> int:
    """Code one letter after `before`."""
    counts, seen = sample_counts(), set[int]()
    for row in _endings(counts, before):
        weights = {letter: 2 * n - 1 for letter, n in row.items() if letter not in seen}
        if not weights:
            continue
        rest = sum(weights.values())
        here = None if known is None else int(known in weights)
        if code(_probability(rest, rest + len(weights)), here):
            return _choose(code, weights, rest, known)
        seen |= weights.keys()
    letter = 0
    for bit in range(7, -1, -1):
        flag = code(_EVEN, None if known is None else known >> bit & 1)
        letter = 2 * letter + flag
    return letter


def _endings(counts: Counts, before: bytes) -> Iterator[dict[int, int]]:
    """Counts after the endings of `before`, the longest first."""
    for order in range(min(ORDER, len(before)), -1, -1):
        row = counts.get(before[len(before) - order :])
        if row:
            yield row


def _choose(code: Flag, weights: dict[int, int], rest: int, known: int | None) -> int:
    """One of the letters, the likeliest asked for first."""
    ranked = sorted(weights, key=lambda letter: (-weights[letter], letter))
    for letter in ranked[:-1]:
        this = None if known is None else int(known == letter)
        if code(_probability(weights[letter], rest), this):
            return letter
        rest -= weights[letter]
    return ranked[-1]


def _probability(part: int, whole: int) -> int:
    return min(65535, max(1, part * 65536 // whole))
