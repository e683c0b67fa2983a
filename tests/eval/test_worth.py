"""What a description is worth: bytes at equal quality, and what stands on what a text draws."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.codec.protocol import GistModel
from gistcast.eval import worth
from gistcast.eval.worth import BUDGETS, Described, Point, markdown, measure, summaries


def test_a_text_is_worth_something_only_as_a_base(
    short_clip: Clip, knowing: Callable[..., GistModel]
) -> None:
    described = Described("set", "disc", short_clip, "a disc")
    model = knowing(short_clip, 0.8, of="a disc")
    points = {mode: measure(described, model, mode, 110) for mode in worth.MODES}
    assert all(point is not None and point.bytes <= 110 for point in points.values())
    psnr = {mode: point.psnr for mode, point in points.items() if point is not None}
    assert psnr["text"] <= psnr["neither"] < psnr["text as base"] - 3
    assert psnr["latent"] <= psnr["neither"] == psnr["auto"]
    sent = [mode for mode, point in points.items() if point is not None and point.latent]
    assert sent == ["text as base", "latent", "both"]
    assert measure(described, model, "both", 18) is None


def _points(mode: str, scale: float, latent: bool) -> list[Point]:
    return [
        Point("set", f"{clip}", mode, budget, round(scale * budget), 20 + np.log2(budget), latent)
        for clip, budget in product(range(3), BUDGETS)
    ]


def test_bytes_at_equal_quality() -> None:
    points = _points("neither", 100, False) + _points("latent", 90, True)
    points += _points("auto", 110, False)
    latent, auto = summaries(points)
    assert (latent.mode, auto.mode) == ("latent", "auto")
    assert latent.percent == pytest.approx(-10, abs=0.01)
    assert auto.percent == pytest.approx(10, abs=0.01)
    assert (latent.worse, auto.worse, auto.clips) == (0, 3, 3)
    assert [level.latents for level in latent.levels] == [3] * len(BUDGETS)
    text = "\n".join(markdown([latent, auto]))
    assert "| set | latent | -10.0 % |" in text
    assert "| 0 / 0.000 |" in text


def test_what_a_choice_loses() -> None:
    """At each budget auto is 1 dB under latent, which is 2 dB over neither."""
    points = []
    for mode, gain in (("neither", 0.0), ("latent", 2.0), ("auto", 1.0)):
        points += [Point("set", "a", mode, budget, budget, 20 + gain, False) for budget in BUDGETS]
    auto = summaries(points)[1]
    assert [level.short for level in auto.levels] == [1.0] * len(BUDGETS)
    assert [level.decibels for level in auto.levels] == [1.0] * len(BUDGETS)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    points, shape = _points("neither", 1, False)[:3], {"preset": "fast"}
    worth._write(tmp_path / "worth.json", shape, points)
    assert worth._kept(tmp_path / "worth.json", shape) == points
    assert worth._kept(tmp_path / "none", shape) == []
    with pytest.raises(UsageError, match="otherwise"):
        worth._kept(tmp_path / "worth.json", {"preset": "slow"})
