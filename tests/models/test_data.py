import json
import shutil
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from gistcast.codec.errors import GistcastError, UsageError
from gistcast.codec.media import VideoInfo, VideoWriter
from gistcast.models import data
from gistcast.models.data import ClipSampler, FrameStore, build_store, resize_planes
from gistcast.models.stills import StillSampler


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


def test_opencv_takes_the_place_of_pyav(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stand-in for both: PyAV missing, and an OpenCV that knows one grey picture."""

    class Capture:
        def __init__(self, path: str) -> None:
            self.left = 3

        def read(self) -> tuple[bool, np.ndarray]:
            self.left -= 1
            return self.left >= 0, np.full((5, 7, 3), 90, np.uint8)

    def convert(frame: np.ndarray, code: int) -> np.ndarray:
        h, w = frame.shape[:2]
        planes = [
            np.full(n, v, np.uint8) for n, v in ((h * w, 1), (h * w // 4, 2), (h * w // 4, 3))
        ]
        return np.concatenate(planes).reshape(h * 3 // 2, w)

    class Cv2:
        VideoCapture, cvtColor, COLOR_BGR2YUV_I420 = Capture, staticmethod(convert), 0  # noqa: N815

    def missing(path: Path) -> None:
        raise ModuleNotFoundError("av")

    monkeypatch.setattr(data, "VideoReader", missing)
    monkeypatch.setattr(data.importlib, "import_module", lambda name: Cv2)
    planes = data.read_planes(tmp_path / "train" / "0.y4m")
    assert [p.shape for p in planes] == [(3, 4, 6), (3, 2, 3), (3, 2, 3)]
    assert [int(np.unique(p)[0]) for p in planes] == [1, 2, 3]


def test_validation_clips_are_kept_decoded(tmp_path: Path, make_clip) -> None:
    assert data.validation_store(tmp_path, tmp_path / "cache") == []
    (tmp_path / "val").mkdir()
    writer = VideoWriter(tmp_path / "val" / "a.y4m", VideoInfo(64, 64, 25))  # type: ignore[arg-type]
    writer.write(make_clip(frames=32))
    writer.close()
    row = {"file": "val/a.y4m", "label": "scene", "caption": "a scene", "group": "g"}
    (tmp_path / "manifest.json").write_text(json.dumps([row]))
    first = data.validation_store(tmp_path, tmp_path / "cache")
    (tmp_path / "val" / "a.y4m").unlink()  # from now on it is the cache that is read
    again = data.validation_store(tmp_path, tmp_path / "cache")
    assert first[0].caption == again[0].caption == "a scene"
    assert np.array_equal(first[0].clip.y, make_clip(frames=32).y)
    assert np.array_equal(first[0].clip.y, again[0].clip.y)


@pytest.fixture
def plain(tmp_path: Path, make_clip) -> Path:
    """Twelve videos in folders, the first of 70 frames of 300x200, the second of 8, the others of
    32; and something else."""
    folder = tmp_path / "videos"
    (folder / "summer").mkdir(parents=True)
    (folder / "notes.txt").write_text("all of my videos")
    for number in range(12):
        size, lengths = ((300, 200), (32, 32, 6)) if number == 0 else ((64, 48), (32,))
        name = folder / ("summer" if number % 2 else "") / f"{number:02d}.mp4"
        writer = VideoWriter(name, VideoInfo(*size, 25))  # type: ignore[arg-type]
        for frames in (8,) if number == 1 else lengths:
            writer.write(make_clip(frames=frames, height=size[1], width=size[0], seed=number))
        writer.close()
    return folder


def test_a_folder_of_videos_is_enough(plain: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    store = build_store(plain, "train", cache / "train")
    # sorted by path: the last one is held out for validation, the short one has no clip
    assert [source.group for source in store.sources] == [
        "00", "02", "04", "06", "08", "10", "03", "05", "07", "09",
    ]  # fmt: skip
    first = store.sources[0]
    assert (first.frames, first.width, first.height) == (70, 216, 144)
    assert {(source.label, source.caption) for source in store.sources} == {("", "")}
    assert ClipSampler(store, size=32).sample(np.random.default_rng(1)).clip.y.shape[1:] == (32, 32)
    stills = build_store(plain, "stills", cache / "stills")
    assert [source.frames for source in stills.sources] == [1] * len(store.sources)
    (sample,) = data.validation_store(plain, cache)
    assert sample.clip.y.shape == (32, 64, 64)
    assert build_store(plain, "train", cache / "train").sources == store.sources
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(plain / "00.mp4", other / "mine.mp4")
    with pytest.raises(UsageError, match=r"other videos.*--work"):
        build_store(other, "train", cache / "train")


def test_few_videos_are_all_trained_on(plain: Path, tmp_path: Path) -> None:
    """Whatever side of the internal split their names are on."""
    for path in (plain / "summer").iterdir():
        path.unlink()
    for path in plain.glob("0[2-9].mp4"):
        path.unlink()
    (plain / "10.mp4").unlink()
    name = next(n for n in "abcdefghijklmnopqrstuvwxyz" if crc32(n.encode()) % data.SPLITS == 0)
    (plain / "00.mp4").rename(plain / f"{name}.mp4")
    store = build_store(plain, "train", tmp_path / "cache" / "train")
    assert [source.held_out for source in store.sources] == [True]
    assert ClipSampler(store, size=32).sample(np.random.default_rng(1)).clip.frames == 32
    assert data.validation_clips(plain) == []


def test_folders_without_a_clip_are_said(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing to learn from in .*no manifest.json, no .avi"):
        build_store(tmp_path / "empty", "train", tmp_path / "a")
    (plain / "summer" / "01.mp4").rename(tmp_path / "short.mp4")
    shutil.rmtree(plain)
    plain.mkdir()
    (tmp_path / "short.mp4").rename(plain / "short.mp4")
    with pytest.raises(UsageError, match="no video of 32 frames or more"):
        build_store(plain, "train", tmp_path / "b")
    (plain / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(GistcastError, match=r"broken.mp4"):
        build_store(plain, "train", tmp_path / "c")
