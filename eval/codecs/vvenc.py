"""H.266 by VVenC: preset slow, without perceptual adaptation, random access, one key frame.

"slower" takes six times as long here and its streams are not smaller (three clips: 974 to 5,536
bytes, within 4 % either way). It has no mode without look-ahead, so there is no real-time arm.
"""

from __future__ import annotations

from gistcast.eval.codecs.annexb import strip_h266
from gistcast.eval.codecs.executable import ExecutableCodec


def _options(qp: float) -> dict[str, str]:
    # the intra period is a multiple of the 32 pictures of VVenC's hierarchy, beyond our clip
    return {"preset": "slow", "qp": f"{qp:g}", "qpa": "0", "g": "64"}


def _split(data: bytes) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    return (strip_h266(data),), ()


VVENC = ExecutableCodec(
    name="vvenc",
    encoder="libvvenc",
    decoder="vvc",
    options=_options,
    muxer="vvc",
    split=_split,
    points=(60, 54, 49, 44, 39, 34, 29, 24),
    counted=(
        "Annex B stream, parameter sets once, three-byte start codes, no SEI or delimiters, "
        "no container"
    ),
    depth=10,
)
