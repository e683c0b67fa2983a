"""Tools left out: arms of their own, and what that costs."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.eval.ablation import changes, markdown
from gistcast.eval.codecs.base import Geometry, keeps_limits
from gistcast.eval.codecs.family import codecs_of


def test_each_choice_is_an_arm_of_its_own(short_clip: Clip) -> None:
    for choice, words in (
        ("without-video+motion", "--without motion,video"),
        ("quality", "-q 40"),
        ("fast", "--preset fast"),
        ("detail", "detail, and not refined"),
    ):
        (codec,), _ = codecs_of(f"gistcast:{choice}", (64, 64), "cpu")
        assert words in codec.settings(40.0)
        assert keeps_limits(codec) == (choice != "quality")
        coded = codec.encode(short_clip, Fraction(25), 400.0 if choice != "quality" else 40.0)
        shown = codec.decode(coded, Geometry.of(short_clip))
        refined = [f"{choice}-refined"] if choice == "detail" else []
        assert list(shown) == [f"{choice}-sketch", *refined]
    with pytest.raises(UsageError, match="magic"):
        codecs_of("gistcast:without-magic", (64, 64), "cpu")


def _rows(arm: str, dearer: float, seconds: float) -> list[dict[str, Any]]:
    return [
        {"codec": "gistcast", "arm": arm, "clip": f"{clip}.mp4", "width": 64, "height": 64,
         "bytes": round(100 * 2**step * dearer), "psnr_rgb": 20 + 3 * step + clip,
         "encode_seconds": seconds}
        for clip in range(4) for step in range(7)
    ]  # fmt: skip


def test_more_bytes_at_equal_quality_are_a_positive_figure() -> None:
    rows = _rows("sketch", 1.0, 2.0) + _rows("without-motion-sketch", 1.1, 1.0)
    rows += _rows("without-motion-refined", 3.0, 9.0)  # no sketch
    (found,) = changes(rows, "psnr_rgb", (200, 2000))
    assert found.percent == pytest.approx(10, abs=0.3)
    assert found.low is not None and found.low > 9
    assert (found.worse, found.clips) == (4, 4)
    assert math.isclose(found.time, 0.5)
    text = list(markdown(rows, "psnr_rgb"))
    assert any(line.startswith("| without-motion | +10.") for line in text)
