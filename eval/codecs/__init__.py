"""The codecs under test."""

from __future__ import annotations

from gistcast.codec.errors import UsageError
from gistcast.eval.codecs.base import BARE, Codec, Coded, Geometry, spread
from gistcast.eval.codecs.executable import ExecutableCodec
from gistcast.eval.codecs.ffmpeg import FfmpegCodec
from gistcast.eval.codecs.libaom import LIBAOM, LIBAOM_BARE, LIBAOM_REALTIME
from gistcast.eval.codecs.svtav1 import SVT_AV1, SVT_AV1_BARE, SVT_AV1_REALTIME
from gistcast.eval.codecs.vp8 import VP8, VP8_REALTIME
from gistcast.eval.codecs.vp9 import VP9, VP9_REALTIME
from gistcast.eval.codecs.vvenc import VVENC
from gistcast.eval.codecs.x264 import X264, X264_BARE, X264_REALTIME
from gistcast.eval.codecs.x265 import X265, X265_BARE, X265_REALTIME

#: every standard codec in each of its modes
STANDARD: tuple[FfmpegCodec | ExecutableCodec, ...] = (
    X264,
    X264_REALTIME,
    X264_BARE,
    X265,
    X265_REALTIME,
    X265_BARE,
    VP8,
    VP8_REALTIME,
    VP9,
    VP9_REALTIME,
    SVT_AV1,
    SVT_AV1_REALTIME,
    SVT_AV1_BARE,
    LIBAOM,
    LIBAOM_REALTIME,
    LIBAOM_BARE,
    VVENC,
)
STANDARD_NAMES = tuple(dict.fromkeys(codec.name for codec in STANDARD))
#: as they are asked for: "x264" stands for all its modes but "bare", which is "x264:bare"
STANDARD_SPECS = (
    *STANDARD_NAMES,
    *(f"{codec.name}:{BARE}" for codec in STANDARD if codec.mode == BARE),
)

__all__ = [
    "STANDARD",
    "STANDARD_NAMES",
    "STANDARD_SPECS",
    "Codec",
    "Coded",
    "Geometry",
    "spread",
    "standard_codecs",
]


def standard_codecs(spec: str) -> list[Codec]:
    """The standard codec that one of `STANDARD_SPECS` names, in each of its modes.

    Raises:
        UsageError: there is none.
    """
    found: list[Codec] = [
        codec
        for codec in STANDARD
        if spec == (f"{codec.name}:{BARE}" if codec.mode == BARE else codec.name)
    ]
    if not found:
        raise UsageError(f"no codec {spec!r}; there are {', '.join(STANDARD_SPECS)}")
    return found
