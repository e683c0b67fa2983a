"""The codecs under test."""

from __future__ import annotations

from gistcast.codec.errors import UsageError
from gistcast.eval.codecs.base import Codec, Coded, spread
from gistcast.eval.codecs.ffmpeg import FfmpegCodec
from gistcast.eval.codecs.svtav1 import SVT_AV1
from gistcast.eval.codecs.vp9 import VP9
from gistcast.eval.codecs.x264 import X264
from gistcast.eval.codecs.x265 import X265

STANDARD: tuple[FfmpegCodec, ...] = (X264, X265, VP9, SVT_AV1)

__all__ = ["STANDARD", "Codec", "Coded", "spread", "standard_codec"]


def standard_codec(name: str) -> FfmpegCodec:
    """The standard codec of that name.

    Raises:
        UsageError: there is none.
    """
    for codec in STANDARD:
        if codec.name == name:
            return codec
    raise UsageError(f"no codec {name!r}; there are {', '.join(c.name for c in STANDARD)}")
