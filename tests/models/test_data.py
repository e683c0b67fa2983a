import json
from pathlib import Path

import numpy as np
import pytest

from gistcast.codec.clip import Clip
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.models.data import ClipSampler, FrameStore, build_store, resize_planes
from gistcast.models.pairs import PairReader, quantised_sketch, write_shard
from gistcast.models.stills import StillSampler
from gistcast.models.validate import measure


@pytest.fixture
def store(tmp_path: Path, make_clip) -> FrameStore:
    (tmp_path / "train").mkdir()
    rows = []
    for index in range(3):
        name = f"train/{index}.y4m"
        writer = VideoWriter(tmp_path / name, VideoInfo(50, 40, 25))  # type: ignore[arg-type]
        writer.write(make_clip(frames=20, height=40, width=50, seed=index))
        writer.close()
        rows.append({"file": name, "label": "scene", "caption": f"scene {index}", "group": "g"})
    (tmp_path / "manifest.json").write_text(json.dumps(rows))
    return build_store(tmp_path, "train", tmp_path / "cache" / "train")


def test_the_store_holds_what_was_decoded(store: FrameStore, tmp_path: Path, make_clip) -> None:
    clip = make_clip(frames=20, height=40, width=50, seed=2)
    planes = store.planes(store.sources[2], np.array([3, 7]))
    for got, whole in zip(planes, clip.planes, strict=True):
        assert np.array_equal(got, whole[[3, 7]])
    again = build_store(tmp_path, "train", tmp_path / "cache" / "train")  # from the cache
    assert again.sources == store.sources


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="manifest"):
        build_store(tmp_path, "train", tmp_path / "a")
    with pytest.raises(UsageError, match="nothing"):
        build_store(tmp_path, "stills", tmp_path / "b")


def test_samples_are_square_clips_of_one_side_of_the_split(store: FrameStore) -> None:
    held_out = store.sources[0].held_out  # one group: all on one side
    sampler = ClipSampler(store, size=32, frames=8, held_out=held_out)
    for seed in range(5):
        sample = sampler.sample(np.random.default_rng(seed))
        assert sample.clip.y.shape == (8, 32, 32)
        assert sample.clip.u.shape == (8, 16, 16)
        assert sample.caption.startswith("scene")
    with pytest.raises(UsageError):
        ClipSampler(store, frames=8, held_out=not held_out)


def test_stills_move(store: FrameStore) -> None:
    sampler = StillSampler(store, size=32, frames=8)
    clips = [sampler.sample(np.random.default_rng(seed)).clip for seed in range(12)]
    assert all(c.y.shape == (8, 32, 32) and c.v.shape == (8, 16, 16) for c in clips)
    assert sum(bool((c.y[0] != c.y[7]).any()) for c in clips) >= 6
    twin = sampler.sample(np.random.default_rng(3)).clip
    assert np.array_equal(clips[3].y, twin.y)


def test_resizing_averages(make_clip) -> None:
    clip = make_clip(frames=2, height=40, width=40)
    half = resize_planes(clip.planes, 20, 20)
    blocks = clip.y.reshape(2, 20, 2, 20, 2).mean((2, 4))
    assert np.abs(half.y - blocks).mean() < 3
    assert resize_planes(clip.planes, 40, 40).y.tolist() == clip.y.tolist()


def test_a_finer_step_makes_a_better_sketch(make_clip) -> None:
    clip = make_clip()
    quality = [measure(quantised_sketch(clip, step), clip, None).psnr for step in (400, 100, 25)]
    assert quality == sorted(quality)
    assert quality[2] > 30


def test_pairs_come_back_augmented_alike(store: FrameStore, tmp_path: Path) -> None:
    stills = StillSampler(store, size=32, frames=8)
    path = tmp_path / "pairs" / "pairs-0000.safetensors"
    write_shard(path, (stills, stills), np.random.default_rng(0), clips=3)  # type: ignore[arg-type]
    reader = PairReader(tmp_path / "pairs")
    for seed in range(8):
        for pair in reader.batch(np.random.default_rng(seed), 2):
            assert isinstance(pair.clip, Clip)
            assert pair.clip.y.shape == pair.sketch.y.shape
            # a sketch turned unlike its clip would be no better than another picture
            own = measure(pair.sketch, pair.clip, None).psnr
            turned = Clip(*(p[:, ::-1, ::-1].copy() for p in pair.sketch.planes))
            assert own > measure(turned, pair.clip, None).psnr
