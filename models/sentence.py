"""What a sentence says about a scene, in integers: the same answer on every machine.

    "two men play golf in the pool" -> words, pairs of words, character trigrams --CRC-32-->
        rows of an int16 table --sum--> a score for every class --largest--> Description

A linear model over hashed features (Joulin et al., "Bag of Tricks for Efficient Text
Classification", EACL 2017); trigrams make it forgive endings and misspellings, and any string gets
an answer. Scores are sums of integers, so that no rounding can tip them.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gistcast.codec.errors import ModelError
from gistcast.models.scenes import ACTIONS, SURROUNDINGS, WEATHER

BUCKETS = 4096
UNSAID = "unsaid"  #: the first class of every factor

#: what a description consists of; append only
FACTORS: dict[str, tuple[str, ...]] = {
    "action": (UNSAID, *ACTIONS),
    "surroundings": (UNSAID, *SURROUNDINGS),
    "weather": (UNSAID, *WEATHER),
    "number": (UNSAID, "one", "two", "three"),
    "kind": (UNSAID, "man", "woman"),
    "colour": (UNSAID, "red", "blue", "green", "yellow", "orange", "purple", "pink", "white",
               "black", "grey"),
}  # fmt: skip
CLASSES = sum(len(classes) for classes in FACTORS.values())
_WORDS = re.compile(r"\w+")


class Description(NamedTuple):
    """Class numbers of `FACTORS`, 0 where nothing is said."""

    action: int = 0
    surroundings: int = 0
    weather: int = 0
    number: int = 0
    kind: int = 0
    colour: int = 0

    def named(self) -> dict[str, str]:
        """Factor -> class name."""
        return {
            name: classes[index]
            for (name, classes), index in zip(FACTORS.items(), self, strict=True)
        }


def features(text: str) -> list[int]:
    """Table rows of a text: one a word, a pair of words, and a character trigram."""
    words = _WORDS.findall(unicodedata.normalize("NFKC", text).casefold())
    keys = [f"w:{word}" for word in words]
    keys += [f"p:{a} {b}" for a, b in pairwise(words)]
    for word in words:
        padded = f"<{word}>"
        keys += [padded[i : i + 3] for i in range(len(padded) - 2)]
    return [zlib.crc32(key.encode()) % BUCKETS for key in keys]


@dataclass(frozen=True)
class SentenceEncoder:
    """The table.

    Attributes:
        table: int16 (4096, classes of all factors).
        bias: int32 (classes,).
    """

    table: NDArray[np.int16]
    bias: NDArray[np.int32]

    def __post_init__(self) -> None:
        if self.table.shape != (BUCKETS, CLASSES) or self.bias.shape != (CLASSES,):
            raise ModelError(f"a sentence table is {BUCKETS} x {CLASSES}")
        if self.table.dtype != np.int16 or self.bias.dtype != np.int32:
            raise ModelError("a sentence table is int16, its bias int32")

    def describe(self, text: str | None) -> Description:
        """What a text says; nothing where there is none."""
        rows = features(text or "")
        if not rows:
            return Description()
        scores = self.table[rows].astype(np.int64).sum(0) + self.bias
        out, start = [], 0
        for classes in FACTORS.values():
            out.append(int(scores[start : start + len(classes)].argmax()))
            start += len(classes)
        return Description(*out)
