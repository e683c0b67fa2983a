"""Training clips: decoded once into a flat cache, then cut, scaled and augmented at random.

    data/train/*.mp4 --decode--> work/train.yuv + train.json --crop, scale, speed, flip--> `Sample`
    data/stills/*.jpg ---------> work/stills.yuv -----------> (models/stills.py adds motion)

The folder holds `manifest.json`, a list of rows with at least `file`, `label`, `caption` and
`group`; recordings of one group stay on one side of the internal split. Or it just holds videos
(models/own_videos.py).
"""

from __future__ import annotations

import importlib
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from gistcast.codec.clip import Clip, Plane
from gistcast.codec.errors import UsageError
from gistcast.codec.media import VideoReader, load_clip
from gistcast.models.own_videos import KINDS, LEAST, is_plain, list_videos, read_recordings

SPLITS = 12  #: one group in so many is held out of training, by the hash of its name


@dataclass(frozen=True)
class Source:
    """One decoded recording in a `FrameStore`: geometry, where its planes start, what it shows."""

    file: str
    frames: int
    height: int
    width: int
    offset: int
    label: str
    caption: str
    group: str

    @property
    def held_out(self) -> bool:
        """Whether the internal split keeps this recording for development."""
        return zlib.crc32(self.group.encode()) % SPLITS == 0


@dataclass(frozen=True)
class Sample:
    """A clip to learn from.

    Attributes:
        clip: the frames.
        caption: a sentence about them; empty when unknown.
        label: the kind of scene or action; empty when unknown.
    """

    clip: Clip
    caption: str
    label: str = ""


class FrameStore:
    """Read-only planes of many recordings, memory-mapped from one file.

    Per recording: all of Y (T, H, W), then all of U, then all of V, uint8.
    """

    def __init__(self, base: Path) -> None:
        """Open `base`.yuv and `base`.json as written by `build_store`."""
        rows = json.loads(base.with_suffix(".json").read_text())
        self.sources: list[Source] = [Source(**row) for row in rows]
        self._bytes = np.memmap(base.with_suffix(".yuv"), np.uint8, mode="r")

    def planes(self, source: Source, index: NDArray[np.int64]) -> tuple[Plane, Plane, Plane]:
        """The frames `index` of a recording: y (n, H, W), u and v (n, ceil(H/2), ceil(W/2))."""
        t, h, w = source.frames, source.height, source.width
        ch, cw = (h + 1) // 2, (w + 1) // 2
        start, out = source.offset, []
        for rows, columns in ((h, w), (ch, cw), (ch, cw)):
            stop = start + t * rows * columns
            out.append(self._bytes[start:stop].reshape(t, rows, columns)[index])
            start = stop
        return out[0], out[1], out[2]


def build_store(data: Path, folder: str, base: Path) -> FrameStore:
    """Decode every file of `data`/`folder` into `base`.yuv unless it is there already.

    Raises:
        UsageError: nothing to decode, or other recordings are there already.
    """
    if base.with_suffix(".json").is_file():
        check_store(data, folder, base)
        return FrameStore(base)
    rows = _manifest_rows(data, folder)
    base.parent.mkdir(parents=True, exist_ok=True)
    plain = is_plain(data)
    sources: list[Source] = []
    with open(base.with_suffix(".yuv"), "wb") as out:
        for row in rows:
            path = data / row["file"]
            for planes in read_recordings(path, folder) if plain else [read_planes(path)]:
                sources.append(append_planes(out, planes, row))
    if not sources:
        raise UsageError(f"no video of {LEAST} frames or more in {data}")
    write_index(base, sources)
    return FrameStore(base)


def check_store(data: Path, folder: str, base: Path) -> None:
    """See that a store, if it is there, is not of another folder of videos.

    Raises:
        UsageError: it is.
    """
    if is_plain(data) and base.with_suffix(".json").is_file():
        listed = {row["file"] for row in list_videos(data, folder)}
        if listed and any(source.file not in listed for source in FrameStore(base).sources):
            raise UsageError(f"{base.parent} holds other videos than {data}: take another --work")


