"""The blind sheet: fair sides, and a page that counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import numpy as np
import pytest

from gistcast.eval.blind import Pair, Shown, write_sheet
from gistcast.eval.webp import encode_webp

NAMES = ("one", "two", "three </script>", "four", "five", "six")


def pair(clip: str) -> Pair:
    seed = NAMES.index(clip)
    frames = np.random.default_rng(seed).integers(0, 255, (8, 4 * 8, 3), dtype=np.uint8)
    shown = [Shown(who, "300 B", encode_webp(frames)) for who in ("source", "gistcast", "x264")]
    return Pair(clip, 8, 8, 4, 25.0, *shown)


@pytest.fixture(scope="module")
def page() -> str:
    return write_sheet([pair(name) for name in NAMES], seed=3)


def trials(page: str) -> list[dict[str, object]]:
    found = re.search(r'id="trials">(.*?)</script>', page, re.S)
    assert found is not None
    parsed: list[dict[str, object]] = json.loads(found[1])
    return parsed


def test_half_of_ours_are_on_the_left_in_an_order_of_the_seed(page: str) -> None:
    found = trials(page)
    assert sorted(str(t["clip"]) for t in found) == sorted(NAMES)
    assert [t["ours"] for t in found].count("left") == 3
    assert page == write_sheet([pair(name) for name in NAMES], seed=3)
    assert trials(write_sheet([pair(name) for name in NAMES], seed=4)) != found


def test_the_page_counts_the_choices_and_tells_at_the_end(
    page: str, dump_dom: Callable[..., str]
) -> None:
    begun = dump_dom(page, 'id="progress">1 of 6<')
    assert "x264" not in re.sub(r"<script.*?</script>", "", begun, flags=re.S)
    answers = "<script>for (const t of trials) choose(t.clip === 'one' ? 'left' : t.ours);</script>"
    whole = page.replace("</body>", f"{answers}</body>")
    ended = dump_dom(whole, "gistcast was chosen in")
    left = next(t["ours"] for t in trials(page) if t["clip"] == "one") == "left"
    assert f"gistcast was chosen in {6 if left else 5} of 6 clips" in ended
    assert f"probability {'0.031' if left else '0.22'}" in ended
    assert "three &lt;/script&gt;" in ended
