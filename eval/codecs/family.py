"""From what the user names to codec objects, in every process alike.

"x265"                 delay-matched and in real time
"x265:bare"            without filters in the loop
"gistcast"             each of its choices of layers
"./mine.py:CODEC"      an object of the user's own
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gistcast.eval.codecs import STANDARD_SPECS, Codec, standard_codecs
from gistcast.eval.codecs.gistcast import gistcast_codecs
from gistcast.eval.summary import OURS

NAMES = (OURS, *STANDARD_SPECS)  #: what is measured when nothing is named


@dataclass(frozen=True)
class Member:
    """A codec by its place in its family: small, and the same in every process.

    Attributes:
        spec: what the user named.
        index: which of the codecs that this stands for.
        device: auto, cpu or cuda, for networks.
    """

    spec: str
    index: int
    device: str


@lru_cache(maxsize=64)
def codecs_of(
    spec: str, size: tuple[int, int], device: str
) -> tuple[tuple[Codec, ...], tuple[str, ...]]:
    """The codecs that a name stands for, and what is left out and why.

    Raises:
        UsageError: the name stands for nothing.
        GistcastError: the user's codec cannot be loaded.
    """
    if spec.split(":")[0] == OURS:
        found, left_out = gistcast_codecs(device, size, spec.partition(":")[2])
        return tuple(found), tuple(left_out)
    if ":" in spec and spec not in STANDARD_SPECS:
        from gistcast.eval.codecs.plugin import load_codec

        return (load_codec(spec),), ()
    return tuple(standard_codecs(spec)), ()