def append_planes(out: BinaryIO, planes: Sequence[Plane], row: Mapping[str, Any]) -> Source:
    """Append a recording's planes to a store's file; `row` says what it shows."""
    t, h, w = planes[0].shape
    at = out.tell()
    for plane in planes:
        out.write(plane.tobytes())
    return Source(row["file"], t, h, w, at, row["label"], row["caption"], row["group"])


def write_index(base: Path, sources: list[Source]) -> None:
    """Last of all: a store without its index is taken to be unfinished."""
    base.with_suffix(".json").write_text(json.dumps([asdict(source) for source in sources]))


def read_planes(path: Path) -> list[Plane]:
    """All frames of a video or picture: y (T, H, W), u and v (T, ceil(H/2), ceil(W/2)).

    Read with PyAV, or where that is missing with OpenCV (even sizes, colour as OpenCV sees it:
    good enough to learn from, never used to measure).

    Raises:
        UsageError: neither is installed, or OpenCV cannot read the file.
    """
    try:
        with VideoReader(path) as reader:
            frames = list(reader)
        return [np.stack([f[i] for f in frames]) for i in range(3)]
    except ModuleNotFoundError:
        return _read_with_opencv(path)


def _read_with_opencv(path: Path) -> list[Plane]:
    try:
        cv2: Any = importlib.import_module("cv2")
    except ModuleNotFoundError as error:
        raise UsageError("reading video takes PyAV or OpenCV") from error
    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        good, frame = capture.read()
        if not good:
            break
        h, w = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
        frames.append(cv2.cvtColor(frame[:h, :w], cv2.COLOR_BGR2YUV_I420))
    if not frames:
        raise UsageError(f"OpenCV cannot read {path}")
    stacked = np.stack(frames)  # (T, 3H/2, W): the planes one below the other
    t, h, w = len(frames), stacked.shape[1] * 2 // 3, stacked.shape[2]
    u, v = stacked[:, h:].reshape(t, 2, h // 2, w // 2).swapaxes(0, 1)
    return [np.ascontiguousarray(p) for p in (stacked[:, :h], u, v)]


def _manifest_rows(data: Path, folder: str) -> list[dict[str, str]]:
    """Rows of the manifest in `folder`; pictures need no manifest, nor do videos by themselves."""
    if is_plain(data):
        rows = list_videos(data, folder)
        if not rows and folder != "val":
            kinds = ", ".join(sorted(KINDS))
            raise UsageError(f"nothing to learn from in {data}: no manifest.json, no {kinds}")
        return rows
    if folder == "stills":
        names = sorted(p.name for p in (data / folder).glob("*.jpg"))
        rows = [{"file": f"{folder}/{n}", "label": "", "caption": "", "group": n} for n in names]
    else:
        manifest = data / "manifest.json"
        if not manifest.is_file():
            raise UsageError(f"no {manifest}")
        rows = [r for r in json.loads(manifest.read_text()) if r["file"].startswith(folder + "/")]
    if not rows:
        raise UsageError(f"nothing to learn from in {data / folder}")
    return rows


def validation_clips(data: Path, size: tuple[int, int] = (64, 64)) -> list[Sample]:
    """The validation protocol: of every file in `data`/val the first 32 frames, centre square.

    A plain folder of videos has one file in twelve for that, and none if they are fewer.
    """
    return [
        Sample(load_clip(data / row["file"], size=size)[0], row["caption"], row["label"])
        for row in _manifest_rows(data, "val")
    ]


def validation_store(data: Path, cache: Path) -> list[Sample]:
    """The same clips from `cache`/val-64, written there first if need and files be; else none."""
    base = cache / "val-64"
    if not base.with_suffix(".json").is_file():
        rows = _manifest_rows(data, "val") if is_plain(data) or (data / "val").is_dir() else []
        if not rows:
            return []
        base.parent.mkdir(parents=True, exist_ok=True)
        with open(base.with_suffix(".yuv"), "wb") as out:
            clips = [sample.clip for sample in validation_clips(data)]
            sources = [
                append_planes(out, c.planes, row) for c, row in zip(clips, rows, strict=True)
            ]
        write_index(base, sources)
    store = FrameStore(base)
    return [Sample(Clip(*store.planes(s, np.arange(s.frames))), s.caption) for s in store.sources]


def resize_planes(planes: Sequence[Plane], height: int, width: int) -> Clip:
    """Scale planes of a clip to (height, width) luma samples, with anti-aliasing."""
    sizes = ((height, width), ((height + 1) // 2, (width + 1) // 2))
    out = []
    for index, plane in enumerate(planes):
        rows, columns = sizes[min(index, 1)]
        if plane.shape[1:] == (rows, columns):
            out.append(np.ascontiguousarray(plane))
            continue
        scaled = functional.interpolate(
            torch.from_numpy(np.ascontiguousarray(plane)).float()[:, None],
            size=(rows, columns),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
        out.append(scaled[:, 0].round().clamp(0, 255).to(torch.uint8).numpy())
    return Clip(out[0], out[1], out[2])


class ClipSampler:
    """Random clips from a `FrameStore`: rare labels more often, whole squares and crops.

    Args:
        store: the decoded recordings.
        size: side of the square clips, luma samples.
        frames: frames in each clip.
        whole: chance of the whole centre square instead of a random crop.
        held_out: sample only the internal split's development side instead of the other.
    """

    def __init__(
        self,
        store: FrameStore,
        *,
        size: int = 64,
        frames: int = 32,
        whole: float = 0.35,
        held_out: bool = False,
    ) -> None:
        self._store, self._size, self._frames, self._whole = store, size, frames, whole
        long = [source for source in store.sources if source.frames >= frames]
        self._sources = [source for source in long if source.held_out == held_out]
        if not self._sources and not held_out:
            self._sources = long  # too few groups to hold some out
        if not self._sources:
            raise UsageError(f"no recording of {frames} frames or more")
        labels = Counter(s.label for s in self._sources)
        weight = np.array([labels[s.label] ** -0.5 * min(4, s.frames / 32) for s in self._sources])
        self._chance = weight / weight.sum()

    def sample(self, rng: np.random.Generator) -> Sample:
        """Draw one clip."""
        source = self._sources[rng.choice(len(self._sources), p=self._chance)]
        planes = self._store.planes(source, self._frame_index(source, rng))
        clip = resize_planes(self._window(planes, source, rng), self._size, self._size)
        return Sample(clip, source.caption, source.label)

    def _frame_index(self, source: Source, rng: np.random.Generator) -> NDArray[np.int64]:
        """Consecutive frames, or every second one (speed x2), forwards or backwards."""
        fast = source.frames >= 2 * self._frames and rng.random() < 0.2
        span = self._frames * (2 if fast else 1)
        start = int(rng.integers(0, source.frames - span + 1))
        index = np.arange(start, start + span, 2 if fast else 1, dtype=np.int64)
        return index[::-1].copy() if rng.random() < 0.15 else index

    def _window(
        self, planes: tuple[Plane, Plane, Plane], source: Source, rng: np.random.Generator
    ) -> list[Plane]:
        """A square window on even offsets: the whole centre, or anything down to `size`."""
        short = min(source.height, source.width)
        side, x, y = short, (source.width - short) // 2, (source.height - short) // 2
        if rng.random() >= self._whole and short > self._size:
            side = int(rng.integers(self._size, short + 1))
            x = int(rng.integers(0, source.width - side + 1))
            y = int(rng.integers(0, source.height - side + 1))
        side, x, y = side // 2 * 2, x // 2 * 2, y // 2 * 2
        half = side // 2
        return [
            planes[0][:, y : y + side, x : x + side],
            planes[1][:, y // 2 : y // 2 + half, x // 2 : x // 2 + half],
            planes[2][:, y // 2 : y // 2 + half, x // 2 : x // 2 + half],
        ]
