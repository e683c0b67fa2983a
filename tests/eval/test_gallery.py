"""Film strips as one picture."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gistcast.codec.clip import Clip
from gistcast.codec.colour import clip_to_rgb
from gistcast.eval import gallery
from gistcast.eval.inputs import Source


def test_a_clips_rows_are_source_ours_and_theirs(
    source: Source, short_clip: Clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, cache = tmp_path / "strip.png", str(tmp_path / "cache.sqlite")
    arguments = ["--codecs", "gistcast:plain,x264", "--cache", cache, "--jobs", "1"]
    arguments += ["--frames", "4", "--zoom", "1", "--bytes", "640", "-o", str(out)]
    assert gallery.main([str(source.path), *arguments]) == 0
    with Image.open(io.BytesIO(out.read_bytes())) as picture:
        shown = np.asarray(picture)
    assert shown.shape == (4 * 64, 4 * 64, 3)
    wanted = clip_to_rgb(short_clip)[[0, 2, 5, 7]]
    assert np.array_equal(shown[:64], np.concatenate(list(wanted), 1))
    assert not np.array_equal(shown[64:128], shown[128:192])  # stage 2 did something
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1].rstrip(":") for line in lines] == ["source", "sketch", "ours", "theirs"]
    sizes = [int(found[1]) for line in lines if (found := re.search(r"(\d+) B", line))]
    assert 0 < sizes[2] <= sizes[0] == sizes[1] <= 640
    assert "gistcast refined" in lines[2] and "x264" in lines[3]


def test_clips_are_stacked_with_white_between() -> None:
    wide, narrow = (np.zeros((2, width, 3), np.uint8) for width in (5, 3))
    made = gallery.stacked([wide, narrow], 2)
    assert made.shape == (2 * (2 + 4 + 2), 10, 3)
    assert (made[4:12] == 255).all() and (made[12:, 6:] == 255).all()
    assert not made[:4].any() and not made[12:, :6].any()


def test_it_says_what_cannot_be(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert gallery.main([str(tmp_path / "none.mp4"), "-o", str(tmp_path / "x.png")]) == 1
    assert "none.mp4" in capsys.readouterr().err
