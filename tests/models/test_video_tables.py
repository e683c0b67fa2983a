"""The tables of the video layers: made again, and what their counts are worth."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, load_file

from gistcast.cli.bench import DEMO
from gistcast.codec import av1
from gistcast.codec.errors import GistcastError
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.codec.video import encode
from gistcast.codec.videocoder import CONTEXTS, Model, pack
from gistcast.models import video_tables
from gistcast.models.video_tables import find_structures, fit, header_bits, read_step, record


@pytest.fixture
def videos(tmp_path: Path, make_clip) -> Path:
    """A folder with one small video."""
    folder = tmp_path / "train"
    folder.mkdir()
    writer = VideoWriter(folder / "a.mp4", VideoInfo(64, 64, Fraction(25)))
    writer.write(make_clip(frames=8))
    writer.close()
    return folder


def test_a_table_is_made_again(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_tables, "find_structures", _quickly)
    target = tmp_path / "new.safetensors"
    figures = video_tables.make(videos, target, source=DEMO, limit=1, seed=1, check=videos)
    made, shipped = load_file(str(target)), load(av1.TABLE.read_bytes())
    assert np.array_equal(made["structure"], shipped["structure"])
    assert made["counts"].dtype == np.uint8 and made["counts"].shape == shipped["counts"].shape
    assert made["counts"].min() >= 1 and (made["counts"] > 1).any()
    assert figures["structures_as_shipped"] is True
    assert figures["checked"] == figures["samples"] == 4  # 8 and 4 frames kept, two qualities
    assert figures["new_headers"] < figures["shipped_headers"]  # it has seen these very flags
    saved = figures["shipped_headers"] - figures["new_headers"]
    assert figures["shipped"] - figures["new"] == pytest.approx(saved, abs=0.02)


def _quickly(source: Path) -> video_tables.Structures:
    return find_structures(source, ((64, 64),), (60,))


def test_a_header_that_is_no_step_is_told() -> None:
    with pytest.raises(av1.UnsupportedError, match="type 2"):
        read_step(av1.FRAME, bytes([0b0101_0000, 0, 0]))  # intra only
    with pytest.raises(av1.UnsupportedError, match="early"):
        read_step(av1.FRAME, bytes([0b0011_0000]))


def test_bits_of_headers_are_those_of_the_coder(make_clip) -> None:
    """Two counts that differ by what a payload differs by."""
    clip = make_clip(frames=8)
    seen, size = record(clip, 8, 60, 4, av1.structures())
    units, flat = encode(clip, 8, 60, 4), Model()
    counts = np.ones((CONTEXTS["end"], 2), np.uint8)
    flat._counts = counts.tolist()
    longer = len(pack(units.units, units.steps, units.sequence, flat)) - size
    shipped = load(av1.TABLE.read_bytes())["counts"]
    bits = header_bits(seen, counts).sum() - header_bits(seen, shipped).sum()
    assert longer > 8
    assert bits / 8 == pytest.approx(longer, abs=1)


def test_counts_follow_the_flags() -> None:
    """One clip's surprise stays a guess; what all clips agree on is believed at once."""
    seen = np.zeros((5, 4, 2), np.int64)
    seen[:, 0] = 30, 0
    seen[:, 1] = [(20, 0), (0, 20), (20, 0), (0, 20), (20, 0)]  # each clip agrees with itself only
    seen[:, 2] = 10, 30
    counts = fit(seen)
    assert counts[0].tolist() == [249, 1]
    assert counts[1].tolist() == [1, 1]
    assert counts[2, 1] / counts[2].sum() == pytest.approx(0.75, abs=0.02)
    assert counts[2].sum() >= 60
    assert counts[3].tolist() == [1, 1]


def test_no_videos_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(GistcastError, match="no videos"):
        video_tables.draw(tmp_path, av1.structures(), limit=1, seed=1)
