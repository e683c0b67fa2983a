"""Text to a vector: hashed words and character trigrams, a learned table, one linear map.

    "playing golf" -> words, trigrams --CRC-32--> rows of a table --mean--> linear --> (d,)

Any string works: unknown words land in some row, and share trigrams with known ones. The hash is
an integer function of UTF-8 bytes, the same everywhere.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

BUCKETS = 2048
_WORDS = re.compile(r"\w+")


def features(text: str) -> list[int]:
    """Table rows of a text: one per word and one per character trigram, in order of appearance."""
    rows: list[int] = []
    for word in _WORDS.findall(unicodedata.normalize("NFKC", text).casefold()):
        padded = f"<{word}>"
        grams = [padded[i : i + 3] for i in range(len(padded) - 2)]
        rows += [zlib.crc32(f.encode()) % BUCKETS for f in (f"w:{word}", *grams)]
    return rows


class TextEncoder(nn.Module):
    """Embed sentences.

    Args:
        dimensions: length of the embedding.
    """

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.table = nn.Parameter(torch.randn(BUCKETS, dimensions))
        self.map = nn.Linear(dimensions, dimensions)

    def forward(self, texts: Sequence[str | None]) -> Tensor:
        """(N, d); exactly zero where there is no text."""
        rows = []
        for text in texts:
            index = features(text or "")
            if index:
                mean = self.table[torch.tensor(index, device=self.table.device)].mean(0)
                # the root makes the scale independent of the length of the sentence
                rows.append(self.map(mean * len(index) ** 0.5))
            else:
                rows.append(self.table.new_zeros(self.dimensions))
        return torch.stack(rows)
